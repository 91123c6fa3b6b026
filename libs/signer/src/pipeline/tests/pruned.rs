//! Promises about operations whose stored replies are pruned: none is carried out anew, and none is told otherwise.

use custody::local_policy::TimeLock;

use super::*;
use crate::store::{KEEP_MS, Pruned, Pruning, Recall};

const DELAY_MS: u64 = 60_000;

impl Running {
    /// One round, a while after everything.
    async fn prune(&self) -> Pruned {
        self.store.flush().await.unwrap();
        self.pass(KEEP_MS + 2_000);
        let (mut pruning, mut all) = (Pruning::default(), Pruned::default());
        while !all.ended {
            let step = self.store.prune(self.now_ms(), &mut pruning).await.unwrap();
            all.replies += step.replies;
            all.announcements += step.announcements;
            all.ended = step.ended;
        }
        all
    }

    async fn recall(&self, request: &Request) -> Recall {
        let key = OperationKey { sender: "app", operation_id: request.operation_id.clone(), digest: digest(request) };
        self.store.look(0, move |ledger| ledger.recall(&key)).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_asked_again_after_its_reply_was_pruned_gets_the_same_answer_and_no_record() {
    let pair = Pair::start().await;
    let create =
        request(Operation::CreateWallet(CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() }));
    let created = pair.keeper.answer(&create).await;
    let Outcome::Created(hot) = created.clone() else { panic!("{created:?}") };
    let register = request(Operation::RegisterWallet(registration(hot)));
    let registered = pair.keeper.answer(&register).await;
    assert!(matches!(pair.cooler.answer(&register).await, Outcome::Registered(_)));
    let paid = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    let refused_one = request(sign(&payment("alice", &transfer("ETH", ETH + 1), 1)));
    let hot = signed(pair.keeper.answer(&paid).await);
    assert_eq!(refused(pair.keeper.answer(&refused_one).await), "OverLimit");
    let countersigned = request(countersign(&payment("alice", &transfer("ETH", 1), 0), &hot));
    let cool = signed(pair.cooler.answer(&countersigned).await);
    for signer in [&pair.keeper, &pair.cooler] {
        assert_eq!(signer.settle("alice", 0, &hot.digest).await, Outcome::Done(Done {}));
    }

    // Nothing is due on the day itself.
    pair.keeper.store.flush().await.unwrap();
    let early = pair.keeper.store.prune(pair.keeper.now_ms(), &mut Pruning::default()).await.unwrap();
    assert_eq!(early, Pruned { ended: true, ..Pruned::default() });
    assert_eq!((pair.keeper.prune().await.replies, pair.cooler.prune().await.replies), (4, 2));
    for request in [&create, &register, &paid] {
        assert_eq!(pair.keeper.recall(request).await, Recall::Done);
    }
    assert_eq!(pair.keeper.recall(&refused_one).await, Recall::Refused("OverLimit".to_owned()));

    let pair = pair.restart().await;
    let records = (pair.keeper.chain().await.len(), pair.cooler.chain().await.len());
    // What was refused would be signed now.
    pair.keeper.under(eth(|eth| eth.per_transaction = (2 * ETH).to_string()), false);
    for _ in 0..2 {
        assert_eq!(pair.keeper.answer(&create).await, created);
        assert_eq!(pair.keeper.answer(&register).await, registered);
        let again = signed(pair.keeper.answer(&paid).await);
        assert_eq!((again.digest, again.signatures), (hot.digest.clone(), hot.signatures.clone()));
        let again = signed(pair.cooler.answer(&countersigned).await);
        assert_eq!((again.digest, again.signatures), (cool.digest.clone(), cool.signatures.clone()));
        assert_eq!(refused(pair.keeper.answer(&refused_one).await), "OverLimit");
        let check = pair.keeper.ask(Operation::Check(payment("alice", &transfer("ETH", 2), 0))).await;
        assert_eq!(refused(check), "NonceUsed", "a check finds the watermark");
        let other = Request { operation: refused_one.operation.clone(), ..paid.clone() };
        assert_eq!(refused(pair.keeper.answer(&other).await), "OperationIdReused");
        pair.keeper.store.flush().await.unwrap();
    }
    assert_eq!(pair.keeper.recall(&paid).await, Recall::Done, "it is not stored again");
    assert_eq!((pair.keeper.chain().await.len(), pair.cooler.chain().await.len()), records);
    assert_eq!(refused(pair.keeper.ask(sign(&payment("alice", &transfer("ETH", 2), 0))).await), "NonceUsed");

    // It can't be decoded under this policy: neither signed nor refused for good.
    pair.keeper.under(LocalPolicy::new(vec![local_policy().assets.remove(1)]), false);
    assert_eq!(unavailable(pair.keeper.answer(&paid).await), "ReplyPruned");
    pair.keeper.under(local_policy(), false);
    assert_eq!(signed(pair.keeper.answer(&paid).await).signatures, hot.signatures);
}

#[tokio::test]
async fn a_reply_stays_while_what_it_signed_is_not_settled_for_good() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let first = request(sign(&payment("alice", &transfer("ETH", 1), 0)));
    let second = request(sign(&payment("alice", &transfer("ETH", 2), 1)));
    let (one, two) = (signed(pair.keeper.answer(&first).await), signed(pair.keeper.answer(&second).await));
    assert_eq!(pair.keeper.prune().await.replies, 2, "those of the wallet");
    assert!(matches!(pair.keeper.recall(&first).await, Recall::Finished(_)));
    pair.keeper.settle("alice", 0, &one.digest).await;
    assert_eq!(pair.keeper.prune().await.replies, 1);
    assert!(matches!(pair.keeper.recall(&second).await, Recall::Finished(_)));
    pair.keeper.settle("alice", 1, &two.digest).await;
    assert_eq!(pair.keeper.prune().await.replies, 1);
    assert_eq!(pair.keeper.recall(&second).await, Recall::Done);
}

