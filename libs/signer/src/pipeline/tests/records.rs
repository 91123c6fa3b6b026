//! Promises to an App that has forgotten: it is told what was recorded of its requests, and a payment is signed once.

use chain::hex::Hex;
use custody::Role;

use super::*;
use crate::{history::History, pipeline::Lock, store::Store};

/// The payment at a nonce, for the payment id.
fn for_payment(id: u8, amount: u128, nonce: u64) -> Payment {
    Payment { payment_id: vec![id; 32], ..payment("alice", &transfer("ETH", amount), nonce) }
}

impl Pair {
    /// Both sign.
    async fn both_sign(&self, payment: &Payment) -> (Signed, Signed) {
        let hot = signed(self.keeper.ask(sign(payment)).await);
        let cool = signed(self.cooler.ask(countersign(payment, &hot)).await);
        (hot, cool)
    }
}

async fn read(signer: &Running, asked: ReadRecords) -> Records {
    match signer.ask(Operation::Records(asked)).await {
        Outcome::Records(records) => records,
        other => panic!("{other:?}"),
    }
}

fn of_payment(id: u8) -> ReadRecords {
    ReadRecords { payment_id: vec![id; 32], ..ReadRecords::default() }
}

#[tokio::test]
async fn another_transaction_is_signed_for_a_payment_only_once_the_first_is_attested_as_outrun() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let (first, second, third) = (for_payment(1, 5, 0), for_payment(1, 5, 1), for_payment(1, 5, 2));
    let (hot, _) = pair.both_sign(&first).await;
    let other_hot = signed(pair.keeper.ask(sign(&Payment { payment_id: Vec::new(), ..second.clone() })).await);
    // Keeper has signed the second one for nobody: as if it had come from an App that names no payments.
    let pair = pair.restart().await;
    let third_hot = signed(pair.keeper.ask(sign(&Payment { payment_id: Vec::new(), ..third.clone() })).await);
    for (signer, asked, later) in [
        (&pair.keeper, sign(&for_payment(1, 5, 3)), sign(&for_payment(1, 5, 3))),
        (&pair.cooler, countersign(&second, &other_hot), countersign(&third, &third_hot)),
    ] {
        assert_eq!(unavailable(signer.ask(asked.clone()).await), "PaymentIdUsed");
        assert_eq!(unavailable(signer.ask(Operation::Check(for_payment(1, 5, 3))).await), "PaymentIdUsed");
        let batch = Operation::Batch(Batch { requests: vec![request(asked.clone())] });
        match signer.ask(batch).await {
            Outcome::Batch(Responses { mut responses }) => {
                assert_eq!(unavailable(responses.remove(0).outcome.unwrap()), "PaymentIdUsed");
            }
            other => panic!("{other:?}"),
        }
        // Attested otherwise, the first one can't happen any more.
        assert_eq!(signer.settle("alice", 0, &[9; 32]).await, Outcome::Done(Done {}));
        let again = signed(signer.ask(asked).await);
        // Attested as made, nothing else is ever signed for it.
        let nonce = if std::ptr::eq(signer, &pair.keeper) { 3 } else { 1 };
        for before in 1..nonce {
            assert_eq!(signer.settle("alice", before, &[9; 32]).await, Outcome::Done(Done {}));
        }
        assert_eq!(signer.settle("alice", nonce, &again.digest).await, Outcome::Done(Done {}));
        let later = if nonce == 3 { sign(&for_payment(1, 5, 4)) } else { later };
        assert_eq!(refused(signer.ask(later).await), "PaymentMade");
    }
    assert_eq!(hot.digest.len(), 32);
}

#[tokio::test]
async fn a_transaction_is_signed_again_for_its_own_payment_and_for_no_other() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let first = for_payment(1, 5, 0);
    let (hot, cool) = pair.both_sign(&first).await;
    let (again, cool_again) = pair.both_sign(&first).await;
    assert_eq!((&again.signatures, &cool_again.signatures), (&hot.signatures, &cool.signatures));
    let other = for_payment(2, 5, 0);
    assert_eq!(refused(pair.keeper.ask(sign(&other)).await), "PaymentIdDiffers");
    assert_eq!(refused(pair.cooler.ask(countersign(&other, &hot)).await), "PaymentIdDiffers");
    // A cancel belongs to its claims.
    let cancel = Payment { payment_id: vec![1; 32], ..payment("alice", &cancel(SAFE), 0) };
    assert_eq!(refused(pair.keeper.ask(sign(&cancel)).await), "Malformed");
    let cancel = Payment { payment_id: Vec::new(), ..cancel };
    signed(pair.keeper.ask(sign(&cancel)).await);
    for length in [1, 31, 33] {
        let bad = Payment { payment_id: vec![1; length], ..payment("alice", &transfer("ETH", 1), 1) };
        assert_eq!(refused(pair.keeper.ask(sign(&bad)).await), "Malformed");
    }
}

