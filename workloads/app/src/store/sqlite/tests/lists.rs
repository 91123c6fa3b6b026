use std::sync::Mutex;

use jiff::Timestamp;

use super::{SHOP, address, alice, id, new, open, rules, with_alice};
use crate::{
    domain::{
        Attested, Direction, History, NewPayment, Order, Page, Payment, PaymentFilter, Seed, Stage, Status,
        WalletFilter,
    },
    store::{
        Payments, Wallets,
        sqlite::{
            Sqlite,
            lists::{CREATED_AFTER, CREATED_BEFORE},
        },
    },
};

async fn numbers(store: &Sqlite, filter: PaymentFilter, page: Page) -> (Vec<u8>, Page) {
    let (found, next) = page.cut(store.payments(filter, page).await.unwrap());
    let number = |(payment, _): &(Payment, History)| (1..=20).find(|number| payment.id == id(*number)).unwrap();
    (found.iter().map(number).collect(), next.map_or(page, |cursor| Page::after(cursor, page.limit)))
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_a_payment_while_others_come() {
    let (_dir, store) = with_alice().await;
    for number in 1..=5 {
        store.accept(new(number, &number.to_string())).await.unwrap();
    }
    let all = PaymentFilter::default;
    let (first, next) = numbers(&store, all(), Page::first(Direction::NewestFirst, 2)).await;
    let (oldest, after) = numbers(&store, all(), Page::first(Direction::OldestFirst, 4)).await;
    store.accept(new(6, "6")).await.unwrap();
    let (second, next) = numbers(&store, all(), next).await;
    let (third, _) = numbers(&store, all(), next).await;
    assert_eq!([first, second, third].concat(), [5, 4, 3, 2, 1]);
    assert_eq!([oldest, numbers(&store, all(), after).await.0].concat(), [1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn every_filter_is_kept_also_with_others() {
    let (_dir, store) = with_alice().await;
    let bob = "bob".parse().unwrap();
    store.ask_for_wallet(&bob, Seed([0; 16]), None).await.unwrap();
    let usdc = "USDC".parse().unwrap();
    for (number, wallet, asset) in [(1, alice(), "ETH"), (2, bob, "ETH"), (3, alice(), "USDC"), (4, alice(), "ETH")] {
        let order = Order { wallet, asset: asset.parse().unwrap(), ..new(number, "k").order };
        let payment = store.accept(NewPayment { order, ..new(number, &number.to_string()) }).await.unwrap().unwrap();
        if number == 4 {
            let failed = Payment { status: Status::Failed, stage: Stage::Done, ..payment };
            store.update(failed).await.unwrap();
        }
    }
    let listed = async |filter| numbers(&store, filter, Page::first(Direction::OldestFirst, 9)).await.0;
    let all = PaymentFilter::default();
    assert_eq!(listed(PaymentFilter { wallet: Some(alice()), ..all.clone() }).await, [1, 3, 4]);
    assert_eq!(listed(PaymentFilter { status: Some(Status::Failed), ..all.clone() }).await, [4]);
    assert_eq!(listed(PaymentFilter { asset: Some(usdc), ..all.clone() }).await, [3]);
    let both = PaymentFilter { wallet: Some(alice()), status: Some(Status::Failed), ..all };
    assert_eq!(listed(both).await, [4]);
}

#[tokio::test]
async fn wallets_that_were_never_given_out_are_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    for name in ["zoe", "bob", "alice"] {
        store.ask_for_wallet(&name.parse().unwrap(), Seed([0; 16]), None).await.unwrap();
    }
    for name in ["zoe", "alice"] {
        let attested = Attested { hot_key: vec![], address: address(SHOP), keeper: vec![], cooler: vec![] };
        store.attest_wallet(&name.parse().unwrap(), attested).await.unwrap();
    }
    let listed = async |address| {
        let page = Page::first(Direction::OldestFirst, 9);
        let found = store.wallets(WalletFilter { address }, page).await.unwrap();
        found.into_iter().map(|(_, wallet)| wallet.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, ["zoe", "alice"]);
    assert_eq!(listed(Some(address(SHOP))).await, ["zoe", "alice"]);
    assert_eq!(listed(Some(address(super::ELSEWHERE))).await, [""; 0]);
}

#[tokio::test]
async fn a_time_is_a_bound_also_where_the_clock_was_put_back() {
    fn clock() -> Timestamp {
        static TIMES: Mutex<Vec<i64>> = Mutex::new(Vec::new());
        let mut times = TIMES.lock().unwrap();
        times.push(1);
        // 10, 20, 5 and 30 seconds.
        Timestamp::from_second([10, 20, 5, 30][times.len() - 1]).unwrap()
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(dir.path(), rules(), clock).unwrap();
    store.ask_for_wallet(&alice(), Seed([0; 16]), None).await.unwrap();
    for number in 1..=4 {
        store.accept(new(number, &number.to_string())).await.unwrap();
    }
    let at = |second| Some(Timestamp::from_second(second).unwrap());
    let listed = async |created_after, created_before| {
        let filter = PaymentFilter { created_after, created_before, ..PaymentFilter::default() };
        numbers(&store, filter, Page::first(Direction::OldestFirst, 9)).await.0
    };
    assert_eq!(listed(at(20), None).await, [2, 3, 4], "the third is as late as the one before it");
    assert_eq!(listed(None, at(20)).await, [1]);
    assert_eq!(listed(at(11), at(21)).await, [2, 3]);
    assert_eq!(listed(at(31), None).await, [0; 0]);
    assert_eq!(listed(None, at(10)).await, [0; 0]);
    let page = Page::first(Direction::NewestFirst, 1);
    let (_, (_, history)) = store.payments(PaymentFilter::default(), page).await.unwrap().remove(0);
    assert_eq!((history.created, history.updated), (at(30), at(30)));
}

/// What a list costs does not grow with what is stored.
#[tokio::test]
async fn every_list_is_read_by_an_index_in_its_order() {
    let (_dir, store) = with_alice().await;
    let plan = async |statement: String| {
        let plan = store.read(move |db| {
            let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {statement}"))?;
            let rows = statement.query_map([], |row| row.get::<_, String>("detail"))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?.join("; "))
        });
        plan.await.unwrap()
    };
    let page = "sequence > 0 AND sequence < 9 ORDER BY sequence DESC LIMIT 1";
    for (what, by) in [
        ("payments WHERE", "INTEGER PRIMARY KEY"),
        ("payments WHERE wallet = 'a' AND", "payments_of_a_wallet"),
        ("payments WHERE status = 'a' AND", "payments_of_a_status"),
        ("payments WHERE asset = 'a' AND", "payments_of_an_asset"),
        (&format!("payments WHERE {CREATED_AFTER} AND"), "payments_in_time"),
        (&format!("payments WHERE {CREATED_BEFORE} AND"), "payments_in_time"),
        ("given_out_wallets WHERE", "wallets_in_order"),
        ("given_out_wallets WHERE address = 'a' AND", "wallets_by_address"),
    ] {
        let plan = plan(format!("SELECT * FROM {what} {page}").replace('?', "1")).await;
        assert!(plan.contains(by) && !plan.contains("SCAN"), "{what}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{what}: {plan}");
    }
}
