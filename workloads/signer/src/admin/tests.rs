//! Promises of the admin's commands over real stores, with neither API server nor Vault.

use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use audit::Export;
use chain::{Amount, Asset, ChainId, Claim, hex::Hex};
use clock::now_ms;
use custodies::{CHAIN, Custody, SAFE};
use custody::Role;
use evacuation::{AuditHead, ExportedPayment, WalletsExport};
use policy::{Scope, Window};
use proptest::prelude::*;
use prost::Message;
use protocol::ops::{HotKeys, NamespaceKey, SettlementState};
use serde_json::{Value, json};
use signer::veto::VetoScope;
use signer::{
    history::{History, HistoryError},
    store::{Attested, Kind, Ledger, RegisteredWallet, Spend, Store, StoreError, Watermark},
};
use workload::place::Place;

use super::*;

/// A volume that has served `custody`.
struct Volume {
    place: Place,
    _folder: tempfile::TempDir,
}

impl Volume {
    async fn of(custody: &Custody, role: Role) -> Self {
        harness::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let nowhere = || PathBuf::from("/nonexistent");
        let place = Place {
            data_dir: folder.path().to_owned(),
            kube_dir: nowhere(),
            vault_token_file: nowhere(),
            namespace: String::new(),
        };
        let documents = crate::tests::documents(custody, role, "U");
        let store = Store::open(folder.path()).unwrap();
        store.keep_documents(documents.trust.unwrap(), documents.manifest.unwrap()).await.unwrap();
        Self { place, _folder: folder }
    }

    fn store(&self) -> Store {
        Store::open(&self.place.data_dir).unwrap()
    }

