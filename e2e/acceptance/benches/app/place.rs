//! The servers, and App started again: on another way to its node, or with another database.

use std::{fs, path::PathBuf, time::Duration};

use acceptance::{ETH, World};
use anyhow::{Context, Result};
use harness::rpc_proxy::{Fault, RpcProxy, Rule};
use serde_json::{Value, json};

/// Of a block of the test node: for 500 payments a second with room, so that the node's blocks are no limit.
const BLOCK_GAS: u64 = 2_000_000_000;
/// What each request takes longer on the slow way.
const DELAY: Duration = Duration::from_millis(50);

/// How App reaches the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// At once.
    Direct,
    /// 50 ms later, counted by method.
    Slow,
    /// At once, counted by method.
    Counted,
}

impl Way {
    /// For titles.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Direct | Self::Counted => "",
            Self::Slow => ", 50 ms a request",
        }
    }
}

/// A custody that serves, and a way to its node that can be made slow.
pub(crate) struct Place {
    pub(crate) world: World,
    pub(crate) proxy: RpcProxy,
}

impl Place {
    /// With a node that makes a block each second.
    pub(crate) async fn start() -> Result<Self> {
        let world = World::start(ETH, ETH).await?;
        let anvil = &world.ground.anvil;
        anvil.deploy_multicall().await?;
        let _: Value = anvil.rpc("evm_setBlockGasLimit", json!([format!("{BLOCK_GAS:#x}")])).await?;
        let relayer = &anvil.dev_accounts()?[3].address;
        let _: Value = anvil.rpc("anvil_setBalance", json!([relayer, format!("{:#x}", 1_000_000 * ETH)])).await?;
        let proxy = RpcProxy::start(&anvil.url()).await?;
        let place = Self { world, proxy };
        place.block_time(1).await?;
        println!("EVM node: anvil with Multicall3, a block each second, block gas limit raised to {BLOCK_GAS}");
        Ok(place)
    }

    /// A block each `seconds` from now on.
    pub(crate) async fn block_time(&self, seconds: u64) -> Result<()> {
        let anvil = &self.world.ground.anvil;
        let _: Value = anvil.rpc("evm_setIntervalMining", json!([seconds])).await?;
        Ok(())
    }

    /// The newest block.
    pub(crate) async fn block(&self) -> Result<u64> {
        let number: String = self.world.ground.anvil.rpc("eth_blockNumber", json!([])).await?;
        Ok(u64::from_str_radix(number.trim_start_matches("0x"), 16)?)
    }

    /// App's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.world.owner.folder.join("data/app.sqlite")
    }

    /// App again, at the node by this way.
    pub(crate) async fn restart(&mut self, way: Way) -> Result<()> {
        self.restart_with(way, |_| {}).await
    }

    /// The same, with its configuration changed for good.
    pub(crate) async fn restart_with(&mut self, way: Way, change: impl FnOnce(&mut Value)) -> Result<()> {
        self.world.app.kill();
        self.proxy.clear();
        if way == Way::Slow {
            self.proxy.rule(Rule::any().does(Fault::Delay(DELAY)));
        }
        let file = self.world.owner.folder.join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let node = if way == Way::Direct { self.world.ground.anvil.url() } else { self.proxy.url() };
        config["chain"]["nodes"] = json!([node]);
        change(&mut config);
        fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
        self.world.app.start_again()?;
        self.world.api.await_ready().await.with_context(|| acceptance::tail(&self.world.app.log()))
    }
}
