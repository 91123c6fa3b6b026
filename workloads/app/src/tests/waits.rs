//! Payments that wait: for time locks, for settlements to be attested, for a signer that serves nothing now.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use custody::Role;
use serde_json::{Value, json};

use super::{
    home::{ETH, SHOP},
    running::RunningApp,
    signers::{Fault, TestSigners},
    world::World,
};

/// 2100-01-01T00:00:00Z.
const LOCK_MS: u64 = 4_102_444_800_000;
const HOUR_MS: u64 = 3_600_000;
const BOTH: [Role; 2] = [Role::Keeper, Role::Cooler];

fn lock(signers: &TestSigners) {
    signers.lock(Role::Keeper, LOCK_MS);
    signers.lock(Role::Cooler, LOCK_MS + HOUR_MS);
}

fn unlock(signers: &TestSigners) {
    for signer in BOTH {
        signers.unlock(signer);
    }
}

async fn waiting(app: &RunningApp, id: &str) -> Value {
    app.until(id, |payment| payment["status"] == "waiting" && payment["message"].is_string()).await
}

#[tokio::test]
async fn time_locks_begin_at_both_signers_and_are_waited_for_through_restarts() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    lock(&world.signers);
    world.signers.script(|role, operation| match (role, operation) {
        (Role::Cooler, "announce") => Fault::HangAfter,
        _ => Fault::None,
    });
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    world.signers.hung.notified().await;
    app.kill().await;

    world.signers.heal();
    for _ in 0..2 {
        let app = world.start().await;
        let shown = waiting(&app, &id).await;
        assert_eq!(shown["notBefore"], "2100-01-01T01:00:00Z", "the later of both: {shown:#}");
        assert!(shown["message"].as_str().unwrap().contains("2100-01-01T01:00:00Z"), "{shown:#}");
        assert_eq!((&shown["reason"], &shown["signers"]), (&Value::Null, &json!([])));
        assert!(app.text("/metrics").await.contains("app_payments{status=\"waiting\"} 1"));
        app.kill().await;
    }
    assert_eq!(BOTH.map(|signer| world.signers.announced(signer)), [1, 1]);

    unlock(&world.signers);
    let app = world.start().await;
    let paid = app.ended(&id).await;
    assert_eq!(paid["status"], "confirmed", "{paid:#}");
    assert_eq!((&paid["notBefore"], &paid["message"]), (&Value::Null, &Value::Null), "{paid:#}");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 7));
}

#[tokio::test]
async fn a_time_lock_of_one_signer_is_waited_for_too() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    for signer in BOTH {
        world.signers.lock(signer, LOCK_MS);
        let id = app.pay(signer.as_str(), "alice", SHOP, "ETH", 7).await;
        assert_eq!(waiting(&app, &id).await["notBefore"], "2100-01-01T00:00:00Z");
        world.signers.unlock(signer);
        assert_eq!(app.ended(&id).await["status"], "confirmed");
    }
}

#[tokio::test]
async fn what_an_admin_vetoes_while_it_waits_is_refused_and_costs_nothing() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    for signer in BOTH {
        lock(&world.signers);
        let id = app.pay(signer.as_str(), "alice", SHOP, "ETH", 7).await;
        waiting(&app, &id).await;
        world.signers.veto(signer, true);
        let refused = app.ended(&id).await;
        assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("Vetoed")), "{refused:#}");
        assert_eq!((&refused["signers"], &refused["notBefore"]), (&json!([]), &Value::Null));
        world.signers.veto(signer, false);
        unlock(&world.signers);
    }
    app.paid("next", "alice", 8).await;
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 8));
}

/// A payment that Cooler holds up although it allowed it before: its admin has tightened the local policy meanwhile.
async fn held_up_by_cooler(world: &World, app: &RunningApp) -> String {
    let (signers, first) = (world.signers.clone(), AtomicBool::new(true));
    world.signers.script(move |role, operation| {
        if (role, operation) == (Role::Cooler, "sign") && first.swap(false, Ordering::Relaxed) {
            signers.lock(Role::Cooler, LOCK_MS);
        }
        Fault::None
    });
    let id = app.pay("held-up", "alice", SHOP, "ETH", 7).await;
    let shown = waiting(app, &id).await;
    assert_eq!((&shown["signers"], &shown["notBefore"]), (&json!(["hot"]), &json!("2100-01-01T00:00:00Z")));
    id
}