    async fn with<T: Send + 'static>(
        &self,
        now_ms: u64,
        act: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store().decide(now_ms, act).await.unwrap()
    }

    async fn exported(&self, role: Role) -> Export {
        let written = Written::default();
        export_audit(&self.place, role, written.clone()).await.unwrap();
        let bytes = written.0.lock().unwrap().clone();
        audit::read(bytes.as_slice()).unwrap()
    }

    /// What the chain says was done, once it is verified.
    async fn operations(&self, role: Role) -> Vec<(String, String, String)> {
        let export = self.exported(role).await;
        audit::verify(&export, &[]).unwrap();
        let told = |line: audit::Line| (line.record.operation, line.record.wallet, line.record.reason);
        assert!(export.lines.iter().all(|line| line.record.requester == "admin"));
        export.lines.into_iter().map(told).collect()
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn register(wallet: &str) -> impl FnOnce(&Ledger<'_>) -> Result<(), StoreError> + Send + 'static {
    let registered = RegisteredWallet {
        wallet: wallet.to_owned(),
        hot_keys: vec![1],
        salt: vec![0; 32],
        addresses: vec![(CHAIN.to_owned(), format!("0x{wallet}"))],
        record: vec![2],
    };
    move |ledger| ledger.register(registered).map(|_| ())
}

#[tokio::test]
async fn an_export_tells_what_was_signed_and_is_not_settled_and_where_the_chain_ended() {
    let volume = Volume::of(&Custody::random(), Role::Cooler).await;
    let keys = vec![NamespaceKey { namespace: "eip155".to_owned(), public_key: vec![2; 33] }];
    let hot_keys = HotKeys { custody_id: vec![], wallet: "alice".to_owned(), keys }.encode_to_vec();
    let live = move |ledger: &Ledger<'_>| {
        let addresses = vec![(CHAIN.to_owned(), "0xalice".to_owned())];
        ledger.register(RegisteredWallet {
            wallet: "alice".to_owned(),
            hot_keys,
            salt: vec![0; 32],
            addresses,
            record: vec![2],
        })?;
        for (nonce, amount) in [(0, 100), (1, 30)] {
            let mark = mark("alice", nonce, Kind::Payment, nonce as u8);
            ledger.record(&mark)?;
            ledger.spend(&spend(&mark, amount), true)?;
        }
        ledger.record(&mark("alice", 2, Kind::Cancel, 9))?;
        ledger.attest("alice", CHAIN, &Claim::Sequence(0), &settled([0; 32]))
    };
    volume.with(1, live).await;
    freeze(&volume.place, Role::Cooler, None, "breach".to_owned()).await.unwrap();
    let written = Written::default();
    export(&volume.place, Role::Cooler, written.clone()).await.unwrap();
    let exported = WalletsExport::parse(&written.0.lock().unwrap()).unwrap();
    assert_eq!(exported.version, 2);
    let eth = Asset { symbol: "ETH".to_owned(), contract: None };
    assert_eq!(exported.assets_on(&CHAIN.parse().unwrap()), [eth], "what the local policy lists");
    let head = volume.store().look(0, |ledger| ledger.head()).await.unwrap();
    let expected = AuditHead { count: head.count, hash: chain::hex::encode(head.hash) };
    assert_eq!(expected.count, 1);
    assert_eq!(exported.audit_head, Some(expected));
    let [wallet] = exported.wallets.as_slice() else { panic!("one wallet") };
    let chain: ChainId = CHAIN.parse().unwrap();
    let (asset, contract, amount) = ("ETH".to_owned(), Some("native".to_owned()), Amount::from(30));
    assert_eq!(
        wallet.outstanding,
        [ExportedPayment { chain: chain.clone(), nonce: 1, asset, contract, amount, to: Some(SAFE.to_owned()) }]
    );
    assert_eq!(wallet.highest, [(chain, 2)].into());
}

fn mark(wallet: &str, nonce: u64, kind: Kind, digest: u8) -> Watermark {
    let (wallet, chain) = (wallet.to_owned(), CHAIN.to_owned());
    Watermark { wallet, chain, claims: vec![Claim::Sequence(nonce)], kind, id: [digest; 32] }
}

fn spend(mark: &Watermark, amount: u128) -> Spend {
    let Watermark { wallet, chain, id, .. } = mark.clone();
    Spend { wallet, chain, id, asset: "ETH".to_owned(), amount: Amount::from(amount), to: Some(SAFE.to_owned()) }
}

/// For good.
fn settled(id: [u8; 32]) -> Attested {
    Attested { id, state: SettlementState::Final, attester: "sentinel".to_owned() }
}

fn alice() -> Option<custody::WalletId> {
    Some("alice".parse().unwrap())
}

#[tokio::test]
async fn a_freeze_stays_until_its_own_thaw_and_both_are_on_record() {
    let volume = Volume::of(&Custody::random(), Role::Keeper).await;
    let (place, role) = (&volume.place, Role::Keeper);
    let freeze = async |wallet, reason: &str| freeze(place, role, wallet, reason.to_owned()).await.unwrap();
    let thaw = async |wallet| thaw(place, role, wallet, "over".to_owned()).await.unwrap();
    assert!(freeze(None, "theft").await.changed);
    assert!(!freeze(None, "again").await.changed);
    assert!(freeze(alice(), "hers").await.changed);
    let listed = serde_json::to_value(freezes(place, role).await.unwrap()).unwrap();
    let shown: Vec<_> = listed["freezes"].as_array().unwrap().iter().map(|it| (&it["wallet"], &it["reason"])).collect();
    assert_eq!(shown, [(&json!(""), &json!("theft")), (&json!("alice"), &json!("hers"))]);

    let thawed = thaw(None).await;
    assert!(thawed.changed && thawed.message.contains("1 wallet(s) stay frozen"), "{thawed}");
    assert!(!thaw(None).await.changed);
    let frozen = volume.store().look(0, |ledger| ledger.frozen("alice")).await.unwrap().unwrap();
    assert_eq!((frozen.requester.as_str(), frozen.reason.as_str()), ("admin", "hers"));
    assert!(thaw(alice()).await.message.ends_with("nothing is frozen"));
    let done =
        |operation: &str, wallet: &str, reason: &str| (operation.to_owned(), wallet.to_owned(), reason.to_owned());
    let expected = [
        done("Freeze", "", "theft"),
        done("Freeze", "alice", "hers"),
        done("Thaw", "", "over"),
        done("Thaw", "alice", "over"),
    ];
    assert_eq!(volume.operations(role).await, expected);
}

#[tokio::test]
async fn without_the_signers_own_key_a_chain_is_not_accepted() {
    let volume = Volume::of(&Custody::random(), Role::Cooler).await;
    let error = unlock(&volume.place, Role::Cooler, "restored".to_owned()).await.unwrap_err();
    assert!(matches!(error, AdminError::Identity(_) | AdminError::Vault(_)), "{error}");
    assert_eq!(volume.operations(Role::Cooler).await, []);
}

#[tokio::test]
async fn what_waits_is_listed_and_vetoed_for_good_but_not_what_was_signed() {
    let volume = Volume::of(&Custody::random(), Role::Keeper).await;
    let announce = |digest: u8| {
        move |ledger: &Ledger<'_>| {
            let waits = mark("alice", digest.into(), Kind::Payment, digest);
            ledger.announce(&waits, &format!("payment {digest}"))
        }
    };
    for digest in [1, 2] {
        volume.with(u64::from(digest), announce(digest)).await;
    }
    volume.with(3, |ledger| ledger.record(&mark("alice", 2, Kind::Payment, 2))).await;
    let veto = async |digest: u8| veto(&volume.place, Role::Keeper, Hex([digest; 32])).await;
    assert_eq!(veto(1).await.unwrap(), Done::new(true, "vetoed: payment 1"));
    assert!(!veto(1).await.unwrap().changed);
    assert!(veto(2).await.unwrap_err().to_string().contains("was signed already"));
    assert!(veto(3).await.unwrap_err().to_string().contains("nothing with digest 0303"));
    let listed = serde_json::to_value(pending(&volume.place, Role::Keeper).await.unwrap()).unwrap();
    let waits = json!({"digest": "01".repeat(32), "wallet": "alice", "chain": CHAIN, "summary": "payment 1",
        "sinceMs": 1, "vetoed": true});
    assert_eq!(listed, json!({"pending": [waits]}));
    assert_eq!(volume.operations(Role::Keeper).await.len(), 1);
}

