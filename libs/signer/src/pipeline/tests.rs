//! Promises of the pipeline, with real stores and a real Vault: Keeper and Cooler side by side.

mod coins;
mod gates;
mod growth;
mod internal;
mod limits;
mod old;
mod pruned;
mod records;
mod room;
mod rules;
mod settlements;
mod starts;
mod waits;

use std::collections::BTreeMap;

use chain::{Claim, Effect, KeyRole};
use custodies::{CHAIN, Ceremony, Custody, SAFE};
use custody::{
    Role,
    local_policy::{AssetLimits, LocalPolicy},
};
use data_center::RealVault;
use futures::future::join_all;
use prost::Message;
use protocol::{
    attestation::{attest_audit_head, attest_hot_keys, hot_keys, wallet_record},
    envelope::Peers,
    ops::*,
};
use rand_core::{OsRng, RngCore};

use super::{Asker, digest};
use crate::{
    store::{Kind, Ledger, OperationKey, Watermark},
    tests::fixtures::{Running, Terms, adapters, eventually, local_policy, transfer, unsigned},
};

const ETH: u128 = 1_000_000_000_000_000_000;

/// Both signers of one custody. One Vault serves both here; each has its own key in it.
struct Pair {
    vault: RealVault,
    custody: Custody,
    keeper: Running,
    cooler: Running,
}

impl Pair {
    async fn start() -> Self {
        Self::of(Custody::random()).await
    }

    async fn of(custody: Custody) -> Self {
        let vault = RealVault::start().await;
        let keeper = Running::start(&vault, &custody, Role::Keeper, Peers::default()).await;
        let approved = BTreeMap::from([(Role::Keeper, vec![keeper.keys.own().public().clone()])]);
        let cooler = Running::start(&vault, &custody, Role::Cooler, Peers::new(&approved).unwrap()).await;
        Self { vault, custody, keeper, cooler }
    }

    /// As after a restart of both processes.
    async fn restart(self) -> Self {
        let Self { vault, custody, keeper, cooler } = self;
        drop((keeper, cooler));
        let keeper = Running::start(&vault, &custody, Role::Keeper, Peers::default()).await;
        let approved = BTreeMap::from([(Role::Keeper, vec![keeper.keys.own().public().clone()])]);
        let cooler = Running::start(&vault, &custody, Role::Cooler, Peers::new(&approved).unwrap()).await;
        Self { vault, custody, keeper, cooler }
    }

    async fn hot(&self, wallet: &str) -> Attestation {
        match self
            .keeper
            .ask(Operation::CreateWallet(CreateWallet { wallet: wallet.to_owned(), ..CreateWallet::default() }))
            .await
        {
            Outcome::Created(attestation) => attestation,
            other => panic!("{other:?}"),
        }
    }

