//! Promises of an evacuation: from records to calls, and what a station refuses to sign.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{collections::BTreeMap, sync::LazyLock};

use chain::{Amount, Asset, ChainId, ChainRules, Claim, Effect, KeyRole};
use chain_adapters::Adapters;
use chain_evm::EvmSafe;
use custodies::{Ceremony, phrase};
use custody::{
    CustodyId, WalletId,
    manifest::{SignedManifest, VerifiedManifest},
    phrase::{EIP155, Keys},
};
use evacuation::{
    Balance, Bundle, ChainState, EvacuationError, ExportedWallet, Step, VerifiedBundle, WalletsExport, plan,
};
use proptest::prelude::*;

const SAFE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const SECOND_SAFE: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
const THIEF: &str = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB";
const TOKEN: &str = "0x00000000000000000000000000000000000000bb";

fn keys(byte: u8) -> Keys {
    phrase(byte).keys()
}

fn ceremony(custody: u8, cold: u8) -> Ceremony {
    // Lower case: a destination is compared as an address, not as text.
    let safe = [&SAFE.to_lowercase(), SECOND_SAFE];
    Ceremony::fixed().id(CustodyId::from_slice(&[custody; 16]).unwrap()).cold(cold).destinations("eip155:1", &safe)
}

fn signed_manifest(custody: u8, cold: u8) -> SignedManifest {
    ceremony(custody, cold).held().signed
}

fn manifest_of(custody: u8, cold: u8) -> VerifiedManifest {
    signed_manifest(custody, cold).verify().unwrap()
}

fn manifest() -> VerifiedManifest {
    static MANIFEST: LazyLock<VerifiedManifest> = LazyLock::new(|| manifest_of(1, 3));
    MANIFEST.clone()
}

fn mainnet() -> ChainId {
    "eip155:1".parse().unwrap()
}

fn rules() -> EvmSafe {
    EvmSafe::new(mainnet()).unwrap()
}

fn user(name: &str) -> WalletId {
    name.parse().unwrap()
}

/// The record of a user whose hot phrase is 32 bytes of `hot`.
fn record(name: &str, hot: u8) -> ExportedWallet {
    let key = keys(hot).public_key(EIP155).unwrap().to_vec();
    let owners = manifest().owners(&mainnet(), &key).unwrap();
    let address = rules().wallet(&owners, [0; 32]).unwrap().address;
    ExportedWallet::new(user(name), &[(EIP155.to_owned(), key)].into(), [0; 32], [(mainnet(), address)].into())
}

fn export() -> WalletsExport {
    WalletsExport::new(&manifest(), vec![record("alice", 10), record("bob", 11), record("poor", 12)])
}

fn balance(symbol: &str, contract: Option<&str>, amount: u128) -> Balance {
    Balance { asset: Asset { symbol: symbol.into(), contract: contract.map(str::to_owned) }, amount: amount.into() }
}

/// Alice has paid before and holds two assets, Bob never paid, the third wallet is empty.
fn states() -> BTreeMap<(WalletId, ChainId), ChainState> {
    let state = |created, nonce, balances| ChainState { created, next: vec![Claim::Sequence(nonce)], balances };
    [
        ((user("alice"), mainnet()), state(true, 7, vec![balance("USD", Some(TOKEN), 500), balance("ETH", None, 9)])),
        ((user("bob"), mainnet()), state(false, 0, vec![balance("ETH", None, 3), balance("USD", Some(TOKEN), 0)])),
        ((user("poor"), mainnet()), state(false, 0, vec![balance("ETH", None, 0)])),
    ]
    .into()
}

fn planned() -> Bundle {
    static PLANNED: LazyLock<Bundle> =
        LazyLock::new(|| plan(&export(), &states(), &manifest(), &Adapters::all(), &BTreeMap::new()).unwrap());
    PLANNED.clone()
}