#[tokio::test]
async fn settlements_are_noted_all_or_none() {
    let volume = Volume::of(&Custody::random(), Role::Keeper).await;
    volume.with(0, register("alice")).await;
    let one = |wallet: &str, nonce: u64, digest: &str| json!({"wallet": wallet, "chain": CHAIN, "nonce": nonce, "digest": digest.repeat(32)});
    let settle = async |file: Value| {
        settle(&volume.place, Role::Keeper, file.to_string().as_bytes()).await.map_err(|error| error.to_string())
    };
    let mut unknown = one("alice", 0, "01");
    unknown["more"] = json!(1);
    let mut twofold = one("alice", 0, "01");
    twofold["claim"] = json!("nonce 0");
    let refused = [
        (json!([one("alice", 0, "01"), one("bob", 0, "01")]), "'bob' is not registered"),
        (json!([one("alice", 0, "01"), one("alice", 0, "02")]), "another digest was attested for nonce 0"),
        (json!([one("alice", u64::MAX, "01")]), "below 2^63"),
        (json!([unknown]), "unknown field"),
        (json!([twofold]), "a nonce or a claim"),
        (json!([one("alice", 0, "0")]), "64 hex digits"),
        (json!({}), "no JSON array"),
    ];
    for (file, why) in refused {
        let error = settle(file).await.unwrap_err();
        assert!(error.contains(why) && error.lines().count() == 1, "{error}");
    }
    assert_eq!(volume.operations(Role::Keeper).await, [], "nothing was noted");
    let file = json!([one("alice", 0, "01"), one("alice", 1, "02")]);
    assert_eq!(settle(file.clone()).await, Ok(Done::new(true, "2 settlement(s) noted, 0 known before")));
    assert_eq!(settle(file).await, Ok(Done::new(false, "0 settlement(s) noted, 2 known before")));
    assert!(settle(json!([one("alice", 1, "03")])).await.unwrap_err().contains("another digest"));
    assert_eq!(volume.operations(Role::Keeper).await.len(), 2);
    assert_eq!(volume.with(0, |ledger| ledger.nonces("alice", CHAIN, 2)).await.next, 2);
}

