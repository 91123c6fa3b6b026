//! A node, two signers, and an App that may be killed and started again.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use chain::{Asset, Effect, KeyRole};
use chain_evm::EvmSafe;
use custody::{
    CustodyId, Role,
    identity::PeerKeys,
    manifest::{Manifest, PublicHalf, SignedManifest, VERSION},
    phrase::{Keys, Phrase},
};
use data_encoding::HEXLOWER;
use harness::{Options, evm::Anvil};
use nkeys::XKey;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};

use super::signers::{TestSigners, TestTransport};
use crate::{
    config::{ConfigError, Settings},
    http,
    metrics::Metrics,
    payments::resume,
    run,
    signers::Signers,
};

pub(super) const CHAIN: u64 = 31_337;
pub(super) const ETH: u128 = 1_000_000_000_000_000_000;
pub(super) const SHOP: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
pub(super) const SAFE_PLACE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) struct World {
    pub(super) anvil: Anvil,
    pub(super) signers: Arc<TestSigners>,
    pub(super) rules: EvmSafe,
    pub(super) token: String,
    cold: Keys,
    home: TempDir,
}

impl World {
    pub(super) async fn new() -> Self {
        let anvil = Anvil::start(CHAIN, Options::default()).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let (cool, cold) = (keys(2), keys(3));
        let manifest = manifest(&cool, &cold);
        fs::write(home.path().join("manifest.json"), manifest.to_json()).unwrap();
        fs::write(home.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----").unwrap();
        fs::write(home.path().join("relayer.key"), &anvil.dev_accounts().unwrap()[1].key).unwrap();
        let token = anvil.deploy_token().await.unwrap();
        let rules = EvmSafe::new(format!("eip155:{CHAIN}").parse().unwrap()).unwrap();
        let assets = vec![
            Asset { symbol: "ETH".into(), contract: None },
            Asset { symbol: "USD".into(), contract: Some(token.clone()) },
        ];
        let signers = TestSigners::new(manifest.verify().unwrap(), rules.clone(), assets, cool);
        let world = Self { anvil, signers: Arc::new(signers), rules, token, cold, home };
        fs::write(world.config_file(), world.config(&manifest.digest()).to_string()).unwrap();
        world
    }

    fn config_file(&self) -> std::path::PathBuf {
        self.home.path().join("config.json")
    }

    fn config(&self, manifest_digest: &str) -> Value {
        let path = |name: &str| self.home.path().join(name).display().to_string();
        let keys = |signer, xkey| PeerKeys {
            message_key: HEXLOWER.encode(TestSigners::message_key(signer).verifying_key().as_bytes()),
            xkey: XKey::new_from_raw([xkey; 32]).public_key(),
        };
        json!({
            "listen": "127.0.0.1:0",
            "dataDir": path("data"),
            "identityDir": path("identity"),
            "custodyId": "07070707070707070707070707070707",
            "manifestFile": path("manifest.json"),
            "manifestDigest": manifest_digest,
            "signers": {"keeper": [keys(Role::Keeper, 21)], "cooler": [keys(Role::Cooler, 22)]},
            "nats": {"urls": ["tls://127.0.0.1:4222"], "caFile": path("ca.pem")},
            "credentialsFile": path("credentials.json"),
            "chain": {
                "id": format!("eip155:{CHAIN}"),
                "rpc": self.anvil.url(),
                "assets": [
                    {"symbol": "ETH", "asset": "native", "decimals": 18},
                    {"symbol": "USD", "asset": self.token, "decimals": 18},
                ],
            },
            "relayerKeyFile": path("relayer.key"),
        })
    }

    /// The settings, with the configuration changed.
    pub(super) fn settings(&self, change: impl FnOnce(&mut Value)) -> Result<Settings, ConfigError> {
        let mut config: Value = serde_json::from_slice(&fs::read(self.config_file()).unwrap()).unwrap();
        change(&mut config);
        let file = self.home.path().join("changed.json");
        fs::write(&file, config.to_string()).unwrap();
        Settings::load(&file)
    }

    /// Starts App on the database that is there.
    pub(super) async fn start(&self) -> RunningApp {
        self.start_with(|_| {}).await
    }

    /// Starts App with the configuration changed.
    pub(super) async fn start_with(&self, change: impl FnOnce(&mut Value)) -> RunningApp {
        let settings = self.settings(change).unwrap();
        let transport = Box::new(TestTransport(self.signers.clone()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (metrics, _) = Metrics::new();
        let app = Arc::new(run::app(settings, Signers::new(transport, metrics.clone()), metrics).unwrap());
        let base = runtime.spawn(async move {
            resume(&app).await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = format!("http://{}", listener.local_addr().unwrap());
            tokio::spawn(axum::serve(listener, http::router(app)).into_future());
            base
        });
        let base = base.await.unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        RunningApp { runtime: Some(runtime), base, http }
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
        let assets = [Asset { symbol: "ETH".into(), contract: None }];
        let intent = Effect::Transfer { asset: "ETH".into(), to: SAFE_PLACE.into(), amount: wei.into() };
        let unsigned = self.rules.build(&intent, &assets, nonce).unwrap();
        let digest = chain::ChainRules::decode(&self.rules, &unsigned, &wallet, &assets).unwrap().digest;
        let sign = |role| self.signers.owner_signature(role, &self.cold, &digest);
        let call = self.rules.assemble(&unsigned, &wallet, &[sign(KeyRole::Cool), sign(KeyRole::Cold)]).unwrap();
        self.send(call.to.to_string(), HEXLOWER.encode(&call.data)).await;
    }

    /// A stranger's transaction.
    pub(super) async fn send(&self, to: String, data: String) {
        let from = self.anvil.dev_accounts().unwrap()[5].address.clone();
        let data = format!("0x{}", data.trim_start_matches("0x"));
        self.anvil.send(json!({"from": from, "to": to, "data": data})).await.unwrap();
    }
}

fn keys(byte: u8) -> Keys {
    Phrase::from_entropy(&[byte; 32]).unwrap().keys()
}

fn manifest(cool: &Keys, cold: &Keys) -> SignedManifest {
    let mut signed = SignedManifest::new(Manifest {
        version: VERSION,
        custody_id: CustodyId::from_slice(&[7; 16]).unwrap(),
        revision: 1,
        cool: PublicHalf::from_keys(KeyRole::Cool, cool).unwrap(),
        cold: PublicHalf::from_keys(KeyRole::Cold, cold).unwrap(),
        safe_destinations: [(format!("eip155:{CHAIN}"), vec![SAFE_PLACE.to_owned()])].into(),
    })
    .unwrap();
    signed.sign(KeyRole::Cool, cool).unwrap();
    signed.sign(KeyRole::Cold, cold).unwrap();
    signed
}

pub(super) struct RunningApp {
    runtime: Option<Runtime>,
    base: String,
    http: reqwest::Client,
}

impl RunningApp {
    /// Ends App wherever it is.
    pub(super) async fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {body:?}")))
    }

    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    pub(super) async fn post(&self, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = self.request("POST", path).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request("GET", path)).await
    }

    pub(super) async fn text(&self, path: &str) -> String {
        self.request("GET", path).send().await.unwrap().text().await.unwrap()
    }

    /// A payment that is accepted; its id.
    pub(super) async fn pay(&self, key: &str, wallet: &str, to: &str, asset: &str, amount: u128) -> String {
        let body = json!({"wallet": wallet, "to": to, "asset": asset, "amount": amount.to_string()});
        let (status, accepted) = self.post("/payments", Some(key), body).await;
        assert_eq!(status, 202, "{accepted:#}");
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// The payment once it fulfils `condition`.
    pub(super) async fn until(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (_, payment) = self.get(&format!("/payments/{id}")).await;
            if condition(&payment) {
                return payment;
            }
            assert!(Instant::now() < deadline, "not in time: {payment:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The payment once it has ended.
    pub(super) async fn ended(&self, id: &str) -> Value {
        let ends = ["confirmed", "refused", "failed", "cancelled"];
        self.until(id, |payment| ends.contains(&payment["status"].as_str().unwrap())).await
    }

    /// A payment, made.
    pub(super) async fn paid(&self, key: &str, wallet: &str, amount: u128) -> Value {
        let payment = self.ended(&self.pay(key, wallet, SHOP, "ETH", amount).await).await;
        assert_eq!(payment["status"], "confirmed", "{payment:#}");
        payment
    }
}

impl Drop for RunningApp {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
