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
use protocol::ops::{HotKeys, NamespaceKey};
use serde_json::{Value, json};
use signer::{
    history::History,
    store::{Kind, Ledger, RegisteredWallet, Spend, Store, StoreError, Watermark},
};
use workload::place::Place;

use super::{session::Done, *};

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
        ledger.settle("alice", CHAIN, &Claim::Sequence(0), &[0; 32]).map(drop)
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
        move |ledger: &Ledger<'_>| ledger.announce(&[digest; 32], "alice", CHAIN, &format!("payment {digest}"))
    };
    for digest in [1, 2] {
        volume.with(u64::from(digest), announce(digest)).await;
    }
    volume.with(3, |ledger| ledger.record(&mark("alice", 0, Kind::Payment, 2))).await;
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

/// A history with one of everything.
async fn lived(volume: &Volume) {
    let live = |ledger: &Ledger<'_>| {
        let paid = [mark("alice", 0, Kind::Payment, 1), mark("alice", 1, Kind::Payment, 2)];
        for (mark, amount) in paid.iter().zip([100, 10]) {
            ledger.record(mark)?;
            ledger.spend(&spend(mark, amount), true)?;
        }
        ledger.settle("alice", CHAIN, &Claim::Sequence(0), &[1; 32])?;
        ledger.record(&mark("alice", 1, Kind::Cancel, 3))?;
        ledger.record_evacuation(&[4; 32], CHAIN, "0xalice")?;
        ledger.freeze("bob", "app", "odd")?;
        ledger.announce(&[5; 32], "alice", CHAIN, "much")?;
        ledger.announce(&[6; 32], "alice", CHAIN, "more")?;
        ledger.veto(&[6; 32])?;
        ledger.use_intent(&[7; 16], &[1; 32])
    };
    assert!(volume.with(now_ms(), live).await);
}

#[tokio::test]
async fn a_history_that_is_not_this_signers_or_forgets_something_is_refused_whole() {
    let custody = Custody::random();
    let (a, b) = (Volume::of(&custody, Role::Keeper).await, Volume::of(&custody, Role::Keeper).await);
    lived(&a).await;
    let file = export_history(&a.place, Role::Keeper).await.unwrap();
    let import = async |volume: &Volume, file: &str| {
        import_history(&volume.place, Role::Keeper, file.as_bytes()).await.map_err(|error| error.to_string())
    };
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
        (changed(&|it| it["version"] = json!(4)), "has version 4"),
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
    assert_eq!(export_history(&a.place, Role::Keeper).await.unwrap(), file, "nothing was written");
    assert_eq!((a.operations(Role::Keeper).await, b.operations(Role::Keeper).await), (vec![], vec![]));

    // A freeze and a veto that the file does not know stay; one that it knows comes back.
    b.with(0, |ledger| {
        ledger.freeze("", "admin", "lost volume")?;
        ledger.announce(&[5; 32], "alice", CHAIN, "much")?;
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
            ledger.settle(&wallet, CHAIN, &Claim::Sequence(nonces.next), &payment.unwrap_or([number; 32]))?;
        }
        7 => drop(ledger.freeze(&wallet, "app", "odd")?),
        8 => drop(ledger.announce(&[number; 32], &wallet, CHAIN, "much")?),
        9 => drop(ledger.use_intent(&[number; 16], &[number; 32])?),
        10 => drop(ledger.record_evacuation(&[number; 32], CHAIN, &wallet)?),
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
    let empty = History::empty(Custody::random().id(), Role::Keeper);
    let of_b = empty.clone();
    let history = a.look(now_ms, move |ledger| ledger.history(empty)).await.unwrap();
    let imported = history.clone();
    b.decide(now_ms, move |ledger| ledger.import(&imported)).await.unwrap().unwrap();
    assert_eq!(b.look(now_ms, move |ledger| ledger.history(of_b)).await.unwrap(), history);
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
            (0..12_u8, 0..3_u8, any::<u8>(), 0..9_000_u64)
                .prop_map(|(what, wallet, amount, later_ms)| Step { what, wallet, amount, later_ms }),
            0..50,
        )
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(protects_as_before(steps));
    }
}
