//! Promises about what stands before every operation: freeze, lock, lease; about batches, clients' keys and the audit
//! chain.

use custody::trust::KeyProtection;

use super::*;
use crate::pipeline::{Lock, attest};

fn freeze(wallet: &str) -> Request {
    request(Operation::Freeze(Freeze { wallet: wallet.to_owned(), reason: "odd".to_owned() }))
}

fn lock(signer: &Running) {
    signer.signer.set_lock(Lock::Locked("for a test".to_owned()));
}

#[tokio::test]
async fn a_freeze_by_anybody_comes_before_stored_results_and_stays_over_a_restart_until_the_admin_thaws() {
    let pair = Pair::start().await;
    for wallet in ["alice", "bob"] {
        pair.wallet(wallet).await;
    }
    let paid = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    let result = signed(pair.keeper.answer(&paid).await);
    for role in [Role::App, Role::Cooler, Role::Sentinel, Role::App] {
        assert_eq!(pair.keeper.say(role, &freeze("alice")).await, Outcome::Done(Done {}), "freezing again succeeds");
    }
    assert_eq!(refused(pair.keeper.say(Role::App, &freeze("../alice")).await), "Malformed");
    assert_eq!(unavailable(pair.keeper.answer(&paid).await), "Frozen");
    signed(pair.keeper.ask(sign(&payment("bob", &transfer("ETH", 1), 0))).await);
    assert_eq!(pair.keeper.say(Role::Sentinel, &freeze("")).await, Outcome::Done(Done {}));

    let pair = pair.restart().await;
    for wallet in ["alice", "bob"] {
        let outcome = pair.keeper.ask(Operation::Check(payment(wallet, &transfer("ETH", 1), 1))).await;
        assert_eq!(unavailable(outcome), "Frozen");
    }
    assert_eq!(unavailable(pair.keeper.answer(&paid).await), "Frozen");
    let thawed = pair.keeper.store.decide(0, |ledger| Ok(ledger.thaw("")? && ledger.thaw("alice")?)).await;
    assert!(thawed.unwrap());
    assert_eq!(signed(pair.keeper.answer(&paid).await).signatures, result.signatures);
}

#[tokio::test]
async fn while_locked_nothing_is_served_but_what_others_tell_is_taken() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let paid = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    let result = signed(pair.keeper.answer(&paid).await);
    let hot = countersign(&payment("alice", &transfer("ETH", 1), 0), &result);
    lock(&pair.keeper);
    lock(&pair.cooler);
    let create = Operation::CreateWallet(CreateWallet { wallet: "bob".to_owned(), ..CreateWallet::default() });
    for operation in [create, Operation::Check(payment("alice", &transfer("ETH", 1), 1))] {
        assert_eq!(unavailable(pair.keeper.ask(operation).await), "Locked");
    }
    assert_eq!(unavailable(pair.keeper.answer(&paid).await), "Locked", "a stored result too");
    assert_eq!(unavailable(pair.cooler.ask(hot.clone()).await), "Locked");
    assert_eq!(pair.keeper.settle("alice", 0, &result.digest).await, Outcome::Done(Done {}));
    assert_eq!(pair.keeper.say(Role::App, &freeze("")).await, Outcome::Done(Done {}));
    let serving = pair.keeper.signer.serving().unwrap();
    let shown = pair.keeper.signer.own_head(&serving, Role::Cooler, false).await.unwrap().unwrap();
    let held = pair.cooler.say(Role::Keeper, &request(Operation::EchoHead(shown))).await;
    assert_eq!(held, Outcome::Held(Held { head: None }));
    pair.cooler.signer.set_lock(Lock::Open);
    signed(pair.cooler.ask(hot).await);
}

