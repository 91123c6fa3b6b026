//! Promises of the chain of coins: what it declares, each with a test.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainError, Claim, Creation, Effect, KeyRole, Owners, Payer, Signatures, WalletDesc};
use proptest::prelude::*;
use test_chain::{Assembled, FEE_PER_COIN, Output, coin, pay, rules, worth};

const BOB: &str = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
const SAFE: &str = "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc";

fn wallet(hot: u8) -> WalletDesc {
    let key = |byte| rules().public_key(&[byte; 32]).unwrap();
    rules().wallet(&Owners { hot: key(hot), cool: key(2), cold: key(3) }, [0; 32]).unwrap()
}

fn assets() -> [Asset; 1] {
    [Asset { symbol: "COIN".to_owned(), contract: None }]
}

fn transfer(amount: u128) -> Effect {
    Effect::Transfer { asset: "COIN".to_owned(), to: BOB.to_owned(), amount: Amount::from(amount) }
}

fn change(amount: u128) -> Effect {
    Effect::Change { asset: "COIN".to_owned(), amount: Amount::from(amount) }
}

fn output(to: &str, amount: u128) -> Output {
    Output { to: to.to_owned(), amount: Amount::from(amount) }
}

fn two_coins() -> Vec<Claim> {
    vec![coin(100, 1), coin(200, 2)]
}

fn built(effect: &Effect) -> Vec<u8> {
    rules().build(effect, &wallet(1), &assets(), &two_coins()).unwrap()
}

fn signed(role: KeyRole, secret: u8, unsigned: &[u8]) -> (KeyRole, Signatures) {
    let payloads = rules().payloads(unsigned, &wallet(1), role).unwrap();
    (role, payloads.iter().map(|payload| rules().sign(&[secret; 32], payload).unwrap()).collect())
}

fn refusal(unsigned: &[u8]) -> &'static str {
    rules().decode(unsigned, &wallet(1), &assets()).unwrap_err().reason
}

#[test]
fn what_would_be_refused_with_any_coins_is_refused_before_there_are_any() {
    let admits = |effect: &Effect| rules().admits(effect, &wallet(1), &assets()).map_err(|refusal| refusal.reason);
    let transfer_of = |asset: &str, to: &str| Effect::Transfer {
        asset: asset.to_owned(),
        to: to.to_owned(),
        amount: Amount::from(1),
    };
    assert_eq!(admits(&transfer(1)), Ok(()));
    assert_eq!(admits(&Effect::Cancel { to: SAFE.to_owned() }), Ok(()));
    assert_eq!(admits(&transfer_of("OTHER", BOB)), Err("UnknownAsset"));
    assert_eq!(admits(&transfer_of("COIN", &wallet(1).address)), Err("UnknownShape"));
    assert_eq!(admits(&change(1)), Err("UnknownShape"));
}

#[test]
fn a_payment_uses_up_coins_gives_change_and_pays_its_fee_from_the_wallet() {
    let decoded = rules().decode(&built(&transfer(150)), &wallet(1), &assets()).unwrap();
    assert_eq!(decoded.effects, [transfer(150), change(130)]);
    assert_eq!(decoded.claims, two_coins());
    assert_eq!((decoded.fee.most, decoded.fee.payer), (Amount::from(2 * FEE_PER_COIN), Payer::Wallet));
    assert_eq!(decoded.spent().unwrap(), BTreeMap::from([("COIN", Amount::from(170))]));
    assert_eq!(worth(&coin(100, 1)), Some(Amount::from(100)));
    assert_eq!(worth(&Claim::Sequence(1)), None);
}

#[test]
fn a_cancel_gives_the_coins_back() {
    let cancel = Effect::Cancel { to: SAFE.to_owned() };
    let decoded = rules().decode(&built(&cancel), &wallet(1), &assets()).unwrap();
    assert_eq!(decoded.effects, [cancel, change(280)]);
    assert!(decoded.is_cancel());
}

