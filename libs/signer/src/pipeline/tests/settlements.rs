//! Promises about what is attested of the chain: in order, taken back while it may vanish, and never to loosen anything.

use std::collections::{BTreeMap, BTreeSet};

use SettlementState::{Final, Revoked, Used};
use audit::Entry;
use chain::Amount;
use custody::local_policy::Rolling;
use policy::{Payees, Scope, Window};
use proptest::prelude::*;

use super::*;
use crate::{
    pipeline::{Power, claims, note_each},
    store::{Spend, Store, StoreError},
};

const DONE: Outcome = Outcome::Done(Done {});
const HOUR_MS: u64 = 3_600_000;

fn told(nonce: u64, digest: u8, state: SettlementState) -> Settlement {
    Settlement::new("alice", CHAIN, Claim::Sequence(nonce), [digest; 32]).stated(state)
}

fn all(settlements: impl IntoIterator<Item = Settlement>) -> Request {
    request(Operation::Settle(Settle { settlements: settlements.into_iter().collect() }))
}

async fn pay(signer: &Running, amount: u128, nonce: u64) -> Outcome {
    signer.ask(sign(&payment("alice", &transfer("ETH", amount), nonce))).await
}

#[tokio::test]
async fn a_nonce_is_settled_after_all_before_it_and_out_of_the_blue_nothing_is_noted() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(local_policy(), true);
    keeper.lease().await;
    for (settlements, reason) in [
        (vec![told(1_000_000_000, 9, Final)], "SettlementNotContiguous"),
        (vec![told(1, 9, Used)], "SettlementNotContiguous"),
        (vec![told(0, 9, Final), told(2, 9, Final)], "SettlementNotContiguous"),
        (vec![told(1, 9, Final), told(0, 9, Final)], "SettlementNotContiguous"),
        (vec![told(0, 9, Used), told(1, 9, Final)], "SettlementNotContiguous"),
        (vec![told(0, 9, Revoked)], "SettlementUnknown"),
        (vec![Settlement { state: 3, ..told(0, 9, Final) }], "Malformed"),
    ] {
        assert_eq!(refused(keeper.say(Role::Sentinel, &all(settlements.clone())).await), reason, "{settlements:?}");
    }
    let paid = signed(pay(keeper, 1, 0).await);
    assert_eq!(keeper.settle("alice", 0, &paid.digest).await, DONE);

    // A Safe that had used nonces before this signer knew it: from the first on, as many messages as it takes.
    pair.wallet("bob").await;
    let of_bob = |from: u64, count: u64| {
        all((from..from + count).map(|nonce| Settlement { wallet: "bob".to_owned(), ..told(nonce, 7, Final) }))
    };
    let most = MAX_BATCH_ITEMS as u64;
    assert_eq!(keeper.say(Role::Sentinel, &of_bob(0, most)).await, DONE);
    assert_eq!(keeper.say(Role::Sentinel, &of_bob(most - 1, 3)).await, DONE);
    signed(keeper.ask(sign(&payment("bob", &transfer("ETH", 1), most + 2))).await);
}

#[tokio::test]
async fn a_used_nonce_opens_the_next_and_its_amount_is_outstanding_until_it_is_final() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    let hourly = |amount: &str| Some(Rolling { amount: amount.to_owned(), window_seconds: 3600 });
    keeper.under(eth(|eth| eth.total = hourly("10")), true);
    keeper.lease().await;
    let first = signed(pay(keeper, 6, 0).await);
    assert_eq!(unavailable(pay(keeper, 4, 1).await), "Unsettled");
    assert_eq!(keeper.state("alice", 0, &first.digest, Used).await, DONE);
    let second = signed(pay(keeper, 4, 1).await);
    keeper.pass(10 * HOUR_MS);
    keeper.lease().await;
    assert_eq!(keeper.state("alice", 1, &second.digest, Used).await, DONE);
    assert_eq!(refused(pay(keeper, 1, 2).await), "OverWindow", "however long ago: it may vanish");
    assert_eq!(keeper.settle("alice", 0, &first.digest).await, DONE);
    keeper.pass(2 * HOUR_MS);
    keeper.lease().await;
    signed(pay(keeper, 6, 2).await);
}

