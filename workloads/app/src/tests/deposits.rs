//! What the README tells those who pay in: how much gas a deposit needs, before the wallet's contract is there and after.

use serde_json::{Value, json};

use super::{home::ETH, world::World};

/// Passes its value on to the address in its call data with the 2,300 gas of Solidity's `transfer` and `send`.
const STIPEND: &str = "0x601980600b6000396000f36000600060006000346000356000f1601757600060\
                       00fd5b00";
/// A deposit, wei.
const WEI: u128 = 1_000;

struct Depositor<'a> {
    world: &'a World,
    from: String,
    /// [`STIPEND`], deployed.
    contract: String,
}

impl<'a> Depositor<'a> {
    async fn new(world: &'a World) -> Self {
        let from = world.anvil.dev_accounts().unwrap()[2].address.clone();
        let receipt = world.anvil.send(json!({"from": from, "data": STIPEND})).await.unwrap();
        let contract = receipt["contractAddress"].as_str().unwrap().to_owned();
        Self { world, from, contract }
    }

    /// Whether it arrives.
    async fn arrives(&self, transaction: Value, wallet: &str) -> bool {
        let before = self.world.balance(wallet).await;
        let sent = self.world.anvil.send(transaction).await;
        let arrived = self.world.balance(wallet).await - before;
        assert_eq!(arrived, if sent.is_ok() { WEI } else { 0 }, "{sent:?}");
        sent.is_ok()
    }

    async fn plain(&self, gas: u64, wallet: &str) -> bool {
        let value = format!("0x{WEI:x}");
        let transaction = json!({"from": self.from, "to": wallet, "value": value, "gas": format!("0x{gas:x}")});
        self.arrives(transaction, wallet).await
    }

    async fn by_contract(&self, wallet: &str) -> bool {
        let data = format!("0x{:0>64}", &wallet[2..]);
        let value = format!("0x{WEI:x}");
        let transaction =
            json!({"from": self.from, "to": self.contract, "value": value, "data": data, "gas": "0x30d40"});
        self.arrives(transaction, wallet).await
    }
}

#[tokio::test]
async fn deposits_with_little_gas_arrive_before_the_wallets_first_payment_and_not_after() {
    let world = World::new().await;
    let app = world.start().await;
    let wallet = world.funded(&app, "alice").await;
    let depositor = Depositor::new(&world).await;
    assert!(depositor.plain(21_000, &wallet).await && depositor.by_contract(&wallet).await);

    assert_eq!(app.paid("1", "alice", ETH / 2).await["status"], "confirmed");
    assert!(!depositor.plain(21_000, &wallet).await, "an exchange with a fixed limit");
    assert!(!depositor.by_contract(&wallet).await, "transfer() of a contract");
    // The least that arrives, and what nodes estimate.
    let deposit = json!({"from": depositor.from, "to": wallet, "value": format!("0x{WEI:x}")});
    let estimate: String = world.anvil.rpc("eth_estimateGas", json!([deposit])).await.unwrap();
    assert!(u64::from_str_radix(&estimate[2..], 16).unwrap() <= 28_000, "{estimate}");
    assert!(!depositor.plain(27_000, &wallet).await && depositor.plain(28_000, &wallet).await);
}