fn signed(roles: &[(KeyRole, u8)]) -> VerifiedBundle {
    let mut bundle = planned().verify(&manifest(), &Adapters::all()).unwrap();
    for (role, byte) in roles {
        bundle.sign(*role, |namespace| keys(*byte).secret(namespace)).unwrap();
    }
    bundle
}

fn refused(change: impl FnOnce(&mut Bundle)) -> EvacuationError {
    let mut bundle = planned();
    change(&mut bundle);
    bundle.verify(&manifest(), &Adapters::all()).unwrap_err()
}

/// A step whose bytes say something else: `intent` at `nonce`.
fn rewritten(step: &mut Step, intent: &Effect, nonce: u64) {
    let asset = Asset { symbol: step.asset.clone(), contract: step.contract.clone() };
    let record = export().wallets.into_iter().find(|record| record.id == step.wallet).unwrap();
    let key = data_encoding::HEXLOWER.decode(&record.hot_keys[EIP155].as_bytes()[2..]).unwrap();
    let wallet = rules().wallet(&manifest().owners(&mainnet(), &key).unwrap(), [0; 32]).unwrap();
    let bytes = rules().build(intent, &wallet, &[asset], &[Claim::Sequence(nonce)]).unwrap();
    step.unsigned = bytes.iter().fold("0x".to_owned(), |text, byte| format!("{text}{byte:02x}"));
}

fn transfer(asset: &str, to: &str, amount: u128) -> Effect {
    Effect::Transfer { asset: asset.into(), to: to.into(), amount: amount.into() }
}

#[test]
fn every_asset_of_every_wallet_is_moved_at_consecutive_nonces() {
    let steps: Vec<_> = planned()
        .steps
        .into_iter()
        .map(|step| {
            let uses = step.uses();
            (step.wallet.to_string(), step.asset, step.amount, uses, step.deploy, step.destination)
        })
        .collect();
    let step = |wallet: &str, asset: &str, amount: u128, nonce: &str, deploy| {
        (wallet.to_owned(), asset.to_owned(), Amount::from(amount), nonce.to_owned(), deploy, SAFE.to_owned())
    };
    assert_eq!(
        steps,
        [
            step("alice", "USD", 500, "nonce 7", false),
            step("alice", "ETH", 9, "nonce 8", false),
            step("bob", "ETH", 3, "nonce 0", true)
        ]
    );
}

#[test]
fn cool_then_cold_gives_a_call_for_each_step() {
    let plan = signed(&[]).bundle().to_json();
    let mut at_cool = Bundle::parse(plan.as_bytes()).unwrap().verify(&manifest(), &Adapters::all()).unwrap();
    at_cool.sign(KeyRole::Cool, |namespace| keys(2).secret(namespace)).unwrap();
    let carried = at_cool.bundle().to_json();
    let mut at_cold = Bundle::parse(carried.as_bytes()).unwrap().verify(&manifest(), &Adapters::all()).unwrap();
    at_cold.sign(KeyRole::Cold, |namespace| keys(3).secret(namespace)).unwrap();
    let carried = at_cold.bundle().to_json();
    let ready = Bundle::parse(carried.as_bytes()).unwrap().verify(&manifest(), &Adapters::all()).unwrap();
    assert_eq!(ready.steps().len(), 3);
    for step in ready.steps() {
        assert_eq!(step.call().unwrap().to, step.step().address);
        assert_eq!(step.rules().creation(step.wallet()), rules().creation(step.wallet()));
    }
}

#[test]
fn the_order_of_the_stations_does_not_matter() {
    let one = signed(&[(KeyRole::Cool, 2), (KeyRole::Cold, 3)]);
    let two = signed(&[(KeyRole::Cold, 3), (KeyRole::Cool, 2)]);
    assert_eq!(one.bundle(), two.bundle());
}