#[tokio::test]
async fn only_the_admin_takes_back_what_is_final_and_it_counts_and_waits_again() {
    let volume = Volume::of(&Custody::random(), Role::Keeper).await;
    volume.with(0, register("alice")).await;
    let one = |nonce: u64, digest: &str, form: Option<&str>| {
        let mut one = json!({"wallet": "alice", "chain": CHAIN, "nonce": nonce, "digest": digest.repeat(32)});
        if let Some(form) = form {
            one[form] = json!(true);
        }
        one
    };
    let settle = async |file: Value| {
        settle(&volume.place, Role::Keeper, file.to_string().as_bytes()).await.map_err(|error| error.to_string())
    };
    let pay = |ledger: &Ledger<'_>| {
        for nonce in [0, 1] {
            let mark = mark("alice", nonce, Kind::Payment, nonce as u8 + 1);
            ledger.record(&mark)?;
            ledger.spend(&spend(&mark, 10), true)?;
        }
        Ok(())
    };
    volume.with(1, pay).await;
    let window = || windows().find(|it| it.scope == Scope::Total).unwrap();
    let spent = async || volume.with(u64::MAX / 4, move |ledger| ledger.spent(&window(), "", CHAIN, "ETH")).await;
    let next = async || volume.with(0, |ledger| ledger.progress("alice", CHAIN)).await.next;
    for file in [
        json!([one(0, "01", Some("revoke"))]),
        json!([one(0, "01", Some("correct"))]),
        json!([one(1_000_000_000, "01", None)]),
    ] {
        let error = settle(file).await.unwrap_err();
        assert!(error.contains("nothing to take back") || error.contains("comes after nonce 0"), "{error}");
    }
    let mut both = one(0, "01", Some("revoke"));
    both["correct"] = json!(true);
    assert!(settle(json!([both])).await.unwrap_err().contains("not both"));
    settle(json!([one(0, "01", None), one(1, "02", None)])).await.unwrap();
    assert_eq!((spent().await, next().await), (Amount::ZERO, 2), "long ago");

    // Another transaction used the first nonce: both amounts are outstanding again, and the second nonce waits.
    let corrected = settle(json!([one(0, "07", Some("correct"))])).await;
    assert_eq!(corrected, Ok(Done::new(true, "1 settlement(s) noted, 0 known before")));
    assert_eq!((spent().await, next().await), (Amount::from(20), 1));
    assert!(settle(json!([one(0, "01", None)])).await.is_ok(), "until it is final its attester corrects it");
    settle(json!([one(1, "02", None)])).await.unwrap();
    assert_eq!((spent().await, next().await), (Amount::ZERO, 2));

    assert!(settle(json!([one(0, "07", Some("revoke"))])).await.unwrap_err().contains("another digest"));
    settle(json!([one(0, "01", Some("revoke"))])).await.unwrap();
    assert_eq!((spent().await, next().await), (Amount::from(20), 0));
    let second = mark("alice", 0, Kind::Payment, 9);
    assert!(volume.store().decide(0, move |ledger| ledger.record(&second)).await.is_err(), "no second payment");
    let told: Vec<_> = volume.operations(Role::Keeper).await.into_iter().map(|(operation, ..)| operation).collect();
    let expected = ["Settle", "Settle", "SettlementCorrect", "SettlementCorrect", "Settle", "SettlementRevoke"];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn all_that_waits_a_wallet_and_a_destination_are_vetoed_and_the_last_two_until_that_is_lifted() {
    let volume = Volume::of(&Custody::random(), Role::Keeper).await;
    let (place, role) = (&volume.place, Role::Keeper);
    for digest in [1, 2] {
        let announce = move |ledger: &Ledger<'_>| {
            let waits = mark("alice", digest, Kind::Payment, digest as u8);
            ledger.announce(&waits, "much")?;
            ledger.wait_until(&waits, u64::MAX / 4)
        };
        volume.with(1, announce).await;
    }
    assert_eq!(veto_all(place, role).await.unwrap(), Done::new(true, "2 payment(s) that waited are vetoed"));
    assert!(!veto_all(place, role).await.unwrap().changed);
    let of_alice = || Of::Wallet("alice".parse().unwrap());
    let to = |address: &str| Of::Destination(address.to_owned());
    for (of, again) in [(of_alice(), of_alice()), (to(SAFE), to(&SAFE.to_lowercase()))] {
        assert!(veto_of(place, role, of, false).await.unwrap().changed);
        assert!(!veto_of(place, role, again, false).await.unwrap().changed);
    }
    let mistyped = veto_of(place, role, to("0x12"), false).await.unwrap_err().to_string();
    assert!(mistyped.contains("0x12"), "{mistyped}");
    let listed = serde_json::to_value(pending(place, role).await.unwrap()).unwrap();
    let names: Vec<_> = listed["vetoes"].as_array().unwrap().iter().map(|it| (&it["scope"], &it["name"])).collect();
    let expected = [(json!("destination"), json!(SAFE.to_lowercase())), (json!("wallet"), json!("alice"))];
    assert_eq!(names, expected.each_ref().map(|(scope, name)| (scope, name)));
    for of in [of_alice(), to(SAFE)] {
        assert!(veto_of(place, role, of.clone(), true).await.unwrap().changed);
        assert!(!veto_of(place, role, of, true).await.unwrap().changed);
    }
    let told: Vec<_> = volume.operations(role).await;
    let told: Vec<_> =
        told.iter().map(|(operation, wallet, reason)| [operation, wallet, reason].map(String::as_str)).collect();
    let destination = format!("destination {SAFE}");
    let expected = [
        ["Veto", "alice", ""],
        ["Veto", "alice", ""],
        ["Veto", "alice", ""],
        ["Veto", "", &destination],
        ["VetoLift", "alice", ""],
        ["VetoLift", "", &destination],
    ];
    assert_eq!(told, expected);
}