    /// A wallet with both signers; its address.
    async fn wallet(&self, wallet: &str) -> String {
        let register = registration(self.hot(wallet).await);
        let mut addresses = Vec::new();
        for signer in [&self.keeper, &self.cooler] {
            match signer.ask(Operation::RegisterWallet(register.clone())).await {
                Outcome::Registered(record) => {
                    let key = signer.keys.own().message_key().verifying_key();
                    addresses.push(wallet_record(&record, &[key]).unwrap().addresses.remove(0).address);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(addresses[0], addresses[1]);
        addresses.remove(0)
    }
}

impl Running {
    async fn ask(&self, operation: Operation) -> Outcome {
        self.answer(&request(operation)).await
    }

    async fn answer(&self, request: &Request) -> Outcome {
        self.say(Role::App, request).await
    }

    /// Serves under this local policy; `observed` as in [`Terms`].
    fn under(&self, local_policy: LocalPolicy, observed: bool) {
        self.serve(Role::Keeper, Terms { local_policy, observed, ..Terms::default() });
    }

    /// The sentinel's word that the nonce is used up by `digest` for good.
    async fn settle(&self, wallet: &str, nonce: u64, digest: &[u8]) -> Outcome {
        self.state(wallet, nonce, digest, SettlementState::Final).await
    }

    /// What the sentinel says of a nonce, as sure as `state` says.
    async fn state(&self, wallet: &str, nonce: u64, digest: &[u8], state: SettlementState) -> Outcome {
        let settlement = Settlement::new(wallet, CHAIN, Claim::Sequence(nonce), digest.try_into().unwrap());
        let settlements = vec![settlement.stated(state)];
        self.say(Role::Sentinel, &request(Operation::Settle(Settle { settlements }))).await
    }

    /// The sentinel's longest lease.
    async fn lease(&self) {
        let lease = Lease { until_ms: self.now_ms() + MAX_LEASE_MS };
        assert_eq!(self.say(Role::Sentinel, &request(Operation::Lease(lease))).await, Outcome::Done(Done {}));
    }

    /// Its audit chain, verified.
    async fn chain(&self) -> Vec<audit::Record> {
        let custody = self.signer.serving().unwrap().custody_id().as_bytes().to_vec();
        let role = self.signer.serving().unwrap().role;
        let written = self.store.look(0, move |ledger| {
            let (mut bytes, header) = (Vec::new(), audit::Header::new(role.as_str(), custody, ledger.head()?));
            Ok(ledger.write_audit(&header, &mut bytes).map(|()| bytes))
        });
        let export = audit::read(written.await.unwrap().unwrap().as_slice()).unwrap();
        audit::verify(&export, &[]).unwrap();
        export.lines.into_iter().map(|line| line.record).collect()
    }

    /// Any role asks.
    async fn say(&self, role: Role, request: &Request) -> Outcome {
        let asker = Asker { role, key: [9; 32] };
        self.signer.answer(asker, request.clone(), digest(request)).await.outcome.unwrap()
    }
}

fn request(operation: Operation) -> Request {
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    Request { operation_id, operation: Some(operation) }
}

/// The usual local policy with other rules for ETH.
fn eth(change: impl FnOnce(&mut AssetLimits)) -> LocalPolicy {
    let mut local_policy = local_policy();
    change(&mut local_policy.assets[0]);
    local_policy
}

fn registration(hot: Attestation) -> RegisterWallet {
    RegisterWallet { hot: Some(hot), chains: vec![CHAIN.to_owned()], salt: Vec::new() }
}

fn payment(wallet: &str, intent: &Effect, nonce: u64) -> Payment {
    let unsigned = unsigned(intent, nonce);
    Payment { wallet: wallet.to_owned(), chain: CHAIN.to_owned(), unsigned, ..Payment::default() }
}

fn sign(payment: &Payment) -> Operation {
    Operation::Sign(payment.clone())
}

fn countersign(payment: &Payment, hot: &Signed) -> Operation {
    Operation::Sign(Payment { hot_signatures: hot.signatures.clone(), ..payment.clone() })
}

fn cancel(to: &str) -> Effect {
    Effect::Cancel { to: to.to_owned() }
}

#[track_caller]
fn signed(outcome: Outcome) -> Signed {
    match outcome {
        Outcome::Signed(signed) => signed,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(outcome: Outcome) -> String {
    match outcome {
        Outcome::Refused(Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn unavailable(outcome: Outcome) -> String {
    match outcome {
        Outcome::Unavailable(Refused { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn hot_and_cool_sign_what_both_have_decoded() {
    let pair = Pair::start().await;
    let address = pair.wallet("alice").await;
    for (nonce, intent) in [transfer("ETH", ETH), transfer("USDT", 5), cancel(SAFE)].iter().enumerate() {
        let payment = payment("alice", intent, nonce as u64);
        for signer in [&pair.keeper, &pair.cooler] {
            assert!(matches!(signer.ask(Operation::Check(payment.clone())).await, Outcome::Allowed(_)));
        }
        let hot = signed(pair.keeper.ask(sign(&payment)).await);
        let cool = signed(pair.cooler.ask(countersign(&payment, &hot)).await);
        assert_eq!(hot.digest, cool.digest);

        let rules = adapters().rules(&CHAIN.parse().unwrap()).unwrap();
        let keeper = [pair.keeper.keys.own().message_key().verifying_key()];
        let hot_key = hot_keys(&pair.hot("alice").await, &keeper).unwrap().keys.remove(0).public_key;
        let owners = pair.custody.manifest.owners(rules.id(), &hot_key).unwrap();
        let wallet = rules.wallet(&owners, [0; 32]).unwrap();
        assert_eq!(wallet.address, address);
        let signatures = [(KeyRole::Hot, hot.signatures), (KeyRole::Cool, cool.signatures)];
        rules.assemble(&payment.unsigned, &wallet, &signatures).unwrap();
    }
}

#[tokio::test]
async fn a_wallet_has_one_phrase_under_any_operation_id() {
    let pair = Pair::start().await;
    let asked = join_all((0..8).map(|_| pair.hot("alice"))).await;
    assert!(asked.iter().all(|attestation| *attestation == asked[0]));
    assert_ne!(pair.hot("bob").await.body, asked[0].body);
    let pair = pair.restart().await;
    assert_eq!(pair.hot("alice").await, asked[0]);

    let create = Operation::CreateWallet(CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() });
    assert_eq!(refused(pair.cooler.ask(create).await), "NotServedHere");
    let bad = Operation::CreateWallet(CreateWallet { wallet: "../alice".to_owned(), ..CreateWallet::default() });
    assert_eq!(refused(pair.keeper.ask(bad).await), "Malformed");
}

#[tokio::test]
async fn only_keys_that_keeper_made_and_attested_become_a_wallet() {
    let pair = Pair::start().await;
    let hot = pair.hot("alice").await;
    let register = |hot: Option<Attestation>| {
        Operation::RegisterWallet(RegisterWallet { hot, ..registration(Attestation::default()) })
    };

    let own = pair.keeper.keys.own().message_key();
    let statement = hot_keys(&hot, &[own.verifying_key()]).unwrap();
    let foreign_key = NamespaceKey {
        namespace: "eip155".to_owned(),
        public_key: pair.custody.cold.keys().public_key("eip155").unwrap().to_vec(),
    };
    let foreign = HotKeys { keys: vec![foreign_key], ..statement.clone() };
    let elsewhere = HotKeys { custody_id: vec![9; 16], ..statement.clone() };
    let stranger = crate::identity::tests::keys(1);
    let unbelievable = [
        None,
        Some(attest_hot_keys(&statement, stranger.own().message_key())),
        Some(attest_hot_keys(&statement, pair.cooler.keys.own().message_key())),
        Some(Attestation { body: foreign.encode_to_vec(), ..hot.clone() }),
    ];
    for attestation in unbelievable.iter().take(2).chain(&unbelievable[3..]) {
        assert_eq!(refused(pair.keeper.ask(register(attestation.clone())).await), "AttestationNotBelieved");
    }
    for attestation in unbelievable {
        assert_eq!(refused(pair.cooler.ask(register(attestation)).await), "AttestationNotBelieved");
    }
    assert_eq!(refused(pair.cooler.ask(register(Some(attest_hot_keys(&elsewhere, own)))).await), "OtherCustody");
    // A cold key as hot would make 2-of-3 a 1-of-2, and Keeper registers nothing that it did not make.
    let foreign = attest_hot_keys(&foreign, own);
    assert_eq!(refused(pair.cooler.ask(register(Some(foreign.clone()))).await), "WalletNotPossible");
    assert_eq!(refused(pair.keeper.ask(register(Some(foreign))).await), "NotMyKey");
}

#[tokio::test]
async fn a_registered_wallet_is_never_changed() {
    let pair = Pair::start().await;
    let hot = pair.hot("alice").await;
    let again = registration(hot.clone());
    let other_chain = RegisterWallet { chains: vec!["eip155:1".to_owned()], ..again.clone() };
    let no_chain = RegisterWallet { chains: Vec::new(), ..again.clone() };
    let twice = RegisterWallet { chains: vec![CHAIN.to_owned(); 2], ..again.clone() };
    let other_salt = RegisterWallet { salt: vec![1; 32], ..again.clone() };
    let bad_salt = RegisterWallet { salt: vec![1; 31], ..again.clone() };
    for signer in [&pair.keeper, &pair.cooler] {
        let ask = async |register: &RegisterWallet| signer.ask(Operation::RegisterWallet(register.clone())).await;
        let first = ask(&again).await;
        assert!(matches!(first, Outcome::Registered(_)), "{first:?}");
        assert_eq!(ask(&again).await, first);
        assert_eq!(refused(ask(&other_salt).await), "WalletDiffers");
        assert_eq!(refused(ask(&other_chain).await), "ChainNotAllowed");
        for malformed in [&no_chain, &twice, &bad_salt] {
            assert_eq!(refused(ask(malformed).await), "Malformed");
        }
    }
}

#[tokio::test]
async fn cooler_signs_only_what_hot_has_signed() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.wallet("bob").await;
    let small = payment("alice", &transfer("ETH", 1), 0);
    let other = payment("alice", &transfer("ETH", 2), 1);
    let hot = signed(pair.keeper.ask(sign(&small)).await);
    let of_other = signed(pair.keeper.ask(sign(&other)).await);
    let of_bob = signed(pair.keeper.ask(sign(&payment("bob", &transfer("ETH", 1), 0))).await);
    let none = Signed { signatures: Vec::new(), ..hot.clone() };
    let empty = Signed { signatures: vec![Vec::new()], ..hot.clone() };
    let twice = Signed { signatures: vec![hot.signatures[0].clone(); 2], ..hot.clone() };
    for bad in [none, empty, twice, of_other, of_bob] {
        assert_eq!(refused(pair.cooler.ask(countersign(&small, &bad)).await), "HotSignatureInvalid");
    }
    // Nothing was recorded for these refusals: the nonce is free for the one that hot did sign.
    signed(pair.cooler.ask(countersign(&small, &hot)).await);
    assert_eq!(refused(pair.keeper.ask(countersign(&small, &hot)).await), "Malformed");
}

#[tokio::test]
async fn what_the_local_policy_does_not_allow_is_refused_by_both_and_the_wallet_stays_usable() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let table = [
        (payment("alice", &transfer("ETH", ETH + 1), 0), "OverLimit"),
        (payment("alice", &transfer("OTHER", 1), 0), "UnknownAsset"),
        (payment("alice", &cancel("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"), 0), "NotASafeDestination"),
        (payment("bob", &transfer("ETH", 1), 0), "WalletUnknown"),
        (payment("alice", &transfer("ETH", 1), u64::MAX), "NonceTooLarge"),
        (Payment { chain: "eip155:1".to_owned(), ..payment("alice", &transfer("ETH", 1), 0) }, "ChainNotAllowed"),
        (Payment { unsigned: vec![0; 32], ..payment("alice", &transfer("ETH", 1), 0) }, "Malformed"),
    ];
    for (bad, reason) in table {
        assert_eq!(refused(pair.keeper.ask(Operation::Check(bad.clone())).await), reason);
        assert_eq!(refused(pair.cooler.ask(Operation::Check(bad.clone())).await), reason);
        assert_eq!(refused(pair.keeper.ask(sign(&bad)).await), reason);
    }
    let good = payment("alice", &transfer("ETH", ETH), 0);
    let hot = signed(pair.keeper.ask(sign(&good)).await);
    signed(pair.cooler.ask(countersign(&good, &hot)).await);
}

#[tokio::test]
async fn a_nonce_takes_one_payment_and_at_any_time_the_cancel() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let (first, second) = (payment("alice", &transfer("ETH", 1), 0), payment("alice", &transfer("ETH", 2), 0));
    let ended = payment("alice", &cancel(SAFE), 0);
    let checked = pair.keeper.ask(Operation::Check(second.clone())).await;
    assert!(matches!(checked, Outcome::Allowed(_)), "a check takes no nonce: {checked:?}");
    let hot = signed(pair.keeper.ask(sign(&first)).await);
    let again = signed(pair.keeper.ask(sign(&first)).await);
    assert_eq!(again.signatures, hot.signatures, "the same payment under another operation id");
    assert_eq!(refused(pair.keeper.ask(sign(&second)).await), "NonceUsed");
    assert_eq!(refused(pair.keeper.ask(Operation::Check(second.clone())).await), "NonceUsed");
    signed(pair.keeper.ask(sign(&ended)).await);
    let pair = pair.restart().await;
    assert_eq!(refused(pair.keeper.ask(sign(&second)).await), "NonceUsed");
    assert_eq!(signed(pair.keeper.ask(sign(&first)).await).signatures, hot.signatures);
    signed(pair.keeper.ask(sign(&payment("alice", &transfer("ETH", 2), 1))).await);
}

#[tokio::test]
async fn an_operation_id_belongs_to_one_request_and_its_result_stays() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let good = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    let bad = request(sign(&payment("alice", &transfer("ETH", ETH + 1), 1)));
    let answers = join_all((0..20).map(|_| pair.keeper.answer(&good))).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    signed(answers[0].clone());
    assert_eq!(refused(pair.keeper.answer(&bad).await), "OverLimit");

    let reused = Request { operation: bad.operation.clone(), ..good.clone() };
    assert_eq!(refused(pair.keeper.answer(&reused).await), "OperationIdReused");
    let reused = Request { operation: good.operation.clone(), ..bad.clone() };
    assert_eq!(refused(pair.keeper.answer(&reused).await), "OperationIdReused");

    let pair = pair.restart().await;
    // But for the head, which is the present one.
    let (then, now) = (signed(answers[0].clone()), signed(pair.keeper.answer(&good).await));
    assert_eq!((now.digest, now.signatures), (then.digest, then.signatures));
    assert_eq!(refused(pair.keeper.answer(&bad).await), "OverLimit");
}

#[tokio::test]
async fn of_many_payments_at_one_nonce_exactly_one_is_signed() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let payments = (1..=40).map(|amount| payment("alice", &transfer("ETH", amount), 0));
    let outcomes = join_all(payments.map(async |payment| pair.keeper.ask(sign(&payment)).await)).await;
    let signatures = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Signed(_))).count();
    assert_eq!(signatures, 1);
    let refusals = outcomes.into_iter().filter(|outcome| !matches!(outcome, Outcome::Signed(_))).map(refused);
    assert!(refusals.into_iter().all(|reason| reason == "NonceUsed"));
}

#[tokio::test]
async fn after_a_crash_between_watermark_and_result_the_retry_gets_the_one_signature() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let interrupted = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    let Outcome::Allowed(allowed) = pair.keeper.ask(Operation::Check(payment("alice", &transfer("ETH", 1), 0))).await
    else {
        panic!("the check is allowed");
    };
    // All that a process leaves that dies right after the first commit.
    let key =
        OperationKey { sender: "app", operation_id: interrupted.operation_id.clone(), digest: digest(&interrupted) };
    let mark = Watermark {
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        claims: vec![Claim::Sequence(0)],
        kind: Kind::Payment,
        id: allowed.digest.clone().try_into().unwrap(),
    };
    let crashed = move |ledger: &Ledger<'_>| {
        ledger.record(&mark)?;
        ledger.begin(&key)
    };
    assert!(pair.keeper.store.decide(0, crashed).await.unwrap());

    let pair = pair.restart().await;
    let other = payment("alice", &transfer("ETH", 2), 0);
    assert_eq!(refused(pair.keeper.ask(sign(&other)).await), "NonceUsed");
    let hot = signed(pair.keeper.answer(&interrupted).await);
    assert_eq!(hot.digest, allowed.digest);
    assert_eq!(signed(pair.keeper.answer(&interrupted).await), hot);
}

#[tokio::test]
async fn while_the_vault_is_sealed_nothing_is_decided_for_good_and_afterwards_the_same_request_is_signed() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.vault.server.seal().await.unwrap();
    let waiting = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    assert_eq!(unavailable(pair.keeper.answer(&waiting).await), "VaultSealed");
    let create = request(Operation::CreateWallet(CreateWallet { wallet: "bob".to_owned(), ..CreateWallet::default() }));
    assert_eq!(unavailable(pair.keeper.answer(&create).await), "VaultSealed");
    pair.vault.server.unseal().await.unwrap();
    let outcome = eventually(|| pair.keeper.answer(&waiting), |outcome| matches!(outcome, Outcome::Signed(_))).await;
    signed(outcome);
    assert!(matches!(pair.keeper.answer(&create).await, Outcome::Created(_)));
}

#[tokio::test]
async fn only_app_asks_and_only_while_there_is_something_to_serve_with() {
    let pair = Pair::start().await;
    let request =
        request(Operation::CreateWallet(CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() }));
    for sender in [Role::Keeper, Role::Cooler, Role::Sentinel] {
        assert_eq!(refused(pair.keeper.say(sender, &request).await), "NotApp");
    }
    let short = Request { operation_id: vec![1; 15], ..request.clone() };
    assert_eq!(refused(pair.keeper.answer(&short).await), "Malformed");
    let empty = Request { operation: None, ..request.clone() };
    assert_eq!(refused(pair.keeper.answer(&empty).await), "Malformed");
    pair.keeper.signer.serve(None);
    assert_eq!(unavailable(pair.keeper.answer(&request).await), "NotServing");
}

