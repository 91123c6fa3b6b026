//! The chain: real contracts, everybody's wallets on it, blocks that are made when we say so, and between it and our
//! programs a node that limits rates and lags.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256};
use anyhow::{Context, Result, ensure};
use chain::ChainRules;
use chain_evm::EvmSafe;
use custodies::CHAIN;
use futures::{StreamExt, TryStreamExt, stream};
use harness::{
    Options,
    evm::{Anvil, DevAccount},
    rpc_proxy::{Fault, RpcProxy, Rule},
};
use serde_json::{Value, json};

use crate::{
    assets::{Assets, Kind},
    safe::{asked, together},
    wallets::Holder,
};

/// Of this chain, EIP-155.
pub(crate) const NUMBER: u64 = 31_337;
/// Gas of a block, as Ethereum has it.
const BLOCK_GAS: u64 = 60_000_000;
/// Creations in one transaction: some 263,000 gas each.
const CREATED_AT_ONCE: usize = 50;
/// Requests to the node at a time.
const AT_ONCE: usize = 32;
/// Of so many requests one is refused because there were too many.
const LIMITED: u64 = 9;

/// It.
pub(crate) struct Chain {
    pub(crate) anvil: Arc<Anvil>,
    /// What our programs reach of it.
    pub(crate) node: Arc<RpcProxy>,
    pub(crate) rules: EvmSafe,
    pub(crate) assets: Assets,
    accounts: Vec<DevAccount>,
}

impl Chain {
    /// Contracts, Multicall3 and tokens; blocks are made by themselves until [`Chain::stops_by_itself`].
    pub(crate) async fn start() -> Result<Self> {
        let gas = format!("--gas-limit={BLOCK_GAS}");
        let anvil = Anvil::start_as(NUMBER, &[&gas, "--order=fees"], Options::default()).await?;
        anvil.deploy_multicall().await?;
        let node = Arc::new(RpcProxy::start(&anvil.url()).await?);
        let assets = Assets::deploy(&anvil).await?;
        let accounts = anvil.dev_accounts()?;
        Ok(Self { anvil: Arc::new(anvil), node, rules: EvmSafe::new(CHAIN.parse()?)?, assets, accounts })
    }

    /// One of the node's own accounts.
    pub(crate) fn account(&self, number: usize) -> Result<&DevAccount> {
        self.accounts.get(number).context("the node has ten accounts")
    }

    /// Money for everybody, and the wallets that exist.
    pub(crate) async fn holds(&self, holders: &[Holder]) -> Result<()> {
        let gifts = holders.iter().flat_map(|holder| {
            holder.held.iter().map(|(kind, units)| self.assets.give(&self.anvil, *kind, holder.address, *units))
        });
        let gifts: Vec<_> = gifts.collect();
        stream::iter(gifts).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        let existing: Vec<&Holder> = holders.iter().filter(|holder| holder.exists).collect();
        for some in existing.chunks(CREATED_AT_ONCE) {
            let create = |holder: &&Holder| {
                let created = self.rules.creation(&holder.desc)?.context("a Safe is created by a call")?;
                Ok(asked(created.to.parse()?, created.data, false))
            };
            let (to, data) = together(some.iter().map(create).collect::<Result<_>>()?);
            let from = &self.account(5)?.address;
            self.anvil
                .send(json!({"from": from, "to": to, "data": data}))
                .await
                .context("the wallets are not created")?;
        }
        // Whatever else is measured rests on this.
        for holder in holders {
            for (kind, units) in &holder.held {
                let held = self.assets.held(&self.anvil, *kind, &holder.desc.address, None).await?;
                ensure!(held == *units, "{} holds {held} {} instead of {units}", holder.id, kind.symbol());
            }
        }
        Ok(())
    }

    /// From now on there is a block when somebody makes one.
    pub(crate) async fn stops_by_itself(&self) -> Result<()> {
        self.anvil.rpc("evm_setAutomine", json!([false])).await
    }

    /// The node refuses one of so many requests from now on.
    pub(crate) fn limits_rates(&self) {
        let limit = r#"{"jsonrpc":"2.0","id":1,"error":{"code":429,"message":"rate limit"}}"#;
        self.node.rule(Rule::any().each(LIMITED).does(Fault::status(429, limit, &[("retry-after", "0")])));
    }

    pub(crate) async fn newest(&self) -> Result<u64> {
        let newest: String = self.anvil.rpc("eth_blockNumber", json!([])).await?;
        number(&json!(newest)).context("the node names no block")
    }

    /// How many transactions an account has sent, those that wait to be mined too.
    pub(crate) async fn sent(&self, account: &str) -> Result<u64> {
        let sent: Value = self.anvil.rpc("eth_getTransactionCount", json!([account, "pending"])).await?;
        number(&sent).context("the node counts no transactions")
    }

    /// What somebody holds of what can be moved, at the end of a block.
    pub(crate) async fn movable(&self, by: &str, block: u64) -> Result<[u128; 3]> {
        let mut held = [0; 3];
        for (place, kind) in Kind::MOVABLE.into_iter().enumerate() {
            held[place] = self.assets.held(&self.anvil, kind, by, Some(block)).await?;
        }
        Ok(held)
    }

    /// A transaction of one of the node's accounts, before all that offer less.
    pub(crate) async fn send(
        &self,
        from: &str,
        to: Address,
        data: &Bytes,
        value: u128,
        offer: Offer,
    ) -> Result<String> {
        let Offer { gas, tip } = offer;
        let transaction = json!({
            "from": from, "to": to, "data": data, "value": U256::from(value), "gas": format!("{gas:#x}"),
            "maxFeePerGas": format!("{:#x}", tip.saturating_mul(10)), "maxPriorityFeePerGas": format!("{tip:#x}"),
        });
        self.anvil.rpc("eth_sendTransaction", json!([transaction])).await
    }
}

/// What a transaction offers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) gas: u64,
    /// Wei per gas for whoever makes the block.
    pub(crate) tip: u128,
}

/// A quantity.
pub(crate) fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}
