use super::{SHOP, address, alice, id, new, open, with_alice};
use crate::{
    domain::{Attested, Direction, NewPayment, Order, Page, PaymentFilter, Seed, Stage, Status, WalletFilter},
    store::{Payments, Wallets, sqlite::Sqlite},
};

async fn numbers(store: &Sqlite, filter: PaymentFilter, page: Page) -> (Vec<u8>, Page) {
    let (found, next) = page.cut(store.payments(filter, page).await.unwrap());
    let number = |payment: &crate::domain::Payment| (1..=20).find(|number| payment.id == id(*number)).unwrap();
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
            let failed = crate::domain::Payment { status: Status::Failed, stage: Stage::Done, ..payment };
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

/// What a list costs does not grow with what is stored.
#[tokio::test]
async fn every_list_is_read_by_an_index_in_its_order() {
    let (_dir, store) = with_alice().await;
    let plan = async |statement: &'static str| {
        let plan = store.run(move |db| {
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
        ("given_out_wallets WHERE", "wallets_in_order"),
        ("given_out_wallets WHERE address = 'a' AND", "wallets_by_address"),
    ] {
        let statement: &'static str = format!("SELECT * FROM {what} {page}").leak();
        let plan = plan(statement).await;
        assert!(plan.contains(&format!("USING {by}")) || plan.contains(&format!("USING INDEX {by}")), "{what}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{what}: {plan}");
    }
}