#[tokio::test]
async fn what_may_vanish_is_taken_back_by_whoever_said_it_and_later_nonces_wait_again() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(local_policy(), true);
    keeper.lease().await;
    let first = signed(pay(keeper, 1, 0).await);
    assert_eq!(keeper.state("alice", 0, &first.digest, Used).await, DONE);
    let second = signed(pay(keeper, 1, 1).await);
    assert_eq!(keeper.state("alice", 1, &second.digest, Used).await, DONE);

    // The block of the first vanishes, and with it the second's.
    assert_eq!(refused(keeper.state("alice", 0, &[9; 32], Revoked).await), "SettledOtherwise");
    assert_eq!(keeper.state("alice", 0, &first.digest, Revoked).await, DONE);
    assert_eq!(keeper.state("alice", 0, &first.digest, Revoked).await, DONE, "again");
    assert_eq!(refused(pay(keeper, 1, 2).await), "NonceNotNext");
    assert_eq!(refused(pay(keeper, 2, 0).await), "NonceUsed", "no second payment at the nonce");
    assert_eq!(refused(pay(keeper, 2, 1).await), "NonceUsed", "nor at the next");
    assert_eq!(signed(pay(keeper, 1, 0).await).signatures, first.signatures, "the same again");

    // Another transaction comes in its place, and payments go on.
    let ended = signed(keeper.ask(sign(&payment("alice", &cancel(SAFE), 0))).await);
    assert_eq!(keeper.state("alice", 0, &first.digest, Used).await, DONE);
    assert_eq!(keeper.state("alice", 0, &ended.digest, Used).await, DONE);
    assert_eq!(keeper.settle("alice", 0, &ended.digest).await, DONE);
    assert_eq!(refused(keeper.state("alice", 0, &ended.digest, Revoked).await), "SettlementFinal");
    assert_eq!(refused(keeper.settle("alice", 0, &first.digest).await), "SettledOtherwise");
    assert_eq!(keeper.settle("alice", 1, &second.digest).await, DONE);
    signed(pay(keeper, 1, 2).await);
    let chain = keeper.chain().await;
    let told: Vec<_> = chain.iter().map(|it| it.operation.as_str()).filter(|it| it.starts_with("Settle")).collect();
    let expected = ["Settle", "Settle", "SettlementRevoke", "Settle", "SettlementCorrect", "Settle", "Settle"];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_payment_id_takes_another_transaction_only_when_the_first_is_outrun_for_good() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    pair.wallet("alice").await;
    keeper.under(local_policy(), true);
    keeper.lease().await;
    let of_one = |nonce| Payment { payment_id: vec![1; 32], ..payment("alice", &transfer("ETH", 5), nonce) };
    let first = signed(keeper.ask(sign(&of_one(0))).await);
    let ended = signed(keeper.ask(sign(&payment("alice", &cancel(SAFE), 0))).await);
    for used in [&ended, &first, &ended] {
        assert_eq!(keeper.state("alice", 0, &used.digest, Used).await, DONE);
        assert_eq!(unavailable(keeper.ask(sign(&of_one(1))).await), "PaymentIdUsed", "both can still happen");
    }
    assert_eq!(keeper.settle("alice", 0, &ended.digest).await, DONE);
    signed(keeper.ask(sign(&of_one(1))).await);
}

/// One thing that happens to alice, who has paid, or not.
#[derive(Debug, Clone, Copy)]
enum Step {
    Sign { nonce: u64, kind: Kind, id: u8 },
    Tell { nonce: u64, id: u8, state: SettlementState, power: Power },
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (nonces, ids) = (0..5_u64, 0..4_u8);
    let kind = prop_oneof![3 => Just(Kind::Payment), 1 => Just(Kind::Cancel)];
    let sign = (nonces.clone(), kind, ids.clone()).prop_map(|(nonce, kind, id)| Step::Sign { nonce, kind, id });
    let state = prop_oneof![2 => Just(Used), 2 => Just(Final), 1 => Just(Revoked)];
    let power = prop_oneof![4 => Just(Power::Attests), 1 => Just(Power::Overrules)];
    let tell = (nonces, ids, state, power).prop_map(|(nonce, id, state, power)| Step::Tell { nonce, id, state, power });
    let pass = (1..40_000_u64).prop_map(Step::Pass);
    proptest::collection::vec(prop_oneof![4 => sign, 6 => tell, 1 => pass], 1..60)
}

const WINDOW_MS: u64 = 64_000;

/// What must hold, kept in the simplest way.
#[derive(Default)]
struct Model {
    /// By nonce and id: amount, and when it was signed.
    signed: BTreeMap<(u64, [u8; 32]), (u128, u64)>,
    payments: BTreeMap<u64, BTreeSet<[u8; 32]>>,
    /// Settlements that stand, by nonce: by which id, and since when for good.
    stands: BTreeMap<u64, ([u8; 32], Option<u64>)>,
}