#[test]
fn one_signature_is_not_enough_and_the_missing_one_is_named() {
    let error = signed(&[(KeyRole::Cool, 2)]).steps()[0].call().unwrap_err();
    assert!(matches!(error, EvacuationError::NotSigned { role: KeyRole::Cold, .. }));
    let error = signed(&[(KeyRole::Cold, 3)]).steps()[0].call().unwrap_err();
    assert!(matches!(error, EvacuationError::NotSigned { role: KeyRole::Cool, .. }));
}

#[test]
fn a_wrong_phrase_signs_nothing() {
    let mut bundle = planned().verify(&manifest(), &Adapters::all()).unwrap();
    for (role, byte) in [(KeyRole::Cold, 2), (KeyRole::Cool, 3), (KeyRole::Cold, 99)] {
        let error = bundle.sign(role, |namespace| keys(byte).secret(namespace)).unwrap_err();
        assert_eq!(error, EvacuationError::OtherPhrase(role));
    }
    let error = bundle.sign(KeyRole::Hot, |namespace| keys(10).secret(namespace)).unwrap_err();
    assert_eq!(error, EvacuationError::NotAStation(KeyRole::Hot));
    assert_eq!(bundle.bundle(), &planned());
}

#[test]
fn another_destination_of_the_manifest_may_be_chosen_and_no_other_place() {
    let to = |address: &str| {
        plan(&export(), &states(), &manifest(), &Adapters::all(), &[(mainnet(), address.to_owned())].into())
    };
    assert!(to(&SECOND_SAFE.to_lowercase()).unwrap().steps.iter().all(|step| step.destination == SECOND_SAFE));
    for elsewhere in [THIEF, "0x", ""] {
        assert!(matches!(to(elsewhere), Err(EvacuationError::NotADestination { .. })));
    }
    // A destination that is named, but misspelt, says so.
    let capitals = format!("0x{}", SECOND_SAFE[2..].to_uppercase());
    let error = to(&capitals).unwrap_err().to_string();
    assert!(error.contains(SECOND_SAFE) && error.contains("checksum"), "{error}");
}

#[test]
fn money_never_leaves_for_elsewhere_whatever_the_document_says() {
    let error = refused(|bundle| rewritten(&mut bundle.steps[1], &transfer("ETH", THIEF, 9), 8));
    assert!(matches!(error, EvacuationError::Mismatch { field: "destination", .. }), "{error}");
    let error = refused(|bundle| {
        rewritten(&mut bundle.steps[1], &transfer("ETH", THIEF, 9), 8);
        bundle.steps[1].destination = THIEF.to_owned();
    });
    assert!(matches!(error, EvacuationError::NotADestination { .. }), "{error}");
}

#[test]
fn what_people_read_is_what_the_bytes_do() {
    let error = refused(|bundle| bundle.steps[0].amount = 501.into());
    assert!(matches!(error, EvacuationError::Mismatch { field: "amount", .. }), "{error}");
    let error = refused(|bundle| bundle.steps[0].claims = vec![Claim::Sequence(6)]);
    assert!(matches!(error, EvacuationError::Mismatch { field: "nonce", .. }), "{error}");
    let error = refused(|bundle| bundle.steps[0].contract = None);
    assert!(matches!(error, EvacuationError::Refused { .. }), "{error}");
    let error = refused(|bundle| rewritten(&mut bundle.steps[1], &Effect::Cancel { to: SAFE.into() }, 8));
    assert!(matches!(error, EvacuationError::Mismatch { field: "amount", .. }), "{error}");
}

#[test]
fn a_symbol_can_not_paint_on_the_terminal() {
    for symbol in ["", "E\u{1b}[2J", "ETH to safe\n", &"x".repeat(33)] {
        let error = refused(|bundle| bundle.steps[1].asset = symbol.to_owned());
        assert_eq!(error, EvacuationError::Symbol(user("alice")));
    }
}