#[test]
fn each_coin_is_signed_for_and_two_owners_carry_it_out() {
    let unsigned = built(&transfer(150));
    let payloads = rules().payloads(&unsigned, &wallet(1), KeyRole::Hot).unwrap();
    assert_eq!(payloads.len(), 2);
    assert_ne!(payloads[0], payloads[1]);
    let (hot, cool) = (signed(KeyRole::Hot, 1, &unsigned), signed(KeyRole::Cool, 2, &unsigned));
    let call = rules().assemble(&unsigned, &wallet(1), &[hot.clone(), cool.clone()]).unwrap();
    let expected =
        Assembled { wallet: wallet(1).address, unsigned: unsigned.clone(), signatures: vec![hot.clone(), cool] };
    assert_eq!(Assembled::read(&call), Some(expected));
    let assemble = |signatures: &[(KeyRole, Signatures)]| rules().assemble(&unsigned, &wallet(1), signatures);
    let mut swapped = signed(KeyRole::Cool, 2, &unsigned);
    swapped.1.swap(0, 1);
    let mut short = signed(KeyRole::Cool, 2, &unsigned);
    short.1.pop();
    for bad in [swapped, short, signed(KeyRole::Cool, 1, &unsigned), signed(KeyRole::Hot, 1, &unsigned)] {
        assert!(matches!(assemble(&[hot.clone(), bad]), Err(ChainError::Assemble(_))));
    }
    assert!(matches!(assemble(&[hot]), Err(ChainError::Assemble(_))));
}

#[test]
fn a_payload_is_of_one_wallet_and_a_wallet_never_has_to_be_created() {
    let unsigned = built(&transfer(150));
    let of = |wallet: &WalletDesc| rules().payloads(&unsigned, wallet, KeyRole::Hot).unwrap();
    assert_ne!(of(&wallet(1)), of(&wallet(4)));
    assert_ne!(wallet(1).address, wallet(4).address);
    assert_eq!(rules().declares().creation, Creation::Never);
    assert_eq!(rules().creation(&wallet(1)), Ok(None));
    let elsewhere = WalletDesc { chain: "eip155:1".parse().unwrap(), ..wallet(1) };
    assert_eq!(rules().decode(&unsigned, &elsewhere, &assets()).unwrap_err().reason, "WrongChain");
}

#[test]
fn what_is_not_understood_is_refused() {
    let coins = two_coins();
    assert_eq!(refusal(b"{}"), "Malformed");
    assert_eq!(refusal(&pay(&[], &[output(BOB, 1)])), "Malformed");
    assert_eq!(refusal(&pay(&[Claim::Sequence(1)], &[output(BOB, 1)])), "Malformed");
    assert_eq!(refusal(&[b" ", &pay(&coins, &[output(BOB, 1)])[..]].concat()), "NotCanonical");
    assert_eq!(refusal(&pay(&[coins[0], coins[0]], &[output(BOB, 1)])), "CoinTwice");
    assert_eq!(refusal(&pay(&coins, &[output(BOB, 301)])), "Overspent");
    assert_eq!(refusal(&pay(&coins, &[output(BOB, 1), output(SAFE, 0)])), "UnknownShape");
    assert_eq!(refusal(&pay(&coins, &[output(&wallet(1).address, 300)])), "UnknownShape");
    let unlisted = rules().decode(&built(&transfer(1)), &wallet(1), &[]).unwrap_err();
    assert_eq!(unlisted.reason, "UnknownAsset");
    let text = [b" ", &built(&transfer(1))[..]].concat();
    assert_eq!(rules().read(&text), Ok(built(&transfer(1))));
}

proptest! {
    #[test]
    fn no_changed_byte_keeps_the_id(position in 0..built(&transfer(150)).len(), change in 1..=255u8) {
        let before = rules().decode(&built(&transfer(150)), &wallet(1), &assets()).unwrap();
        let mut bytes = built(&transfer(150));
        bytes[position] ^= change;
        if let Ok(decoded) = rules().decode(&bytes, &wallet(1), &assets()) {
            prop_assert_ne!(decoded.id, before.id);
        }
    }
}