#[tokio::test]
async fn an_announcement_goes_with_its_settled_payment_and_its_time_lock_does_not_begin_again() {
    let pair = Pair::start().await;
    for wallet in ["alice", "bob"] {
        pair.wallet(wallet).await;
    }
    let keeper = &pair.keeper;
    let lock = || {
        eth(|eth| {
            eth.time_lock =
                Some(TimeLock { above: "5".to_owned(), delay_seconds: DELAY_MS / 1000, lapses_after_seconds: None })
        })
    };
    keeper.under(lock(), false);
    let (paid, waits) = (payment("alice", &transfer("ETH", 9), 0), payment("bob", &transfer("ETH", 8), 0));
    let announce = request(Operation::Announce(paid.clone()));
    for announced in [&announce, &request(Operation::Announce(waits))] {
        assert!(matches!(keeper.answer(announced).await, Outcome::Pending(_)));
    }
    keeper.pass(DELAY_MS);
    let hot = signed(keeper.ask(sign(&paid)).await);
    assert_eq!(keeper.prune().await.announcements, 0, "it is not settled");
    keeper.settle("alice", 0, &hot.digest).await;
    assert_eq!(keeper.prune().await.announcements, 1, "what was never signed stays");
    assert!(matches!(keeper.answer(&announce).await, Outcome::Allowed(_)), "it was signed");
    let left = keeper.store.look(0, |ledger| ledger.announcements()).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(refused(keeper.ask(Operation::Announce(payment("alice", &transfer("ETH", 7), 0))).await), "NonceUsed");
}

#[tokio::test]
async fn a_step_takes_away_a_bounded_number_of_rows() {
    let pair = Pair::start().await;
    let refused_ones: Vec<_> = (0..1_200).map(|_| sign(&payment("nobody", &transfer("ETH", 1), 0))).collect();
    for chunk in refused_ones.chunks(MAX_BATCH_ITEMS) {
        let requests = chunk.iter().cloned().map(request).collect();
        pair.keeper.ask(Operation::Batch(Batch { requests })).await;
    }
    pair.keeper.pass(KEEP_MS + 2_000);
    let (mut pruning, mut steps) = (Pruning::default(), Vec::new());
    while steps.len() < 10 && !steps.last().is_some_and(|step: &Pruned| step.ended) {
        steps.push(pair.keeper.store.prune(pair.keeper.now_ms(), &mut pruning).await.unwrap());
    }
    assert_eq!(steps.iter().map(|step| step.replies).collect::<Vec<_>>(), [500, 500, 200]);
    // The next round begins later.
    let next = pair.keeper.store.prune(pair.keeper.now_ms(), &mut pruning).await.unwrap();
    assert_eq!(next, Pruned::default());
}
