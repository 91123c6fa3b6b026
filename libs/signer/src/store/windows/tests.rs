//! A window that is new to a store judges like one long in use, at every moment, or not at all.

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::store::schema::migrate;

const CHAIN: &str = "eip155:1";
const WALLETS: [&str; 2] = ["alice", "bob"];
const LENGTH_MS: u64 = 6_400;

fn windows() -> Vec<Window> {
    let window = |(scope, payees)| Window { scope, length_ms: LENGTH_MS, payees, limit: Amount::ZERO };
    let all = [(Scope::Wallet, Payees::All), (Scope::Total, Payees::External), (Scope::Total, Payees::All)];
    all.into_iter().map(window).collect()
}

fn open(path: &std::path::Path) -> Connection {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    connection.pragma_update(None, "journal_mode", "MEMORY").unwrap();
    migrate(&mut connection).unwrap();
    connection
}

/// What happens to a store.
#[derive(Debug, Clone, Copy)]
enum Step {
    Pay {
        wallet: usize,
        amount: u8,
        payees: Payees,
        outstanding: bool,
    },
    /// One of the payments that are outstanding, counted from so long ago.
    Settle {
        which: prop::sample::Index,
        ago_ms: u64,
    },
    Pass {
        ms: u64,
    },
    Begin,
    Count {
        rows: i64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let payees = prop_oneof![Just(Payees::External), Just(Payees::Internal)];
    let pay = (0..WALLETS.len(), any::<u8>(), payees, any::<bool>());
    prop_oneof![
        6 => pay.prop_map(|(wallet, amount, payees, outstanding)| Step::Pay { wallet, amount, payees, outstanding }),
        4 => (any::<prop::sample::Index>(), 0..2 * LENGTH_MS).prop_map(|(which, ago_ms)| Step::Settle { which, ago_ms }),
        3 => (1..LENGTH_MS / 2).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Begin),
        4 => (1..4_i64).prop_map(|rows| Step::Count { rows }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn its_sums_are_those_of_a_window_long_in_use_whatever_happens_meanwhile(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let (old, path) = (open(&dir.path().join("old")), dir.path().join("new"));
        let mut new = open(&path);
        let (mut now, mut paid, mut outstanding) = (10 * LENGTH_MS, 0_u32, Vec::new());
        Ledger::new(&old, now).begin_windows(&windows()).unwrap();
        // At the end all of it is counted.
        let ended = [Step::Begin, Step::Count { rows: 60 }, Step::Count { rows: 60 }];
        for step in steps.into_iter().chain(ended) {
            let both = [Ledger::new(&old, now), Ledger::new(&new, now)];
            match step {
                Step::Pay { wallet, amount, payees, outstanding: waits } => {
                    paid += 1;
                    let mut id = [0; 32];
                    id[..4].copy_from_slice(&paid.to_be_bytes());
                    let spend = Spend {
                        wallet: WALLETS[wallet].to_owned(),
                        chain: CHAIN.to_owned(),
                        id,
                        asset: account("ETH", payees),
                        amount: Amount::from(u128::from(amount)),
                        to: None,
                    };
                    both.iter().for_each(|ledger| ledger.spend(&spend, waits).unwrap());
                    if waits {
                        outstanding.push(spend);
                    }
                }
                Step::Settle { which, ago_ms } if !outstanding.is_empty() => {
                    let spend = outstanding.swap_remove(which.index(outstanding.len()));
                    both.iter().for_each(|ledger| ledger.settle_spend(&spend, now.saturating_sub(ago_ms)).unwrap());
                }
                Step::Settle { .. } => {}
                Step::Pass { ms } => now += ms,
                Step::Begin => both[1].begin_windows(&windows()).unwrap(),
                Step::Count { rows } => both[1].count_some(rows).unwrap(),
                Step::Restart => new = open(&path),
            }
            for window in windows() {
                for wallet in WALLETS {
                    let [one, other] = [&old, &new].map(|store| Ledger::new(store, now).spent(&window, wallet, CHAIN, "ETH"));
                    prop_assert_eq!(one.unwrap(), other.unwrap(), "{:?} after {:?}", window, step);
                }
            }
        }
        prop_assert!(!Ledger::new(&new, now).must_count(&windows()).unwrap());
        prop_assert_eq!(Ledger::new(&new, now).uncounted(&windows()[0]).unwrap(), 0);
    }
}

#[tokio::test]
async fn where_much_is_not_counted_there_is_no_verdict_until_it_is_and_counting_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let many = ADDED_UP as usize + 1;
    // Alice pays once, and bob pays all the rest.
    let pay = move |ledger: &Ledger<'_>| {
        for number in 0..many {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let wallet = WALLETS[usize::from(number > 0)].to_owned();
            let (chain, asset, amount) = (CHAIN.to_owned(), "ETH".to_owned(), Amount::from(1));
            ledger.spend(&Spend { wallet, chain, id, asset, amount, to: None }, true)?;
        }
        Ok(())
    };
    store.decide(1, pay).await.unwrap();
    let [of_wallet, _, total] = windows().try_into().unwrap();
    let spent = async |store: &Store, window: Window, wallet: &'static str| {
        store.look(2, move |ledger| ledger.spent(&window, wallet, CHAIN, "ETH")).await
    };
    assert_eq!(spent(&store, total, "alice").await, Err(StoreError::WindowBuilding));
    assert_eq!(spent(&store, of_wallet, "alice").await, Ok(Amount::from(1)), "its own amounts are few");

    assert!(store.count_windows(2, windows()).await.unwrap());
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let mut steps = 1;
    while store.count_windows(2, windows()).await.unwrap() {
        steps += 1;
        assert!(steps < 20);
    }
    let expected = Amount::from(many as u128);
    assert_eq!(spent(&store, total, "alice").await, Ok(expected));
    assert_eq!(spent(&store, of_wallet, "bob").await, Ok(Amount::from(many as u128 - 1)));
    assert!(!store.count_windows(2, windows()).await.unwrap());
}