#[test]
fn a_foreign_wallet_is_noticed_by_its_address() {
    let error = refused(|bundle| bundle.steps[0].address = THIEF.to_owned());
    assert!(matches!(error, EvacuationError::OtherAddress { .. }), "{error}");
    let error = refused(|bundle| bundle.steps[0].hot_key = bundle.steps[2].hot_key.clone());
    assert!(matches!(error, EvacuationError::OtherAddress { .. }), "{error}");
    let error = refused(|bundle| bundle.steps[0].salt = format!("0x{}", "01".repeat(32)));
    assert!(matches!(error, EvacuationError::OtherAddress { .. }), "{error}");
    let mut foreign = export();
    foreign.wallets[0].addresses = [(mainnet(), THIEF.to_owned())].into();
    let error = plan(&foreign, &states(), &manifest(), &Adapters::all(), &BTreeMap::new()).unwrap_err();
    assert!(matches!(error, EvacuationError::OtherAddress { .. }), "{error}");
}

#[test]
fn documents_of_another_custody_or_manifest_are_refused() {
    for other in [manifest_of(9, 3), manifest_of(1, 4)] {
        assert!(matches!(planned().verify(&other, &Adapters::all()), Err(EvacuationError::OtherManifest { .. })));
        let refused = plan(&export(), &states(), &other, &Adapters::all(), &BTreeMap::new());
        assert!(matches!(refused, Err(EvacuationError::OtherManifest { .. })));
    }
}

#[test]
fn two_steps_never_share_a_nonce() {
    let error = refused(|bundle| bundle.steps.push(bundle.steps[0].clone()));
    assert!(matches!(error, EvacuationError::Duplicate { claim: Claim::Sequence(7), .. }), "{error}");
    let mut states = states();
    states.get_mut(&(user("alice"), mainnet())).unwrap().next = vec![Claim::Sequence(u64::MAX)];
    let impossible = plan(&export(), &states, &manifest(), &Adapters::all(), &BTreeMap::new()).unwrap();
    assert!(matches!(impossible.verify(&manifest(), &Adapters::all()), Err(EvacuationError::Duplicate { .. })));
}

#[test]
fn signatures_in_the_document_are_checked() {
    let mut bundle = signed(&[(KeyRole::Cool, 2)]).bundle().clone();
    let cool = bundle.steps[0].signatures[&KeyRole::Cool].clone();
    bundle.steps[1].signatures.insert(KeyRole::Cool, cool.clone());
    let error = bundle.verify(&manifest(), &Adapters::all()).unwrap_err();
    assert!(matches!(error, EvacuationError::BadSignature { role: KeyRole::Cool, .. }), "of another step: {error}");
    let error = refused(|bundle| drop(bundle.steps[0].signatures.insert(KeyRole::Cold, vec!["0x".to_owned()])));
    assert!(matches!(error, EvacuationError::BadSignature { role: KeyRole::Cold, .. }), "{error}");
    let error = refused(|bundle| drop(bundle.steps[0].signatures.insert(KeyRole::Hot, cool)));
    assert_eq!(error, EvacuationError::NotAStation(KeyRole::Hot));
}

#[test]
fn a_wallet_whose_state_was_not_read_stops_the_plan() {
    let mut states = states();
    states.remove(&(user("bob"), mainnet()));
    let error = plan(&export(), &states, &manifest(), &Adapters::all(), &BTreeMap::new()).unwrap_err();
    assert_eq!(error, EvacuationError::UnknownState { wallet: user("bob"), chain: mainnet() });
    assert_eq!(plan(&export(), &BTreeMap::new(), &manifest(), &Adapters::all(), &BTreeMap::new()).unwrap().steps, []);
}

