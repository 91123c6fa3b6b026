//! Lists of wallets and payments.

use serde_json::{Value, json};

use super::{api::problem, home::SHOP, running::RunningApp, world::World};

fn ids(page: &Value, of: &str) -> Vec<String> {
    page[of].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

async fn list(app: &RunningApp, path: &str) -> Value {
    let (status, page) = app.get(path).await;
    assert_eq!(status, 200, "{path}: {page:#}");
    page
}

#[tokio::test]
async fn wallets_and_payments_are_listed_page_by_page_also_while_more_come() {
    let world = World::new().await;
    let app = world.start().await;
    let alice = world.funded(&app, "alice").await;
    world.funded(&app, "bob").await;
    app.post("/wallets", None, json!({"id": "aaron"})).await;

    let first = list(&app, "/wallets?limit=2").await;
    assert_eq!(ids(&first, "wallets"), ["aaron", "bob"], "newest first");
    app.post("/wallets", None, json!({"id": "zoe"})).await;
    let second = list(&app, &format!("/wallets?limit=2&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((ids(&second, "wallets"), &second["next"]), (vec!["alice".to_owned()], &Value::Null));
    assert_eq!(second["wallets"][0]["address"], alice);
    assert_eq!(ids(&list(&app, "/wallets?order=oldest").await, "wallets"), ["alice", "bob", "aaron", "zoe"]);
    assert_eq!(ids(&list(&app, &format!("/wallets?address={alice}")).await, "wallets"), ["alice"]);

    let paid = app.paid("1", "alice", 7).await["id"].as_str().unwrap().to_owned();
    let of_bob = app.pay("2", "bob", SHOP, "ETH", 7).await;
    let failed = app.pay("3", "alice", SHOP, "USD", 7).await;
    app.ended(&failed).await;
    app.ended(&of_bob).await;
    let listed = async |filter: &str| ids(&list(&app, &format!("/payments?{filter}")).await, "payments");
    assert_eq!(listed("order=oldest").await, [paid.clone(), of_bob.clone(), failed.clone()]);
    assert_eq!(listed("wallet=alice").await, [failed.clone(), paid.clone()]);
    assert_eq!(listed("wallet=alice&status=confirmed").await, [paid.as_str()]);
    assert_eq!(listed("asset=USD").await, [failed.as_str()]);
    assert_eq!(listed("wallet=carol").await, [""; 0]);
    let first = list(&app, "/payments?limit=1&wallet=alice").await;
    let next = first["next"].as_str().unwrap();
    assert_eq!(listed(&format!("limit=1&wallet=alice&cursor={next}")).await, [paid]);

    for (query, reason) in [
        ("limit=0", "InvalidLimit"),
        ("limit=501", "InvalidLimit"),
        ("limit=many", "InvalidQuery"),
        ("order=random", "InvalidQuery"),
        ("user=alice", "InvalidQuery"),
        ("cursor=x", "InvalidCursor"),
        (&format!("order=oldest&cursor={next}"), "InvalidCursor"),
        ("status=paid", "InvalidFilter"),
        ("wallet=A", "InvalidFilter"),
        ("asset=", "InvalidFilter"),
    ] {
        problem(app.get(&format!("/payments?{query}")).await, 400, reason);
    }
    problem(app.get("/wallets?address=0x12").await, 400, "InvalidFilter");
}