#[tokio::test]
async fn app_reads_what_was_recorded_page_by_page_and_never_a_signature() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.wallet("bob").await;
    let first = request(sign(&for_payment(1, 5, 0)));
    let made = signed(pair.keeper.answer(&first).await);
    assert_eq!(refused(pair.keeper.ask(sign(&for_payment(2, ETH + 1, 1))).await), "OverLimit");
    let outrun = signed(pair.keeper.ask(sign(&for_payment(3, 7, 1))).await);
    let ended = signed(pair.keeper.ask(sign(&payment("alice", &cancel(SAFE), 1))).await);
    let of_bob = Payment { wallet: "bob".to_owned(), payment_id: vec![4; 32], ..for_payment(4, 1, 0) };
    signed(pair.keeper.ask(sign(&of_bob)).await);
    pair.keeper.settle("alice", 0, &made.digest).await;
    pair.keeper.settle("alice", 1, &ended.digest).await;

    let all = read(&pair.keeper, ReadRecords::default()).await;
    assert_eq!((all.records.len(), all.more, all.last), (5, false, 5));
    let states: Vec<_> = all.records.iter().map(|it| (it.state(), it.cancel)).collect();
    use RecordState::*;
    let expected = [(Settled, false), (Refused, false), (Superseded, false), (Settled, true), (Signed, false)];
    assert_eq!(states, expected);
    let told = Record {
        number: 1,
        operation_id: first.operation_id.clone(),
        payment_id: vec![1; 32],
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        claims: vec![Used::from(Claim::Sequence(0))],
        digest: made.digest.clone(),
        state: Settled.into(),
        ..Record::default()
    };
    assert_eq!(all.records[0], told);
    assert_eq!(all.records[1].reason, "OverLimit");
    let bytes = all.encode_to_vec();
    for signature in [&made.signatures[0], &outrun.signatures[0]] {
        assert!(!bytes.windows(signature.len()).any(|window| window == signature.as_slice()));
    }

    let page = read(&pair.keeper, ReadRecords { after: 1, limit: 2, ..ReadRecords::default() }).await;
    assert_eq!((&page.records[..], page.more), (&all.records[1..3], true));
    assert_eq!(
        (read(&pair.keeper, of_payment(3)).await.records, page.store),
        (vec![all.records[2].clone()], all.store)
    );
    let bobs = ReadRecords { wallet: "bob".to_owned(), ..ReadRecords::default() };
    assert_eq!(read(&pair.keeper, bobs).await.records, [all.records[4].clone()]);
    assert_eq!(read(&pair.cooler, ReadRecords::default()).await.records, []);

    // Nobody else reads them, and a signer whose own memory is in doubt tells nothing.
    let reading = request(Operation::Records(ReadRecords::default()));
    for role in [Role::Cooler, Role::Sentinel] {
        assert_eq!(refused(pair.keeper.say(role, &reading).await), "NotApp");
    }
    let bad = Operation::Records(ReadRecords { payment_id: vec![1; 31], ..ReadRecords::default() });
    assert_eq!(refused(pair.keeper.ask(bad).await), "Malformed");
    pair.keeper.signer.set_lock(Lock::Locked("rolled back".to_owned()));
    assert_eq!(unavailable(pair.keeper.answer(&reading).await), "Locked");
}

#[tokio::test]
async fn a_history_takes_payment_ids_to_the_next_volume() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let made = signed(pair.keeper.ask(sign(&for_payment(1, 5, 0))).await);
    let custody = pair.custody.manifest.custody_id();
    let write = move |ledger: &Ledger<'_>| Ok(ledger.write_history(custody, Role::Keeper, None, Vec::new()).unwrap());
    let file = pair.keeper.store.export(0, write).await.unwrap();
    let history = History::parse(&file, custody, Role::Keeper).unwrap();
    assert_eq!(history.wallets[0].signed[0].payment_id, Some(Hex([1; 32])));
    // As a build wrote it that knew no payment ids.
    let mut old: serde_json::Value = serde_json::from_slice(&file).unwrap();
    old["version"] = 2.into();
    old["wallets"][0]["signed"][0].as_object_mut().unwrap().remove("paymentId").unwrap();
    let old = History::parse(old.to_string().as_bytes(), custody, Role::Keeper).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let import =
        async |history: History| store.decide(0, move |ledger| ledger.import(&history)).await.unwrap().unwrap();
    assert!(import(old).await);
    assert!(import(history.clone()).await, "the payment id is news");
    assert!(!import(history).await);
    let mark = Watermark {
        wallet: "alice".to_owned(),
        chain: CHAIN.to_owned(),
        claims: vec![Claim::Sequence(1)],
        kind: Kind::Payment,
        id: [8; 32],
    };
    let earlier = store.look(0, move |ledger| ledger.earlier(&[1; 32], &mark)).await.unwrap();
    assert_eq!(earlier.len(), 1);
    assert_eq!((&earlier[0].id[..], &earlier[0].claims[..]), (&made.digest[..], &[Claim::Sequence(0)][..]));
}