/// Its exported history.
async fn history_of(volume: &Volume) -> String {
    let written = Written::default();
    export_history(&volume.place, Role::Keeper, written.clone()).await.unwrap();
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// A history with one of everything.
async fn lived(volume: &Volume) {
    let live = |ledger: &Ledger<'_>| {
        let paid = [mark("alice", 0, Kind::Payment, 1), mark("alice", 1, Kind::Payment, 2)];
        for (mark, amount) in paid.iter().zip([100, 10]) {
            ledger.record(mark)?;
            ledger.spend(&spend(mark, amount), true)?;
        }
        ledger.attest("alice", CHAIN, &Claim::Sequence(0), &settled([1; 32]))?;
        ledger.record(&mark("alice", 1, Kind::Cancel, 3))?;
        ledger.record_evacuation(&[4; 32], CHAIN, "0xalice")?;
        ledger.freeze("bob", "app", "odd")?;
        for (digest, summary) in [(5, "much"), (6, "more")] {
            let waits = mark("alice", digest, Kind::Payment, digest as u8);
            ledger.announce(&waits, summary)?;
            ledger.wait_until(&waits, u64::MAX / 4)?;
        }
        ledger.veto(&[6; 32])?;
        ledger.veto_all_of(VetoScope::Wallet, "carol")?;
        ledger.use_intent(&[7; 16], &[1; 32])
    };
    assert!(volume.with(now_ms(), live).await);
}