#[tokio::test]
async fn a_row_that_was_moved_to_another_wallet_signs_nothing() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.wallet("bob").await;
    let file = pair.keeper.data_dir.join(crate::store::FILE);
    let thief = rusqlite::Connection::open(file).unwrap();
    thief
        .execute_batch(
            "UPDATE hot_keys SET secret = (SELECT secret FROM hot_keys WHERE wallet = 'bob') WHERE wallet = 'alice';
             UPDATE wallets SET hot_keys = (SELECT hot_keys FROM wallets WHERE wallet = 'alice') WHERE wallet = 'bob';
             -- As if the rows had never been authenticated.
             DELETE FROM tally; DELETE FROM store_key; DELETE FROM audit;",
        )
        .unwrap();
    let pair = pair.restart().await;
    let alice = pair.keeper.ask(sign(&payment("alice", &transfer("ETH", 1), 0))).await;
    assert_eq!(unavailable(alice), "KeyDamaged");
    let bob = pair.keeper.ask(sign(&payment("bob", &transfer("ETH", 1), 0))).await;
    assert_eq!(unavailable(bob), "StoreDamaged");
}

#[tokio::test]
async fn no_secret_is_in_the_files() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let own = [pair.keeper.keys.own(), pair.cooler.keys.own()];
    let cool = pair.custody.cool.keys().secret("eip155").unwrap();
    let mut secrets: Vec<[u8; 32]> = own.iter().flat_map(|keys| [*keys.message_seed(), *keys.xkey_seed()]).collect();
    secrets.extend([*cool, *pair.custody.cool.entropy()]);
    for running in [&pair.keeper, &pair.cooler] {
        for file in std::fs::read_dir(&running.data_dir).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for secret in &secrets {
                assert!(!bytes.windows(32).any(|window| window == secret));
            }
        }
    }
}

#[tokio::test]
async fn the_head_of_a_locked_signer_is_not_kept_and_never_takes_a_newer_ones_place() {
    let pair = Pair::start().await;
    let key = pair.keeper.keys.own().clone();
    let custody_id = pair.custody.id().as_bytes().to_vec();
    let head = |count: u64| {
        let (role, hash) = (Role::Keeper.to_string(), vec![count as u8; 32]);
        let head = AuditHead { custody_id: custody_id.clone(), role, count, hash, ..AuditHead::default() };
        attest_audit_head(&head, key.message_key())
    };
    let held = async |count: u64, locked: bool| {
        let echo = request(Operation::EchoHead(EchoHead { head: Some(head(count)), locked, ..EchoHead::default() }));
        match pair.cooler.say(Role::Keeper, &echo).await {
            Outcome::Held(Held { head }) => head,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(held(3, true).await, None);
    assert_eq!(held(5, false).await, None);
    // A chain that was rolled back to 4 and was told of settlements and freezes since.
    assert_eq!(held(9, true).await, Some(head(5)));
    assert_eq!(held(9, true).await, Some(head(5)));
    assert_eq!(held(9, false).await, Some(head(5)));
    assert_eq!(held(9, true).await, Some(head(9)));
}
