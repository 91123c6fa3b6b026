//! Promises about what waits, what needs an intent, and local policies that still hold.

use chain::Amount;
use custody::local_policy::TimeLock;
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use protocol::attestation::attest_payment_intent;

use super::*;

const DELAY_MS: u64 = 60_000;

fn locked() -> LocalPolicy {
    eth(|eth| eth.time_lock = Some(TimeLock::new("5", DELAY_MS / 1000)))
}

#[track_caller]
fn pending(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Pending(pending) => pending.not_before_ms,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_large_payment_waits_for_its_time_lock_and_pending_is_never_its_result() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(locked(), false);
    signed(keeper.ask(sign(&payment("alice", &transfer("ETH", 5), 0))).await);
    let large = payment("alice", &transfer("ETH", 6), 1);
    let asked = request(sign(&large));
    assert_eq!(pending(keeper.ask(Operation::Check(large.clone())).await), 0, "its time lock has not begun");
    let until = keeper.now_ms() + DELAY_MS;
    assert_eq!(pending(keeper.ask(Operation::Announce(large.clone())).await), until);
    keeper.pass(DELAY_MS - 1);
    assert_eq!(pending(keeper.answer(&asked).await), until);
    assert_eq!(pending(keeper.ask(Operation::Announce(large.clone())).await), until, "it has begun and goes on");
    keeper.pass(1);
    signed(keeper.answer(&asked).await);

    // A Sign announces as well.
    let asked = request(sign(&payment("alice", &transfer("ETH", 7), 2)));
    assert_eq!(pending(keeper.answer(&asked).await), keeper.now_ms() + DELAY_MS);
    keeper.pass(DELAY_MS);
    signed(keeper.answer(&asked).await);
}

#[tokio::test]
async fn a_vetoed_payment_is_never_signed_and_its_nonce_takes_another() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(locked(), false);
    let asked = request(sign(&payment("alice", &transfer("ETH", 6), 0)));
    let Outcome::Pending(waits) = keeper.answer(&asked).await else { panic!("it waits") };
    let digest: [u8; 32] = waits.digest.try_into().unwrap();
    assert!(keeper.store.decide(keeper.now_ms(), move |ledger| ledger.veto(&digest)).await.unwrap());
    assert_eq!(refused(keeper.answer(&asked).await), "Vetoed");
    keeper.pass(2 * DELAY_MS);
    assert_eq!(refused(keeper.ask(sign(&payment("alice", &transfer("ETH", 6), 0))).await), "Vetoed");
    signed(keeper.ask(sign(&payment("alice", &transfer("ETH", 4), 0))).await);
}

#[tokio::test]
async fn above_a_threshold_an_intent_by_a_key_that_app_does_not_hold_is_needed_and_good_once() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    let (signer, stranger) = (SigningKey::from_bytes(&[3; 32]), SigningKey::from_bytes(&[4; 32]));
    let mut local_policy = eth(|eth| eth.intent_above = Some("5".to_owned()));
    local_policy.intent_signers = vec![HEXLOWER.encode(signer.verifying_key().as_bytes())];
    keeper.under(local_policy, false);

    let Effect::Transfer { to, .. } = transfer("ETH", 6) else { panic!("a transfer") };
    let wanted = |amount: u128| PaymentIntent {
        custody_id: pair.custody.id().as_bytes().to_vec(),
        id: vec![1; 16],
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        asset: "ETH".to_owned(),
        to: to.clone(),
        amount: Amount::from(amount).to_string(),
        expires_at_ms: keeper.now_ms() + 1000,
    };
    let ask = async |amount: u128, nonce, intent: Option<Attestation>| {
        let payment = Payment { intent, ..payment("alice", &transfer("ETH", amount), nonce) };
        keeper.ask(sign(&payment)).await
    };
    let by = |intent: &PaymentIntent, key: &SigningKey| Some(attest_payment_intent(intent, key));
    let expired = PaymentIntent { expires_at_ms: keeper.now_ms() - 1, ..wanted(6) };
    let elsewhere = PaymentIntent { custody_id: vec![9; 16], ..wanted(6) };
    let table = [
        (None, "IntentMissing"),
        (by(&wanted(6), &stranger), "IntentNotBelieved"),
        (by(&wanted(7), &signer), "IntentMismatch"),
        (by(&elsewhere, &signer), "IntentMismatch"),
        (by(&expired, &signer), "IntentExpired"),
    ];
    for (intent, reason) in table {
        assert_eq!(refused(ask(6, 0, intent).await), reason);
    }
    signed(ask(5, 0, None).await);
    signed(ask(6, 1, by(&wanted(6), &signer)).await);
    assert_eq!(refused(ask(6, 2, by(&wanted(6), &signer)).await), "IntentUsed");
    signed(ask(6, 2, by(&PaymentIntent { id: vec![2; 16], ..wanted(6) }, &signer)).await);
}

#[tokio::test]
async fn a_stricter_local_policy_holds_at_once_and_a_looser_one_after_the_delay_of_the_one_before() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    let strict = LocalPolicy { loosening_delay_seconds: 60, ..eth(|eth| eth.per_transaction = "5".to_owned()) };
    let loose = eth(|eth| eth.per_transaction = "50".to_owned());
    let see = async |local_policy: &LocalPolicy| {
        let (now, local_policy) = (keeper.now_ms(), local_policy.clone());
        let held = keeper.store.decide(now, move |ledger| {
            ledger.see_local_policy(&local_policy).and_then(|()| ledger.held_local_policies())
        });
        held.await.unwrap()
    };
    let serve = async |local_policy: &LocalPolicy| {
        let held = see(local_policy).await;
        keeper.serve(Role::Keeper, Terms { local_policy: local_policy.clone(), held, ..Terms::default() });
    };
    let ask = async || keeper.ask(Operation::Check(payment("alice", &transfer("ETH", 6), 0))).await;
    serve(&loose).await;
    assert!(matches!(ask().await, Outcome::Allowed(_)));
    serve(&strict).await;
    assert_eq!(refused(ask().await), "OverLimit");
    serve(&loose).await;
    match ask().await {
        Outcome::Refused(Refused { message, .. }) => {
            assert!(message.contains("earlier, stricter local policy"), "{message}")
        }
        other => panic!("{other:?}"),
    }
    keeper.pass(59_999);
    serve(&loose).await;
    assert_eq!(refused(ask().await), "OverLimit");
    keeper.pass(1);
    serve(&loose).await;
    assert!(matches!(ask().await, Outcome::Allowed(_)));
}
