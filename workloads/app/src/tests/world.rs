//! A node, two signers, and an App that may be killed and started again.

use std::{fs, path::Path, sync::Arc};

use chain::{Asset, Claim, Effect, KeyRole};
use chain_adapters::Adapters;
use data_encoding::HEXLOWER;
use harness::{Options, evm::Anvil, rpc_proxy::RpcProxy};
use serde_json::{Value, json};

use super::{
    home::{CHAIN, ETH, Home, OTHER_SAFE_PLACE, SAFE_PLACE},
    running::RunningApp,
    signers::TestSigners,
};
use crate::{
    config::{ConfigError, Settings},
    run,
};

pub(super) struct World {
    pub(super) anvil: Anvil,
    pub(super) signers: Arc<TestSigners>,
    pub(super) token: String,
    pub(super) home: Home,
    adapters: Adapters,
}

impl World {
    pub(super) async fn new() -> Self {
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        let token = anvil.deploy_token().await.unwrap();
        let (chain, adapters) = (format!("eip155:{CHAIN}").parse().unwrap(), Adapters::all());
        let configured = json!({
            "id": chain,
            "nodes": [anvil.url()],
            "finality": {"depth": 0},
            "assets": [
                {"symbol": "ETH", "asset": "native", "decimals": 18},
                {"symbol": "USD", "asset": token, "decimals": 18},
            ],
        });
        let home = Home::new(configured, &[SAFE_PLACE, OTHER_SAFE_PLACE], &anvil.dev_accounts().unwrap()[1].key);
        let assets = vec![
            Asset { symbol: "ETH".into(), contract: None },
            Asset { symbol: "USD".into(), contract: Some(token.clone()) },
        ];
        let rules = adapters.rules(&chain).unwrap();
        let signers = Arc::new(TestSigners::new(&home.custody, rules, assets));
        Self { anvil, signers, token, home, adapters }
    }

    /// The settings, with the configuration changed.
    pub(super) fn settings(&self, change: impl FnOnce(&mut Value)) -> Result<Settings, ConfigError> {
        self.home.settings(&self.adapters, change)
    }

    /// Starts App on the database that is there.
    pub(super) async fn start(&self) -> RunningApp {
        self.start_with(|_| {}).await
    }

    /// Starts App with the configuration changed.
    pub(super) async fn start_with(&self, change: impl FnOnce(&mut Value)) -> RunningApp {
        let settings = self.settings(change).unwrap();
        RunningApp::start(settings, run::client, self.signers.clone()).await
    }

    /// Starts App, which may stay locked.
    pub(super) async fn start_locked(&self) -> RunningApp {
        let settings = self.settings(|_| {}).unwrap();
        RunningApp::start_locked(settings, run::client, self.signers.clone()).await
    }

    /// App's volume is lost, and what `copy` holds is restored.
    pub(super) fn restore(&self, copy: &Path) {
        let data_dir = self.settings(|_| {}).unwrap().data_dir;
        fs::remove_dir_all(&data_dir).unwrap();
        fs::create_dir_all(&data_dir).unwrap();
        fs::copy(copy, data_dir.join("app.sqlite")).unwrap();
    }

    /// A wallet with money, not deployed.
    pub(super) async fn funded(&self, app: &RunningApp, id: &str) -> String {
        let (status, wallet) = app.post("/wallets", None, json!({"id": id})).await;
        assert_eq!(status, 201, "{wallet:#}");
        let address = wallet["address"].as_str().unwrap().to_owned();
        self.anvil.fund(&address, ETH).await.unwrap();
        address
    }

    pub(super) async fn balance(&self, address: &str) -> u128 {
        self.anvil.balance(address).await.unwrap()
    }

    pub(super) async fn automine(&self, on: bool) {
        let () = self.anvil.rpc("evm_setAutomine", json!([on])).await.unwrap();
    }

    pub(super) async fn mine(&self) {
        let _: Value = self.anvil.rpc("evm_mine", json!([])).await.unwrap();
    }

    /// The newest blocks have never been; what is sent again is not mined before [`World::goes_on`].
    pub(super) async fn roll_back(&self, blocks: u64) {
        self.automine(false).await;
        let _: Value = self.anvil.rpc("anvil_rollback", json!([blocks])).await.unwrap();
    }

    /// After [`World::roll_back`].
    pub(super) async fn goes_on(&self) {
        self.automine(true).await;
        self.mine().await;
    }

    pub(super) async fn set_code(&self, address: &str, code: &str) {
        let _: Value = self.anvil.rpc("anvil_setCode", json!([address, code])).await.unwrap();
    }

    pub(super) async fn block_number(&self) -> u64 {
        let number: String = self.anvil.rpc("eth_blockNumber", json!([])).await.unwrap();
        u64::from_str_radix(number.trim_start_matches("0x"), 16).unwrap()
    }

    /// Starts App on a chain whose blocks stay once so many follow them.
    pub(super) async fn start_at_depth(&self, depth: u64) -> RunningApp {
        self.start_with(|config| config["chain"]["finality"] = json!({"depth": depth})).await
    }

    /// Starts App on the node as it is behind a proxy, with the same finality.
    pub(super) async fn start_behind(&self, proxy: &RpcProxy, depth: u64) -> RunningApp {
        self.start_with(|config| {
            config["chain"]["finality"] = json!({"depth": depth});
            config["chain"]["nodes"] = json!([proxy.url()]);
        })
        .await
    }

    pub(super) async fn set_balance(&self, address: &str, wei: u128) {
        let _: Value = self.anvil.rpc("anvil_setBalance", json!([address, format!("{wei:#x}")])).await.unwrap();
    }

    /// The Safe's nonce; the wallet is deployed.
    pub(super) async fn nonce(&self, address: &str) -> u64 {
        let nonce = json!([{"to": address, "data": "0xaffed0e0"}, "latest"]);
        let answer: String = self.anvil.rpc("eth_call", nonce).await.unwrap();
        u64::from_str_radix(answer.trim_start_matches("0x"), 16).unwrap()
    }

    /// Cool and cold use a nonce of a deployed wallet, as an evacuation does.
    pub(super) async fn evacuate(&self, id: &str, wei: u128, nonce: u64) {
        let wallet = self.signers.wallet(id);
        let rules = self.adapters.rules(&wallet.chain).unwrap();
        let assets = [Asset { symbol: "ETH".into(), contract: None }];
        let effect = Effect::Transfer { asset: "ETH".into(), to: SAFE_PLACE.into(), amount: wei.into() };
        let unsigned = rules.build(&effect, &wallet, &assets, &[Claim::Sequence(nonce)]).unwrap();
        let sign = |role| self.signers.owner_signatures(role, &self.home.custody, &unsigned, &wallet);
        let call = rules.assemble(&unsigned, &wallet, &[sign(KeyRole::Cool), sign(KeyRole::Cold)]).unwrap();
        self.send(call.to, HEXLOWER.encode(&call.data)).await;
    }

    /// A stranger's transaction.
    pub(super) async fn send(&self, to: String, data: String) {
        let from = self.anvil.dev_accounts().unwrap()[5].address.clone();
        let data = format!("0x{}", data.trim_start_matches("0x"));
        self.anvil.send(json!({"from": from, "to": to, "data": data})).await.unwrap();
    }
}
