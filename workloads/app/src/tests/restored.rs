//! App's volume is lost and an older database takes its place: whatever was asked before is paid once.

use custody::Role;
use serde_json::json;

use super::{
    home::{ETH, SHOP},
    running::RunningApp,
    signers::Fault,
    world::World,
};

/// How far a payment came.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Until {
    /// It is not asked for.
    Nothing,
    /// The n-th question to a signer: it is lost, or its answer is.
    Question(u32, Fault),
    /// It is confirmed.
    End,
}

use Until::{End, Nothing, Question};

impl World {
    /// An App that asks for the payment, or goes on with it, until then. It is told what to lose before it starts.
    async fn pay_until(&self, key: &str, until: Until) -> RunningApp {
        if let Question(n, fault) = until {
            let mut asked = 0;
            self.signers.script(move |_, operation| {
                asked += u32::from(["check", "sign"].contains(&operation));
                if asked == n { fault } else { Fault::None }
            });
        }
        let app = self.start().await;
        match until {
            Nothing => {}
            Question(..) => {
                app.pay(key, key, SHOP, "ETH", 7).await;
                self.signers.hung.notified().await;
                self.signers.heal();
            }
            End => drop(app.paid(key, key, 7).await),
        }
        app
    }
}

#[tokio::test]
async fn whenever_the_backup_was_made_and_however_far_the_payment_came_it_is_paid_once() {
    use Fault::{Hang, HangAfter};
    let (world, copies) = (World::new().await, tempfile::tempdir().unwrap());
    let cases = [
        // Nothing was signed; hot has signed and App does not know; hot alone; both; all of it.
        (Nothing, Question(3, Hang)),
        (Nothing, Question(3, HangAfter)),
        (Nothing, Question(4, Hang)),
        (Nothing, Question(4, HangAfter)),
        (Nothing, End),
        (Question(1, Hang), Question(3, HangAfter)),
        (Question(1, Hang), Question(4, HangAfter)),
        (Question(1, Hang), End),
        (Question(4, Hang), End),
        (End, End),
    ];
    for (number, (backup, came)) in cases.into_iter().enumerate() {
        let (key, copy) = (format!("user-{number}"), copies.path().join(number.to_string()));
        let app = world.start().await;
        let address = world.funded(&app, &key).await;
        app.kill().await;
        let app = world.pay_until(&key, backup).await;
        app.copy_to(&copy).await;
        app.kill().await;
        world.pay_until(&key, came).await.kill().await;

        world.restore(&copy);
        let app = world.start().await;
        let paid = app.paid(&key, &key, 7).await;
        let case = format!("backup at {backup:?}, lost after {came:?}: {paid:#}");
        let expected = 7 * (number as u128 + 1);
        assert_eq!((world.balance(SHOP).await, world.nonce(&address).await), (expected, 1), "{case}");
        for signer in [Role::Keeper, Role::Cooler] {
            assert_eq!(world.signers.payments_signed(signer, &key, 0), 1, "{signer}: {case}");
            assert_eq!(world.signers.payments_signed(signer, &key, 1), 0, "{signer}: {case}");
        }
        app.kill().await;
    }
}

#[tokio::test]
async fn a_lost_payment_is_shown_as_the_chain_has_it_and_its_key_is_nobody_elses() {
    let (world, copies) = (World::new().await, tempfile::tempdir().unwrap());
    let copy = copies.path().join("copy");
    let app = world.start().await;
    world.funded(&app, "alice").await;
    app.copy_to(&copy).await;
    let paid = app.paid("one", "alice", 7).await;
    app.kill().await;
    world.restore(&copy);

    let app = world.start().await;
    let id = paid["id"].as_str().unwrap();
    let (status, shown) = app.get(&format!("/payments/{id}")).await;
    assert_eq!((status, &shown["status"], &shown["tx"]), (200, &json!("confirmed"), &paid["tx"]), "{shown:#}");
    let other = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "8"});
    let (status, refused) = app.post("/payments", Some("one"), other).await;
    assert_eq!((status, &refused["reason"]), (409, &json!("IdempotencyKeyReused")));
    // What is asked for under another key is another payment.
    app.paid("two", "alice", 1).await;
    assert_eq!(app.paid("one", "alice", 7).await["tx"], paid["tx"]);
    assert_eq!(world.balance(SHOP).await, 8);
}

#[tokio::test]
async fn app_serves_nothing_until_both_signers_have_told_what_they_know() {
    let (world, copies) = (World::new().await, tempfile::tempdir().unwrap());
    let copy = copies.path().join("copy");
    let app = world.start().await;
    world.funded(&app, "alice").await;
    app.copy_to(&copy).await;
    app.paid("one", "alice", 7).await;
    app.kill().await;
    world.restore(&copy);
    for silent in [Role::Keeper, Role::Cooler] {
        world.signers.tells(silent, false);
        let app = world.start_locked().await;
        let order = json!({"wallet": "alice", "to": SHOP, "asset": "ETH", "amount": "7"});
        for (status, body) in [
            app.post("/payments", Some("one"), order).await,
            app.post("/wallets", None, json!({"id": "bob"})).await,
            app.get("/payments/00").await,
            app.get("/wallets/alice").await,
        ] {
            assert_eq!((status, &body["reason"]), (503, &json!("Locked")), "{body:#}");
        }
        assert_eq!(app.probe("/livez").send().await.unwrap().status(), 200);
        world.signers.tells(silent, true);
        app.unlocked().await;
        app.paid("one", "alice", 7).await;
        app.kill().await;
    }
    assert_eq!(world.balance(SHOP).await, 7);
}

#[tokio::test]
async fn a_lost_payment_that_was_outrun_is_made_once_the_signers_are_told_so() {
    let (world, copies) = (World::new().await, tempfile::tempdir().unwrap());
    let copy = copies.path().join("copy");
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    app.copy_to(&copy).await;
    let mut asked = 0;
    world.signers.script(move |_, operation| {
        asked += u32::from(["check", "sign"].contains(&operation));
        if asked == 4 { Fault::Hang } else { Fault::None }
    });
    app.pay("one", "alice", SHOP, "ETH", 7).await;
    world.signers.hung.notified().await;
    app.kill().await;
    world.signers.heal();
    world.restore(&copy);

    // Another payment takes the nonce by its cancel: hot's signature for the lost one is out.
    let app = world.start().await;
    app.paid("two", "alice", ETH / 4).await;
    assert_eq!(world.nonce(&address).await, 2, "the cancel and the payment");
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    let waits = app.until(&id, |it| it["message"].as_str().is_some_and(|text| text.contains("PaymentIdUsed"))).await;
    assert_eq!(waits["tx"], json!(null));
    world.signers.settle("alice", 0, [9; 32]);
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!((world.balance(SHOP).await, world.nonce(&address).await), (7 + ETH / 4, 3));
}