#[tokio::test]
async fn a_history_that_is_not_this_signers_or_forgets_something_is_refused_whole() {
    let custody = Custody::random();
    let (a, b) = (Volume::of(&custody, Role::Keeper).await, Volume::of(&custody, Role::Keeper).await);
    lived(&a).await;
    // Without a Vault the keys don't open, and nobody signs it.
    let file = history_of(&a).await;
    let import = async |volume: &Volume, file: &str| {
        let accepted = Accepted { unsigned: true, ..Accepted::default() };
        import_history(&volume.place, Role::Keeper, file.as_bytes(), accepted).await.map_err(|error| error.to_string())
    };
    let by_default = import_history(&b.place, Role::Keeper, file.as_bytes(), Accepted::default()).await.unwrap_err();
    assert!(matches!(by_default, AdminError::History(HistoryError::Unsigned)), "{by_default}");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&file).unwrap();
        change(&mut value);
        value.to_string()
    };
    let other = Custody::random().id().to_string();
    let other_payment = |wallet: &mut Value| {
        for list in ["signed", "spends"] {
            wallet[list][0]["digest"] = json!("09".repeat(32));
        }
    };
    let shorter = |wallet: &mut Value| {
        for list in ["signed", "spends"] {
            wallet[list].as_array_mut().unwrap().truncate(1);
        }
    };
    let foreign = [
        (changed(&|it| it["format"] = json!("eip-3076")), "not a signing history"),
        (changed(&|it| it["version"] = json!(5)), "has version 5"),
        (changed(&|it| it["role"] = json!("cooler")), "cooler's, this is keeper"),
        (changed(&|it| it["custodyId"] = json!(other)), "is of custody"),
        (changed(&|it| it["wallets"][0]["more"] = json!(1)), "unknown field"),
        (
            changed(&|it| it["wallets"][0]["signed"][0]["claims"][0] = json!(format!("nonce {}", u64::MAX))),
            "above 2^63",
        ),
        (changed(&|it| it["wallets"][0]["signed"][1]["claims"] = json!(["nonce 0"])), "payment at nonce 0"),
        (changed(&|it| it["wallets"][0]["signed"][1]["claims"] = json!([])), "uses nothing up"),
        (changed(&|it| it["wallets"][0]["signed"][1]["claims"] = json!(["1 coin"])), "neither a nonce nor a coin"),
        (changed(&|it| it["wallets"][0]["spends"][0]["digest"] = json!("09".repeat(32))), "which was not signed"),
        ("[]".to_owned(), "not a signing history"),
    ];
    for (file, why) in &foreign {
        let error = import(&b, file).await.unwrap_err();
        assert!(error.contains(why) && error.lines().count() == 1, "{error}");
    }
    // Into the store itself, which knows better.
    let conflicting = [
        (changed(&|it| it["wallets"] = json!([])), "older than this store"),
        (changed(&|it| other_payment(&mut it["wallets"][0])), "payment at nonce 0"),
        (changed(&|it| it["wallets"][0]["settled"][0]["digest"] = json!("09".repeat(32))), "settlement at nonce 0"),
        (changed(&|it| it["wallets"][0]["spends"][0]["amount"] = json!("1")), "amount at nonce 0"),
        (changed(&|it| it["intents"][0]["digest"] = json!("09".repeat(32))), "intent 0707"),
        (changed(&|it| shorter(&mut it["wallets"][0])), "ends at nonce 0"),
    ];
    for (file, why) in &conflicting {
        let error = import(&a, file).await.unwrap_err();
        assert!(error.contains(why) && error.lines().count() == 1, "{error}");
    }
    assert_eq!(history_of(&a).await, file, "nothing was written");
    assert_eq!((a.operations(Role::Keeper).await, b.operations(Role::Keeper).await), (vec![], vec![]));

    // A freeze and a veto that the file does not know stay; one that it knows comes back.
    b.with(0, |ledger| {
        ledger.freeze("", "admin", "lost volume")?;
        ledger.announce(&mark("alice", 5, Kind::Payment, 5), "much")?;
        ledger.veto(&[5; 32])
    })
    .await;
    assert!(import(&b, &file).await.unwrap().changed);
    assert!(!import(&b, &file).await.unwrap().changed);
    let look = |ledger: &Ledger<'_>| {
        let vetoed = [ledger.announcement(&[5; 32])?, ledger.announcement(&[6; 32])?];
        Ok((ledger.freezes()?.len(), vetoed.into_iter().flatten().all(|it| it.vetoed && it.at_ms > 0)))
    };
    assert_eq!(b.with(0, look).await, (2, true));
    assert_eq!(b.operations(Role::Keeper).await, [("HistoryImport".to_owned(), String::new(), String::new())]);
}

/// One thing that happens to a wallet.
#[derive(Debug, Clone, Copy)]
struct Step {
    what: u8,
    wallet: u8,
    amount: u8,
    later_ms: u64,
}

const LENGTHS_MS: [u64; 3] = [6_400, 60_000, 3_600_000];

fn windows() -> impl Iterator<Item = Window> {
    LENGTHS_MS.into_iter().flat_map(|length_ms| {
        [Scope::Wallet, Scope::Total].map(|scope| Window {
            length_ms,
            scope,
            payees: policy::Payees::All,
            limit: Amount::from(u128::MAX),
        })
    })
}