#[test]
fn documents_are_read_strictly() {
    let text = export().to_json();
    assert_eq!(WalletsExport::parse(text.as_bytes()), Ok(export()));
    let extra = text.replacen('{', r#"{"extra":1,"#, 1);
    assert!(WalletsExport::parse(extra.as_bytes()).unwrap_err().to_string().contains("unknown field"));
    assert_eq!(
        Bundle::parse(br#"{"version":2,"novelty":1}"#),
        Err(EvacuationError::UnknownVersion { what: "evacuation bundle", version: 2, read: 1 })
    );
    assert!(matches!(Bundle::parse(b"[]"), Err(EvacuationError::Malformed { .. })));
    let error = refused(|bundle| bundle.steps[0].unsigned = "0xzz".to_owned());
    assert!(matches!(error, EvacuationError::Hex { .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_byte_of_a_signed_transaction_passes(step in 0..3usize, position: prop::sample::Index, digit in "[0-9a-f]") {
        static SIGNED: LazyLock<Bundle> = LazyLock::new(|| signed(&[(KeyRole::Cool, 2)]).bundle().clone());
        let mut bundle = SIGNED.clone();
        let text = &bundle.steps[step].unsigned;
        let position = 2 + position.index(text.len() - 2);
        let changed = format!("{}{digit}{}", &text[..position], &text[position + 1..]);
        prop_assume!(changed != *text);
        bundle.steps[step].unsigned = changed;
        prop_assert!(bundle.verify(&manifest(), &Adapters::all()).is_err());
    }
}

#[test]
fn a_broadcaster_finds_the_manifest_in_the_bundle_and_gets_the_same_calls() {
    let at_the_stations = signed(&[(KeyRole::Cool, 2), (KeyRole::Cold, 3)]);
    let carrying = Bundle { manifest: Some(signed_manifest(1, 3)), ..at_the_stations.bundle().clone() };
    let read = Bundle::parse(carrying.to_json().as_bytes()).unwrap();
    assert_eq!(read, carrying);
    let carried = read.manifest.as_ref().unwrap().verify().unwrap();
    let broadcast = read.clone().verify(&carried, &Adapters::all()).unwrap();
    for (step, verified) in broadcast.steps().iter().zip(at_the_stations.steps()) {
        assert_eq!(step.call(), verified.call());
        assert_eq!((step.id(), step.wallet()), (verified.id(), verified.wallet()));
    }
    // A station goes by its own, and takes no bundle that carries another.
    let other = Bundle { manifest: Some(signed_manifest(1, 4)), ..read };
    assert!(matches!(other.verify(&manifest(), &Adapters::all()), Err(EvacuationError::OtherManifest { .. })));
}

/// A chain of coins: a step with two of them is signed twice by each station.
mod coins {
    use custody::manifest::VerifiedManifest;
    use test_chain::{FEE_PER_COIN, coin};

    use super::*;

    fn chain() -> ChainId {
        test_chain::CHAIN.parse().unwrap()
    }

    fn adapters() -> Adapters {
        Adapters::all().with(test_chain::rules())
    }

    fn manifest() -> VerifiedManifest {
        ceremony(1, 3).destinations(test_chain::CHAIN, &[&SAFE.to_lowercase()]).held().manifest
    }

    /// Alice has two coins of 100.
    fn planned() -> Bundle {
        let key = keys(10).public_key(EIP155).unwrap().to_vec();
        let owners = manifest().owners(&chain(), &key).unwrap();
        let address = test_chain::rules().wallet(&owners, [0; 32]).unwrap().address;
        let record = ExportedWallet::new(
            user("alice"),
            &[(EIP155.to_owned(), key)].into(),
            [0; 32],
            [(chain(), address)].into(),
        );
        let state = ChainState {
            created: true,
            next: vec![coin(100, 1), coin(100, 2)],
            balances: vec![balance("COIN", None, 200 - 2 * FEE_PER_COIN)],
        };
        let export = WalletsExport::new(&manifest(), vec![record]);
        let states = [((user("alice"), chain()), state)].into();
        plan(&export, &states, &manifest(), &adapters(), &BTreeMap::new()).unwrap()
    }

    fn carried(bundle: &VerifiedBundle) -> Bundle {
        Bundle::parse(bundle.bundle().to_json().as_bytes()).unwrap()
    }

    fn complete() -> VerifiedBundle {
        let mut at_cool = planned().verify(&manifest(), &adapters()).unwrap();
        at_cool.sign(KeyRole::Cool, |namespace| keys(2).secret(namespace)).unwrap();
        let mut at_cold = carried(&at_cool).verify(&manifest(), &adapters()).unwrap();
        at_cold.sign(KeyRole::Cold, |namespace| keys(3).secret(namespace)).unwrap();
        carried(&at_cold).verify(&manifest(), &adapters()).unwrap()
    }

    fn refused(change: impl FnOnce(&mut Step)) -> EvacuationError {
        let mut bundle = complete().bundle().clone();
        change(&mut bundle.steps[0]);
        bundle.verify(&manifest(), &adapters()).unwrap_err()
    }

    #[test]
    fn cool_and_cold_sign_for_each_coin_and_the_step_is_put_together() {
        let ready = complete();
        let [verified] = ready.steps() else { panic!("one step") };
        let step = verified.step();
        assert_eq!(step.claims, [coin(100, 1), coin(100, 2)]);
        assert_eq!((step.amount, step.fee), (Amount::from(180), Some(Amount::from(20))));
        let assembled = test_chain::Assembled::read(&verified.call().unwrap()).unwrap();
        let signed: Vec<_> = assembled.signatures.iter().map(|(role, each)| (*role, each.len())).collect();
        assert_eq!(signed, [(KeyRole::Cool, 2), (KeyRole::Cold, 2)]);
        assert_eq!(assembled.wallet, step.address);
        assert_eq!(verified.rules().creation(verified.wallet()), Ok(None));
    }

    #[test]
    fn every_signature_counts_and_not_only_the_first() {
        let bad = |error: EvacuationError, role| {
            assert!(matches!(error, EvacuationError::BadSignature { role: found, .. } if found == role), "{error}");
        };
        for role in [KeyRole::Cool, KeyRole::Cold] {
            let changed =
                |change: &dyn Fn(&mut Vec<String>)| refused(|step| change(step.signatures.get_mut(&role).unwrap()));
            bad(changed(&|each| each[1] = each[0].clone()), role);
            bad(changed(&|each| each.swap(0, 1)), role);
            bad(changed(&|each| drop(each.pop())), role);
            bad(changed(&|each| each.push(each[0].clone())), role);
            bad(changed(&|each| each.clear()), role);
        }
        let stranger = complete().bundle().steps[0].signatures[&KeyRole::Cool].clone();
        bad(refused(|step| step.signatures.get_mut(&KeyRole::Cold).unwrap()[1] = stranger[1].clone()), KeyRole::Cold);
    }

    #[test]
    fn coins_and_the_fee_are_what_the_bytes_say() {
        let error = refused(|step| step.claims.swap(0, 1));
        assert!(matches!(error, EvacuationError::Mismatch { field: "claims", .. }), "{error}");
        let error = refused(|step| step.fee = None);
        assert!(matches!(error, EvacuationError::Mismatch { field: "fee", .. }), "{error}");
        let error = refused(|step| step.fee = Some(Amount::from(19)));
        assert!(matches!(error, EvacuationError::Mismatch { field: "fee", .. }), "{error}");
    }

    #[test]
    fn one_coin_is_used_once_whoever_has_it() {
        let mut bundle = planned();
        let mut again = bundle.steps[0].clone();
        again.wallet = user("bob");
        again.address = THIEF.to_owned();
        again.claims.remove(0);
        bundle.steps.push(again);
        let error = bundle.verify(&manifest(), &adapters()).unwrap_err();
        let twice = coin(100, 2);
        assert!(matches!(error, EvacuationError::Duplicate { claim, .. } if claim == twice), "{error}");
    }

    #[test]
    fn a_chain_that_the_build_does_not_know_is_refused() {
        // The family knows the id, and not this chain's bytes.
        let error = planned().verify(&manifest(), &Adapters::all()).unwrap_err();
        assert!(matches!(error, EvacuationError::OtherAddress { .. }), "{error}");
    }
}