#[tokio::test]
async fn what_only_hot_has_signed_waits_for_coolers_time_lock_and_is_paid() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let id = held_up_by_cooler(&world, &app).await;
    app.kill().await;
    let app = world.start().await;
    waiting(&app, &id).await;
    world.signers.unlock(Role::Cooler);
    assert_eq!(app.ended(&id).await["status"], "confirmed");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 7));
    for signer in BOTH {
        assert_eq!(world.signers.payments_signed(signer, "alice", 0), 1);
    }
}

#[tokio::test]
async fn what_hot_has_signed_and_an_admin_vetoes_is_ended_by_the_cancel() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let id = held_up_by_cooler(&world, &app).await;
    world.signers.veto(Role::Cooler, true);
    let refused = app.ended(&id).await;
    assert_eq!((&refused["status"], &refused["reason"]), (&json!("refused"), &json!("Vetoed")), "{refused:#}");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (1, 0));
}

#[tokio::test]
async fn a_payment_overtaken_while_it_waits_starts_again_with_a_new_time_lock() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    app.paid("deployed", "alice", 1).await;
    lock(&world.signers);
    let id = app.pay("one", "alice", SHOP, "ETH", 7).await;
    waiting(&app, &id).await;
    world.evacuate("alice", ETH / 2, 1).await;
    app.until(&id, |_| BOTH.iter().all(|signer| world.signers.announced(*signer) == 2)).await;
    unlock(&world.signers);
    assert_eq!(app.ended(&id).await["status"], "confirmed");
    assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (3, 8));
}

#[tokio::test]
async fn a_signer_that_can_not_decide_now_is_waited_for_and_shown_in_words() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    for (number, reason) in ["Unsettled", "Frozen", "Locked", "LeaseExpired"].into_iter().enumerate() {
        let signer = BOTH[number % 2];
        world.signers.script(move |role, operation| match operation {
            "check" if role == signer => Fault::NotNow(reason),
            _ => Fault::None,
        });
        let id = app.pay(reason, "alice", SHOP, "ETH", 7).await;
        let shown = app.until(&id, |payment| payment["message"].is_string()).await;
        let expected = format!("{signer} can't decide now: {reason} in words ({reason})");
        assert_eq!((&shown["status"], &shown["message"]), (&json!("accepted"), &json!(expected)), "{shown:#}");
        assert_eq!(shown["reason"], Value::Null);
        world.signers.heal();
        assert_eq!(app.ended(&id).await["status"], "confirmed");
    }
}

#[tokio::test]
async fn a_nonce_that_a_signer_does_not_know_as_the_next_is_waited_for_before_anything_is_signed() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    for reason in ["NonceNotNext", "NonceSettled"] {
        world.signers.script(move |_, operation| match operation {
            "check" => Fault::Refuse(reason),
            _ => Fault::None,
        });
        let id = app.pay(reason, "alice", SHOP, "ETH", 7).await;
        let shown = app.until(&id, |payment| payment["message"].is_string()).await;
        assert!(shown["message"].as_str().unwrap().contains("catch up"), "{shown:#}");
        assert_eq!((&shown["status"], &shown["reason"]), (&json!("accepted"), &Value::Null), "{shown:#}");
        world.signers.heal();
        assert_eq!(app.ended(&id).await["status"], "confirmed");
    }
}

#[tokio::test]
async fn a_signer_that_learns_of_settlements_between_check_and_signature_is_asked_under_another_operation() {
    let world = World::new().await;
    let app = world.start().await;
    let address = world.funded(&app, "alice").await;
    let mut nonce = 0;
    for signer in BOTH {
        for reason in ["NonceNotNext", "NonceSettled"] {
            let (refused, told) = (AtomicBool::new(false), Arc::new(AtomicBool::new(false)));
            let sentinel = told.clone();
            world.signers.script(move |role, operation| match operation {
                "sign" if role == signer && !refused.swap(true, Ordering::Relaxed) => Fault::Refuse(reason),
                "check" | "announce" if role == signer => {
                    let behind = refused.load(Ordering::Relaxed) && !told.load(Ordering::Relaxed);
                    if behind { Fault::Refuse(reason) } else { Fault::None }
                }
                _ => Fault::None,
            });
            let id = app.pay(&format!("{signer}-{reason}"), "alice", SHOP, "ETH", 7).await;
            let shown = app.until(&id, |payment| payment["message"].is_string()).await;
            assert!(shown["message"].as_str().unwrap().contains("catch up"), "{shown:#}");
            sentinel.store(true, Ordering::Relaxed);
            assert_eq!(app.ended(&id).await["status"], "confirmed", "{signer} {reason}");
            nonce += 1;
            assert_eq!((world.nonce(&address).await, world.balance(SHOP).await), (nonce, u128::from(nonce) * 7));
        }
    }
}