fn step(ledger: &Ledger<'_>, number: u8, Step { what, wallet, amount, .. }: Step) -> Result<(), StoreError> {
    let wallet = format!("wallet-{wallet}");
    let nonces = ledger.nonces(&wallet, CHAIN, 0)?;
    let next = nonces.highest.map_or(0, |highest| highest + 1);
    match what {
        0..=3 => {
            let mark = mark(&wallet, next, Kind::Payment, number);
            ledger.record(&mark)?;
            ledger.spend(&spend(&mark, amount.into()), what > 0)?;
        }
        4 => ledger.record(&mark(&wallet, nonces.next, Kind::Cancel, number))?,
        5 | 6 if nonces.highest >= Some(nonces.next) => {
            let payment = ledger.nonces(&wallet, CHAIN, nonces.next)?.payment.filter(|_| what == 5);
            ledger.attest(&wallet, CHAIN, &Claim::Sequence(nonces.next), &settled(payment.unwrap_or([number; 32])))?;
        }
        7 => drop(ledger.freeze(&wallet, "app", "odd")?),
        8 => {
            let waits = mark(&wallet, nonces.next, Kind::Payment, number);
            ledger.announce(&waits, "much")?;
            ledger.wait_until(&waits, ledger.now_ms() + 1000)?;
        }
        9 => drop(ledger.use_intent(&[number; 16], &[number; 32])?),
        10 => drop(ledger.record_evacuation(&[number; 32], CHAIN, &wallet)?),
        11 if nonces.highest >= Some(nonces.next) => {
            let used = Attested { state: SettlementState::Used, ..settled([number; 32]) };
            ledger.attest(&wallet, CHAIN, &Claim::Sequence(nonces.next), &used)?;
        }
        12 if nonces.next > 0 => ledger.revoke(&wallet, CHAIN, &Claim::Sequence(nonces.next - 1))?,
        13 => drop(ledger.veto_all_of(VetoScope::Wallet, &wallet)?),
        _ => {
            for window in windows() {
                ledger.spent(&window, &wallet, CHAIN, "ETH")?;
            }
        }
    }
    Ok(())
}

/// All that the next decision depends on.
fn protections(ledger: &Ledger<'_>) -> Result<Vec<String>, StoreError> {
    let mut all = Vec::new();
    for wallet in (0..3).map(|n| format!("wallet-{n}")) {
        all.extend((0..40).map(|nonce| ledger.nonces(&wallet, CHAIN, nonce).map(|it| format!("{it:?}"))));
        all.extend(windows().map(|it| ledger.spent(&it, &wallet, CHAIN, "ETH").map(|sum| sum.to_string())));
        all.push(ledger.frozen(&wallet).map(|it| format!("{it:?}")));
    }
    all.into_iter().collect()
}

async fn protects_as_before(steps: Vec<Step>) {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (Store::open(a.path()).unwrap(), Store::open(b.path()).unwrap());
    let mut now_ms = 1_000_000;
    for (number, it) in steps.into_iter().enumerate() {
        now_ms += it.later_ms;
        a.decide(now_ms, move |ledger| step(ledger, number as u8, it)).await.unwrap();
    }
    let custody = Custody::random().id();
    let history_of = async |store: &Store| {
        let write =
            move |ledger: &Ledger<'_>| Ok(ledger.write_history(custody, Role::Keeper, None, Vec::new()).unwrap());
        History::parse(&store.export(now_ms, write).await.unwrap(), custody, Role::Keeper).unwrap()
    };
    let history = history_of(&a).await;
    let imported = history.clone();
    b.decide(now_ms, move |ledger| ledger.import(&imported)).await.unwrap().unwrap();
    assert_eq!(history_of(&b).await, history);
    for later_ms in [0, 3_000, 6_500, 45_000, 4_000_000] {
        let (of_a, of_b) =
            (a.decide(now_ms + later_ms, protections).await.unwrap(), b.decide(now_ms + later_ms, protections).await);
        assert_eq!(of_a, of_b.unwrap(), "{later_ms} ms later");
    }
    for wallet in history.wallets {
        for signed in wallet.signed.into_iter().filter(|it| it.kind == signer::history::Kind::Payment) {
            let other = Watermark { claims: signed.claims, ..mark(&wallet.wallet, 0, Kind::Payment, 255) };
            assert!(b.decide(now_ms, move |ledger| ledger.record(&other)).await.is_err(), "a second payment");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_an_import_the_same_protections_hold(
        steps in prop::collection::vec(
            (0..16_u8, 0..3_u8, any::<u8>(), 0..9_000_u64)
                .prop_map(|(what, wallet, amount, later_ms)| Step { what, wallet, amount, later_ms }),
            0..50,
        )
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(protects_as_before(steps));
    }
}