impl Model {
    fn next(&self) -> u64 {
        (0..).find(|nonce| !self.stands.contains_key(nonce)).unwrap()
    }

    /// A statement that was taken and changed something.
    fn took(&mut self, nonce: u64, id: [u8; 32], state: SettlementState, power: Power, now: u64) {
        let corrects = self.stands.get(&nonce).is_some_and(|(known, _)| *known != id);
        if corrects || state == Revoked {
            self.stands.retain(|stands, _| *stands < nonce);
        }
        if state != Revoked {
            let since = (state == Final && power == Power::Attests).then_some(now);
            self.stands.insert(nonce, (id, since));
        }
    }

    /// At least so much counts.
    fn counts(&self, now: u64) -> u128 {
        let counts = |nonce: &u64, id: &[u8; 32], signed_at: u64| match self.stands.get(nonce) {
            Some((by, Some(since))) => (if by == id { *since } else { signed_at }) + WINDOW_MS > now,
            _ => true,
        };
        let counted = self.signed.iter().filter(|((nonce, id), (_, at))| counts(nonce, id, *at));
        counted.map(|(_, (amount, _))| amount).sum()
    }
}

/// A transaction's id: unlike any other, by nonce, kind and number.
fn id(nonce: u64, number: u8) -> [u8; 32] {
    let mut id = [number; 32];
    id[0] = nonce as u8;
    id
}

async fn only_tightens(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let registered = crate::store::RegisteredWallet {
        wallet: "alice".to_owned(),
        hot_keys: vec![1],
        salt: vec![0; 32],
        addresses: vec![(CHAIN.to_owned(), "0xalice".to_owned())],
        record: vec![2],
    };
    store.decide(0, |ledger| ledger.register(registered).map(drop)).await.unwrap();
    let (mut model, mut now) = (Model::default(), 1_000_000);
    for step in steps {
        match step {
            Step::Pass(ms) => now += ms,
            Step::Sign { nonce, kind, id: number } => {
                let number = if kind == Kind::Cancel { number + 100 } else { number };
                let (wallet, chain) = ("alice".to_owned(), CHAIN.to_owned());
                let mark =
                    Watermark { wallet, chain, claims: vec![Claim::Sequence(nonce)], kind, id: id(nonce, number) };
                let amount = u128::from(number) + 1;
                let asked = mark.clone();
                let allowed = store.decide(now, move |ledger| {
                    if ledger.recorded(&asked)? {
                        return Ok(None);
                    }
                    if claims::judge(ledger, &asked, true)?.is_err() {
                        return Ok(Some(false));
                    }
                    ledger.record(&asked)?;
                    if asked.kind == Kind::Payment {
                        let Watermark { wallet, chain, id, .. } = asked;
                        let (asset, amount) = ("ETH".to_owned(), Amount::from(amount));
                        ledger.spend(&Spend { wallet, chain, id, asset, amount, to: None }, true)?;
                    }
                    Ok::<_, StoreError>(Some(true))
                });
                if allowed.await.unwrap() == Some(true) {
                    assert_eq!(nonce, model.next(), "only the next nonce is signed: {step:?}");
                    if kind == Kind::Payment {
                        model.signed.insert((nonce, mark.id), (amount, now));
                        model.payments.entry(nonce).or_default().insert(mark.id);
                    }
                }
            }
            Step::Tell { nonce, id: number, state, power } => {
                let id = id(nonce, number);
                let said = Settlement::new("alice", CHAIN, Claim::Sequence(nonce), id).stated(state);
                let requester = if power == Power::Attests { "sentinel" } else { "admin" }.to_owned();
                let taken = store.decide(now, move |ledger| {
                    note_each(ledger, [(&said, power)], &Entry { requester, ..Entry::default() })
                });
                if let Ok(1) = taken.await.unwrap() {
                    model.took(nonce, id, state, power, now);
                }
            }
        }
        let window = Window { scope: Scope::Total, length_ms: WINDOW_MS, payees: Payees::All, limit: Amount::ZERO };
        let sum = store.decide(now, move |ledger| ledger.spent(&window, "alice", CHAIN, "ETH")).await.unwrap();
        let least = Amount::from(model.counts(now));
        assert!(sum >= least, "{sum} counts, and at least {least} must: after {step:?}");
        let progress = store.look(now, |ledger| ledger.progress("alice", CHAIN)).await.unwrap();
        assert_eq!(progress.next, model.next(), "{step:?}");
        assert!(model.payments.values().all(|ids| ids.len() == 1), "two payments were signed at a nonce");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_settlements_corrections_and_revocations_loosens_anything(steps in steps()) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(only_tightens(steps));
    }
}
