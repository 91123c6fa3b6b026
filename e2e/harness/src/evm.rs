//! anvil with the Safe 1.4.1 contracts at their canonical addresses.

pub mod tokens;

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use chain_evm::constants::{FACTORY, MULTICALL, SINGLETON};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    Options, files, node, ports,
    process::{Server, Spec},
    run::Folder,
    tls,
};

/// The CREATE2 deployer that anvil brings along.
const ANVIL_DEPLOYER: &str = "0x4e59b44847b379578588920cA78FbF26c0B4956C";
/// The deployer of the canonical Safe contracts: the same code elsewhere.
const SAFE_DEPLOYER: &str = "0x914d7Fec6aaC8cd542e72Bca78B30650d45643d7";
/// The code that many chains have at Multicall3's address (MIT licence): public as `eth_getCode` of that address.
const MULTICALL_CODE: &str = include_str!("evm/multicall3.hex");
/// Where the compiled contracts are in `node_modules`.
const ARTIFACTS: &str = "@safe-global/safe-contracts/build/artifacts/contracts";
const ANVIL: &str = "@foundry-rs/anvil-linux-amd64/bin/anvil";

const READY: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(10);
const RECEIPT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// An EVM node. It ends when this is dropped, unless it is detached.
pub struct Anvil {
    state: State,
    http: reqwest::Client,
    server: Server,
    modules: PathBuf,
    folder: Folder,
}

/// Kept in the folder, so that the node is found again.
#[derive(Serialize, Deserialize)]
struct State {
    bind: IpAddr,
    port: u16,
    chain_id: u64,
    detached: bool,
    #[serde(default)]
    flags: Vec<String>,
}

/// A funded account of anvil's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevAccount {
    /// Its address, 0x hex.
    pub address: String,
    /// Its private key, 0x hex of 32 bytes.
    pub key: String,
}

impl Anvil {
    /// Starts a node, or the one that lives in the folder given, and waits until the Safe contracts are on it.
    /// It also listens on 127.0.0.1.
    pub async fn start(chain_id: u64, options: Options) -> Result<Self> {
        Self::start_as(chain_id, &[], options).await
    }

    /// The same, of another kind of chain: `flags` are anvil's own, such as `--hardfork=berlin`.
    pub async fn start_as(chain_id: u64, flags: &[&str], options: Options) -> Result<Self> {
        let folder = Folder::new("anvil", options.folder.clone())?;
        if files::load_state::<State>(folder.path())?.is_none() {
            let (bind, port, detached) = (options.bind, ports::free(options.bind)?, options.detached);
            let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
            files::save_state(folder.path(), &State { bind, port, chain_id, detached, flags })?;
        }
        let anvil = Self::load(folder).await?;
        let State { bind, chain_id: found, .. } = &anvil.state;
        let place = anvil.folder.path().display();
        ensure!(*bind == options.bind && *found == chain_id, "{place} was made for {bind}, chain {found}: remove it");
        anvil.start_again().await?;
        Ok(anvil)
    }

    /// The node that lives in `folder`, running or not.
    pub async fn open(folder: &Path) -> Result<Self> {
        Self::load(Folder::new("anvil", Some(folder.to_owned()))?).await
    }

