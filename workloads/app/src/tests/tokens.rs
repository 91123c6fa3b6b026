//! Tokens that keep a part, move nothing, say false, don't tell what they hold, or are not there. Each is a few lines of
//! EVM code in place of the token that App lists.

use serde_json::{Value, json};

use super::{home::SHOP, world::World};

/// Returns 1 to everything: true, and a balance.
const MOVES_NOTHING: &str = "0x600160005260206000f3";
/// Returns 1 to `balanceOf` and 0, which is false, to everything else.
const SAYS_FALSE: &str = "0x60003560e01c6370a082311460005260206000f3";
/// Reverts at `balanceOf` and returns 1 to everything else.
const HIDES_BALANCES: &str = "0x60003560e01c6370a0823114601957600160005260206000f35b60006000fd";
/// Emits a transfer of half of what it is asked for, from its caller. Returns 1 to `transfer` and 100 to everything else.
const KEEPS_HALF: &str = "0x60026024350460005260043533\
                          7fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206000a3\
                          60003560e01c63a9059cbb1480156064020160005260206000f3";

#[tokio::test]
async fn an_odd_token_ends_its_own_payment_by_name_and_holds_up_no_other() {
    let world = World::new().await;
    let app = world.start().await;
    world.funded(&app, "alice").await;
    app.paid("deployed", "alice", 1).await;
    let mut coins = 1;
    for (number, (code, amount, status, reason, moved)) in [
        ("0x", 1, "failed", json!("SimulationReverted"), Value::Null),
        (SAYS_FALSE, 1, "failed", json!("SimulationReverted"), Value::Null),
        (MOVES_NOTHING, 2, "failed", json!("InsufficientBalance"), Value::Null),
        (MOVES_NOTHING, 1, "failed", json!("MovedNothing"), Value::Null),
        (HIDES_BALANCES, 1, "failed", json!("MovedNothing"), Value::Null),
        (KEEPS_HALF, 10, "confirmed", json!("MovedLess"), json!("5")),
    ]
    .into_iter()
    .enumerate()
    {
        world.set_code(&world.token, code).await;
        let id = app.pay(&format!("token-{number}"), "alice", SHOP, "USD", amount).await;
        let next = app.pay(&format!("coin-{number}"), "alice", SHOP, "ETH", 1).await;
        let ended = app.ended(&id).await;
        assert_eq!((&ended["status"], &ended["reason"]), (&json!(status), &reason), "{code}: {ended:#}");
        assert_eq!(ended["moved"], moved, "{code}: {ended:#}");
        assert!(ended["message"].is_string(), "{code}: {ended:#}");
        assert_eq!(app.ended(&next).await["status"], "confirmed", "{code}");
        coins += 1;
    }
    assert_eq!(world.balance(SHOP).await, coins);
}