#[tokio::test]
async fn the_newest_head_of_the_other_signer_is_kept_and_nobody_elses() {
    let pair = Pair::start().await;
    let (keeper, cooler) = (&pair.keeper, &pair.cooler);
    let custody = pair.custody.id();
    let head = |count| audit::Head { count, hash: [u8::try_from(count).unwrap(); 32] };
    let by_keeper = |count, overrides| attest(Role::Keeper, custody, &keeper.keys, head(count), overrides, None, 0);
    let show = async |role, attestation: &Attestation| {
        let shown = EchoHead { head: Some(attestation.clone()), ..EchoHead::default() };
        cooler.say(role, &request(Operation::EchoHead(shown))).await
    };
    let steps = [
        ((3, 0), None),
        ((5, 0), Some((3, 0))),
        ((4, 0), Some((5, 0))),
        ((1, 1), Some((5, 0))),
        ((9, 0), Some((1, 1))),
        ((2, 1), Some((1, 1))),
        ((2, 1), Some((2, 1))),
    ];
    for ((count, overrides), held) in steps {
        let held = held.map(|(count, overrides)| by_keeper(count, overrides));
        let outcome = show(Role::Keeper, &by_keeper(count, overrides)).await;
        assert_eq!(outcome, Outcome::Held(Held { head: held }), "{count} {overrides}");
    }
    let foreign = attest(Role::Keeper, custody, &cooler.keys, head(6), 0, None, 0);
    let of_cooler = attest(Role::Cooler, custody, &keeper.keys, head(6), 0, None, 0);
    for bad in [foreign, of_cooler] {
        assert_eq!(refused(show(Role::Keeper, &bad).await), "AttestationNotBelieved");
    }
    assert_eq!(refused(show(Role::App, &by_keeper(9, 9)).await), "NotASigner");
    assert_eq!(
        refused(cooler.say(Role::Keeper, &request(Operation::EchoHead(EchoHead::default()))).await),
        "Malformed"
    );
}

#[tokio::test]
async fn a_start_is_vouched_for_by_a_head_in_its_chain_and_by_none_only_before_the_first_signature() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    let serving = keeper.signer.serving().unwrap();
    let says = async |held: Option<&Attestation>| {
        lock(keeper);
        let judged = keeper.signer.vouched(&serving, Role::Cooler, held).await.unwrap();
        keeper.signer.set_lock(Lock::Open);
        judged.map(drop)
    };
    let custody = pair.custody.id();
    let own = async || {
        let own = keeper.keys.own().message_key().verifying_key();
        let look = move |ledger: &Ledger<'_>| Ok((ledger.head()?, ledger.overrides(&own)?));
        let (head, overrides) = keeper.store.look(0, look).await.unwrap();
        attest(Role::Keeper, custody, &keeper.keys, head, overrides, None, 0)
    };
    pair.wallet("alice").await;
    let early = own().await;
    assert_eq!((says(None).await, says(Some(&early)).await), (Ok(()), Ok(())));
    signed(keeper.ask(sign(&payment("alice", &transfer("ETH", 1), 0))).await);
    let newest = own().await;
    assert_eq!((says(Some(&early)).await, says(Some(&newest)).await), (Ok(()), Ok(())));
    assert!(says(None).await.unwrap_err().contains("multisig member unlock"));
    let lost = audit::Head { count: 99, hash: [9; 32] };
    let lost = attest(Role::Keeper, custody, &keeper.keys, lost, 0, None, 0);
    assert!(says(Some(&lost)).await.unwrap_err().contains("rolled back: cooler knows record 99"));
    let forged = attest(Role::Keeper, custody, &pair.cooler.keys, audit::Head::EMPTY, 0, None, 0);
    assert!(says(Some(&forged)).await.unwrap_err().contains("did not attest"));
}

#[tokio::test]
async fn without_the_sentinels_lease_nothing_is_signed_and_everything_else_goes_on() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(local_policy(), true);
    let paid = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    assert_eq!(unavailable(keeper.answer(&paid).await), "LeaseExpired");
    let lease = |until_ms| request(Operation::Lease(Lease { until_ms }));
    let too_long = lease(keeper.now_ms() + MAX_LEASE_MS + 1);
    assert_eq!(refused(keeper.say(Role::Sentinel, &too_long).await), "LeaseTooLong");
    assert_eq!(refused(keeper.say(Role::App, &lease(keeper.now_ms() + 1)).await), "NotSentinel");
    keeper.lease().await;
    signed(keeper.answer(&paid).await);
    assert_eq!(keeper.say(Role::Sentinel, &lease(keeper.now_ms())).await, Outcome::Done(Done {}), "not shortened");
    keeper.pass(MAX_LEASE_MS - 1);
    signed(keeper.answer(&paid).await);
    keeper.pass(1);
    assert_eq!(unavailable(keeper.answer(&paid).await), "LeaseExpired", "a stored result too");
    pair.hot("bob").await;
}