    async fn load(folder: Folder) -> Result<Self> {
        let state = files::load_state::<State>(folder.path())?;
        let state = state.with_context(|| format!("no EVM node lives in {}", folder.path().display()))?;
        let modules = tokio::task::spawn_blocking(node::modules).await??;
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let mut hosts = vec![state.bind, loopback];
        hosts.dedup();
        let hosts: Vec<String> = hosts.iter().map(IpAddr::to_string).collect();
        let spec = Spec::new("anvil", modules.join(ANVIL), folder.path()).args([
            format!("--host={}", hosts.join(",")),
            format!("--port={}", state.port),
            format!("--chain-id={}", state.chain_id),
            // Read at the start, written at the end: a stopped node comes back with its chain.
            format!("--state={}", folder.path().join("chain.json").display()),
            format!("--config-out={}", folder.path().join("accounts.json").display()),
        ]);
        let server = Server::new(spec.args(&state.flags).detached(state.detached));
        Ok(Self { state, http: tls::plain_client()?, server, modules, folder })
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.state.bind, self.state.port)
    }

    /// `http://127.0.0.1:port`.
    pub fn loopback_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.state.port)
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.state.chain_id
    }

    /// anvil's accounts, each with 10,000 ETH at first. The first one funds and deploys.
    pub fn dev_accounts(&self) -> Result<Vec<DevAccount>> {
        #[derive(Deserialize)]
        struct Accounts {
            available_accounts: Vec<String>,
            private_keys: Vec<String>,
        }
        let accounts: Accounts = serde_json::from_str(&files::read(&self.folder.path().join("accounts.json"))?)?;
        let pairs = accounts.available_accounts.into_iter().zip(accounts.private_keys);
        Ok(pairs.map(|(address, key)| DevAccount { address, key }).collect())
    }

    /// One JSON-RPC call.
    pub async fn rpc<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            result: Value,
            error: Option<Value>,
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer = self.http.post(self.url()).json(&body).send().await?.error_for_status()?;
        let Answer { result, error } = answer.json().await?;
        if let Some(error) = error {
            bail!("the EVM node refuses {method}: {error}");
        }
        serde_json::from_value(result).with_context(|| format!("{method} answers something else than expected"))
    }

    /// Sends a transaction of an account that anvil holds the key of, and waits for its success. The receipt.
    pub async fn send(&self, mut transaction: Value) -> Result<Value> {
        // anvil offers a tip also where its blocks have no base fee, and then refuses it.
        let newest: Value = self.rpc("eth_getBlockByNumber", json!(["latest", false])).await?;
        if newest["baseFeePerGas"].is_null() {
            transaction["gasPrice"] = self.rpc("eth_gasPrice", json!([])).await?;
        }
        let hash: String = self.rpc("eth_sendTransaction", json!([transaction])).await?;
        let receipt = self.receipt(&hash).await?;
        ensure!(receipt["status"] == "0x1", "the transaction {hash} reverted");
        Ok(receipt)
    }

    /// The receipt of a transaction, awaited for 15 s.
    pub async fn receipt(&self, hash: &str) -> Result<Value> {
        let until = Instant::now() + RECEIPT;
        loop {
            let receipt: Value = self.rpc("eth_getTransactionReceipt", json!([hash])).await?;
            if !receipt.is_null() {
                return Ok(receipt);
            }
            ensure!(Instant::now() < until, "no receipt of {hash} after {} s", RECEIPT.as_secs());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Sends `wei` to `address` from the first development account, as a deposit would come.
    pub async fn fund(&self, address: &str, wei: u128) -> Result<()> {
        let from = self.first_account().await?;
        self.send(json!({"from": from, "to": address, "value": format!("{wei:#x}")})).await.map(drop)
    }

    /// Balance in wei.
    pub async fn balance(&self, address: &str) -> Result<u128> {
        self.balance_at(address, None).await
    }

    /// The same at the end of a block, or of the newest.
    pub async fn balance_at(&self, address: &str, block: Option<u64>) -> Result<u128> {
        quantity(&self.rpc::<String>("eth_getBalance", json!([address, tag(block)])).await?)
    }

    /// Deploys an ERC-20 (18 decimals); the first development account owns all 10^15 units. Its address.
    pub async fn deploy_token(&self) -> Result<String> {
        let from = self.first_account().await?;
        let code = self.bytecode("test/ERC20Token.sol/ERC20Token.json")?;
        let receipt = self.send(json!({"from": from, "data": code})).await?;
        Ok(receipt["contractAddress"].as_str().context("the receipt names no contract")?.to_owned())
    }

    /// Puts Multicall3 where most chains have it.
    pub async fn deploy_multicall(&self) -> Result<()> {
        let code: String = MULTICALL_CODE.split_whitespace().collect();
        self.set_code(&MULTICALL.to_string(), &format!("0x{code}")).await
    }

    /// Puts code at an address, `0x` for none.
    pub async fn set_code(&self, address: &str, code: &str) -> Result<()> {
        let _: Value = self.rpc("anvil_setCode", json!([address, code])).await?;
        Ok(())
    }

    /// Sends units of a token from [`Self::deploy_token`] to `address`.
    pub async fn fund_token(&self, token: &str, address: &str, units: u128) -> Result<()> {
        let from = self.first_account().await?;
        let data = format!("0xa9059cbb{}{units:064x}", word(address)?); // transfer(address,uint256)
        self.send(json!({"from": from, "to": token, "data": data})).await.map(drop)
    }

    /// Units of a token that `address` holds.
    pub async fn token_balance(&self, token: &str, address: &str) -> Result<u128> {
        self.token_balance_at(token, address, None).await
    }

    /// The same at the end of a block, or of the newest.
    pub async fn token_balance_at(&self, token: &str, address: &str, block: Option<u64>) -> Result<u128> {
        let data = format!("0x70a08231{}", word(address)?); // balanceOf(address)
        quantity(&self.rpc::<String>("eth_call", json!([{"to": token, "data": data}, tag(block)])).await?)
    }

    /// Whether the process runs.
    pub fn runs(&self) -> bool {
        self.server.runs()
    }

    /// Ends the process; the chain and the port stay.
    pub async fn stop(&self) {
        self.server.stop(GRACE).await;
    }

    /// Starts it unless it runs, and waits until it answers and the Safe contracts are on it.
    pub async fn start_again(&self) -> Result<()> {
        self.server.start()?;
        let expected = format!("{:#x}", self.state.chain_id);
        let answers = || async {
            let chain: String = self.rpc("eth_chainId", json!([])).await?;
            ensure!(chain == expected, "another chain answers at {}: {chain}", self.url());
            Ok(())
        };
        self.server.ready(READY, answers).await?;
        self.deploy_safe().await
    }

    /// A blackhole: accepts and never answers.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// The end of the blackhole.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// The node's output.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// Deploys what is missing of the Safe contracts, and makes sure that they are where every wallet expects them.
    async fn deploy_safe(&self) -> Result<()> {
        let deployer = self.code(ANVIL_DEPLOYER).await?;
        let _: Value = self.rpc("anvil_setCode", json!([SAFE_DEPLOYER, deployer])).await?;
        let contracts =
            [(SINGLETON, "Safe.sol/Safe.json"), (FACTORY, "proxies/SafeProxyFactory.sol/SafeProxyFactory.json")];
        for (address, artifact) in contracts {
            let address = address.to_string();
            if self.code(&address).await? == "0x" {
                let salt = "0".repeat(64);
                let code = self.bytecode(artifact)?;
                let data = format!("0x{salt}{}", code.trim_start_matches("0x"));
                let from = self.first_account().await?;
                self.send(json!({"from": from, "to": SAFE_DEPLOYER, "data": data})).await?;
            }
            let code = self.code(&address).await?;
            ensure!(code != "0x", "{artifact} is not at {address} after its deployment: its bytecode is another");
        }
        Ok(())
    }

    async fn code(&self, address: &str) -> Result<String> {
        self.rpc("eth_getCode", json!([address, "latest"])).await
    }

    async fn first_account(&self) -> Result<String> {
        let accounts: Vec<String> = self.rpc("eth_accounts", json!([])).await?;
        accounts.into_iter().next().context("anvil has no account")
    }

    fn bytecode(&self, artifact: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Artifact {
            bytecode: String,
        }
        let artifact = self.modules.join(ARTIFACTS).join(artifact);
        Ok(serde_json::from_str::<Artifact>(&files::read(&artifact)?)?.bytecode)
    }
}

/// A block, as parameters have it.
fn tag(block: Option<u64>) -> String {
    block.map_or_else(|| "latest".to_owned(), |number| format!("{number:#x}"))
}

/// An address as an ABI word.
fn word(address: &str) -> Result<String> {
    let digits = address.strip_prefix("0x").filter(|digits| digits.len() == 40);
    Ok(format!("{:0>64}", digits.with_context(|| format!("'{address}' is not an address"))?))
}

/// A number in hexadecimal, as JSON-RPC and ABI words have it.
fn quantity(hex: &str) -> Result<u128> {
    let digits = hex.trim_start_matches("0x").trim_start_matches('0');
    let parsed = if digits.is_empty() { Ok(0) } else { u128::from_str_radix(digits, 16) };
    parsed.with_context(|| format!("'{hex}' is not a number of at most 128 bits"))
}