#[tokio::test]
async fn a_batch_gets_an_answer_per_item_and_each_is_what_it_would_be_alone() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    for wallet in ["alice", "bob", "carol"] {
        pair.wallet(wallet).await;
    }
    let paid = |wallet: &str, amount| request(sign(&payment(wallet, &transfer("ETH", amount), 0)));
    let (alice, bob, over) = (paid("alice", 1), paid("bob", 2), paid("carol", ETH + 1));
    let requests = vec![alice.clone(), over.clone(), bob.clone()];
    let Outcome::Batch(Responses { responses }) = keeper.ask(Operation::Batch(Batch { requests })).await else {
        panic!("a batch is answered as one");
    };
    let outcomes: Vec<Outcome> = responses.into_iter().map(|response| response.outcome.unwrap()).collect();
    for (outcome, request) in [(&outcomes[0], &alice), (&outcomes[2], &bob)] {
        let again = signed(keeper.answer(request).await);
        assert_eq!(Signed { head: None, ..again }, Signed { head: None, ..signed(outcome.clone()) });
    }
    assert_eq!(refused(outcomes[1].clone()), "OverLimit");
    assert_eq!(refused(keeper.answer(&over).await), "OverLimit");
    let nested = request(Operation::Batch(Batch { requests: vec![alice.clone()] }));
    assert_eq!(refused(keeper.ask(Operation::Batch(Batch { requests: vec![nested] })).await), "Malformed");
    for count in [0, MAX_BATCH_ITEMS + 1] {
        let requests = vec![alice.clone(); count];
        assert_eq!(refused(keeper.ask(Operation::Batch(Batch { requests })).await), "Malformed");
    }
}

#[tokio::test]
async fn with_clients_keys_a_wrong_key_is_as_no_wallet_and_the_store_with_its_vault_opens_nothing() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    let client = Terms { protection: KeyProtection::ClientKey, ..Terms::default() };
    keeper.serve(Role::Keeper, client);
    let create =
        |key: &[u8]| Operation::CreateWallet(CreateWallet { wallet: "alice".to_owned(), client_key: key.to_vec() });
    assert_eq!(refused(keeper.ask(create(&[])).await), "Malformed");
    assert_eq!(refused(keeper.ask(create(&[1; 31])).await), "Malformed");
    let Outcome::Created(hot) = keeper.ask(create(&[1; 32])).await else { panic!("made") };
    assert!(matches!(keeper.ask(Operation::RegisterWallet(registration(hot))).await, Outcome::Registered(_)));
    let ask = async |wallet: &str, key: &[u8]| {
        let paid = Payment { client_key: key.to_vec(), ..payment(wallet, &transfer("ETH", 1), 0) };
        keeper.ask(sign(&paid)).await
    };
    let told = |outcome: Outcome| match outcome {
        Outcome::Refused(Refused { reason, message }) => (reason, message.replace("bob", "alice")),
        other => panic!("{other:?}"),
    };
    let wrong = told(ask("alice", &[2; 32]).await);
    assert_eq!(wrong, told(ask("bob", &[1; 32]).await), "the same words");
    assert_eq!(wrong.0, "WalletUnknown");
    assert_eq!(refused(ask("alice", &[]).await), "Malformed");
    let sealed = keeper.store.hot_key("alice", "eip155").await.unwrap().unwrap().secret;
    assert!(!sealed.starts_with("vault:"), "no Vault opens it");
    signed(ask("alice", &[1; 32]).await);

    // Where the Vault seals, no key of a client is taken.
    keeper.serve(Role::Keeper, Terms::default());
    assert_eq!(refused(ask("alice", &[1; 32]).await), "Malformed");
}

#[tokio::test]
async fn every_decision_has_one_record_and_the_chain_is_whole() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    let paid = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    let over = request(sign(&payment("alice", &transfer("ETH", ETH + 1), 1)));
    let digest = signed(keeper.answer(&paid).await).digest;
    for again in [&paid, &over, &over] {
        keeper.answer(again).await;
    }
    keeper.ask(Operation::Check(payment("alice", &transfer("ETH", 1), 1))).await;
    keeper.settle("alice", 0, &digest).await;
    keeper.say(Role::Cooler, &freeze("alice")).await;
    keeper.answer(&paid).await;
    let chain = keeper.chain().await;
    let told: Vec<_> = chain
        .iter()
        .map(|it| [&it.requester, &it.operation, &it.wallet, &it.decision, &it.reason].map(String::as_str))
        .collect();
    let expected = [
        ["keeper", "StoreKeyMade", "", "Done", ""],
        ["app", "CreateWallet", "alice", "Done", ""],
        ["app", "RegisterWallet", "alice", "Done", ""],
        ["app", "Sign", "alice", "Signed", ""],
        ["app", "Sign", "alice", "Refused", "OverLimit"],
        ["sentinel", "Settle", "alice", "Done", ""],
        ["cooler", "Freeze", "alice", "Done", ""],
    ];
    assert_eq!(told, expected);
    assert_eq!((&chain[3].digest, &chain[3].operation_id), (&digest, &paid.operation_id));
    assert!(chain[1..].iter().all(|it| it.requester_key == [9; 32] && it.trust_digest == [7; 32]));
}
