//! One EVM chain behind [`ChainClient`]: a Safe's state and events, and the relayer.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use chain::{
    Access, Amount, Asset, Call, ChainClient, ChainError, ChainId, Claim, ClientError, Created, Effect, Fate, Finality,
    Float, Head, Look, Outcome, Place, Purpose, Relayed, Simulated, Turn, WalletDesc, WalletState,
};
use chain_evm::{EvmSafe, constants::THRESHOLD};

use crate::{Execution, Relayer, RelayerKey, Rpc, SafeState};

/// Decimals of ether, and of every other EVM chain's coin.
const DECIMALS: u8 = 18;

/// How often a node is asked for its newest block.
const POLL: Duration = Duration::from_millis(500);

/// A node of one EVM chain, and the account that pays gas there.
pub struct EvmClient {
    id: ChainId,
    rpc: Arc<Rpc>,
    finality: Finality,
    relayer: Option<Relayer>,
    /// The relayer's address.
    paid_by: Option<String>,
}

impl EvmClient {
    /// Of these nodes, which are asked for nothing yet. Without a key, it only reads.
    pub fn new(id: ChainId, access: &Access, key: Option<RelayerKey>) -> Result<Self, ClientError> {
        let number = EvmSafe::new(id.clone())?.number();
        let rpc = Arc::new(Rpc::new(access.nodes.first().ok_or(ClientError::Url)?)?);
        let relayer = key.map(|key| Relayer::new(rpc.clone(), number, key));
        let paid_by = relayer.as_ref().map(|relayer| relayer.address().to_string());
        Ok(Self { id, rpc, finality: access.finality, relayer, paid_by })
    }

    fn paying(&self) -> Result<&Relayer, ClientError> {
        self.relayer.as_ref().ok_or_else(|| ClientError::NoRelayer(self.id.clone()))
    }

    /// Where a block stands, once `newest` is there.
    async fn place_at(&self, block: u64, newest: u64) -> Result<Place, ClientError> {
        let depth = newest.saturating_sub(block);
        let settled = match self.finality {
            Finality::Depth(least) => depth >= least,
            Finality::Tagged => block <= self.rpc.finalized().await?,
        };
        Ok(Place { block, depth, settled })
    }

    fn created(&self, wallet: &WalletDesc, state: &SafeState) -> Created {
        if !state.deployed {
            return Created::No;
        }
        let owners: Vec<String> = state.owners.iter().map(Address::to_string).collect();
        match state.threshold == THRESHOLD && owners == wallet.owner_addresses {
            true => Created::Ours,
            false => {
                Created::Foreign(format!("{} has owners {owners:?} and threshold {}", wallet.address, state.threshold))
            }
        }
    }
}

#[async_trait]
impl ChainClient for EvmClient {
    fn id(&self) -> &ChainId {
        &self.id
    }

    fn node(&self) -> &str {
        self.rpc.node()
    }

    async fn verify_chain(&self) -> Result<(), ClientError> {
        self.rpc.expect_chain(&self.id).await
    }

    async fn head(&self, known: Option<&Head>) -> Result<Head, ClientError> {
        loop {
            let head = self.rpc.head().await?;
            if known != Some(&head) {
                return Ok(head);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn wallet_state(&self, wallet: &WalletDesc, assets: &[Asset]) -> Result<WalletState, ClientError> {
        let tokens: Vec<Option<Address>> = assets.iter().map(token).collect::<Result<_, _>>()?;
        let contracts: Vec<Address> = tokens.iter().copied().flatten().collect();
        let state = self.rpc.safe(address(&wallet.address)?, &contracts).await?;
        let mut units = state.tokens.iter().copied();
        let held = |token: &Option<Address>| Amount(token.and_then(|_| units.next()).unwrap_or(state.native));
        Ok(WalletState {
            block: state.block,
            created: self.created(wallet, &state),
            next: vec![Claim::Sequence(state.nonce)],
            balances: tokens.iter().map(held).collect(),
        })
    }

    async fn simulate(&self, wallet: &WalletDesc, effect: &Effect, assets: &[Asset]) -> Result<Simulated, ClientError> {
        let (token, to, amount) = match effect {
            Effect::Transfer { asset, to, amount: Amount(amount) } => (listed(asset, assets)?, to, *amount),
            // An empty call.
            Effect::Cancel { to } => (None, to, U256::ZERO),
            Effect::Change { .. } => return Ok(Simulated::Passes),
        };
        let (wallet, to) = (address(&wallet.address)?, address(to)?);
        simulated(self.rpc.simulate_transfer(wallet, token, to, amount).await.map(|()| true))
    }

    async fn simulate_call(
        &self,
        wallet: &WalletDesc,
        call: &Call,
        purpose: Purpose,
    ) -> Result<Simulated, ClientError> {
        let relayer = self.paying()?;
        let wallet = address(&wallet.address)?;
        let answer = relayer.simulate(&call.try_into()?).await;
        simulated(answer.map(|answer| match purpose {
            // The factory returns the address.
            Purpose::Creation => answer.get(12..32) == Some(wallet.as_slice()),
            // execTransaction returns true.
            Purpose::Execution => answer.len() == 32 && answer[31] == 1,
        }))
    }

    async fn fate(
        &self,
        wallet: &WalletDesc,
        id: &[u8; 32],
        claims: &[Claim],
        look: Look,
    ) -> Result<Fate, ClientError> {
        let [Claim::Sequence(nonce)] = claims else {
            return Err(ChainError::Assemble("a Safe's transaction uses up exactly one nonce".to_owned()).into());
        };
        let safe = address(&wallet.address)?;
        let next = self.rpc.safe_nonce(safe).await?;
        if next <= *nonce {
            return Ok(if next == *nonce { Fate::Open } else { Fate::Early(Claim::Sequence(next)) });
        }
        let id = B256::from(*id);
        match look {
            Look::Newest(depth) => {
                let newest = self.rpc.block_number().await?;
                let found = self.rpc.execution_of(safe, id, depth).await?;
                let place = self.place_at(found.map_or(newest, |found| found.block), newest).await?;
                Ok(found.map_or(Fate::Superseded { place }, |found| done(found, place)))
            }
            Look::Since(block) => {
                // At the end of `block` the nonce was the next: the first execution after it used it.
                let newest = self.rpc.block_number().await?;
                let executions = self.rpc.executions(safe, block + 1).await?;
                let Some(first) = executions.first() else { return Ok(Fate::Untold) };
                let ours = executions.iter().find(|execution| execution.digest == id);
                // As long as there are fewer than nonces used since, the node has not indexed all of them.
                if ours.is_none() && (executions.len() as u64) < next - nonce {
                    return Ok(Fate::Untold);
                }
                let place = self.place_at(ours.unwrap_or(first).block, newest).await?;
                Ok(ours.map_or(Fate::Superseded { place }, |ours| done(*ours, place)))
            }
        }
    }

    async fn place(&self, block: u64) -> Result<Place, ClientError> {
        let newest = self.rpc.block_number().await?;
        self.place_at(block, newest).await
    }

    async fn moved(
        &self,
        wallet: &WalletDesc,
        effect: &Effect,
        assets: &[Asset],
        tx: &str,
        block: u64,
    ) -> Result<Amount, ClientError> {
        let Effect::Transfer { asset, to, amount } = effect else { return Ok(Amount::ZERO) };
        // The chain itself moves its coin, and all of it.
        let Some(token) = listed(asset, assets)? else { return Ok(*amount) };
        let tx = tx.parse().map_err(|_| ChainError::Assemble(format!("'{tx}' is not a transaction's hash")))?;
        let moved = self.rpc.received(token, (address(&wallet.address)?, address(to)?), tx, block).await?;
        Ok(Amount(moved).min(*amount))
    }

    fn relayer(&self) -> Option<&str> {
        self.paid_by.as_deref()
    }

    async fn float(&self) -> Result<Float, ClientError> {
        let relayer = self.paying()?.address();
        let balance = Amount(self.rpc.balance(relayer, None).await?);
        Ok(Float { relayer: relayer.to_string(), balance, decimals: DECIMALS })
    }

    async fn turn(&self) -> Result<Box<dyn Turn + '_>, ClientError> {
        Ok(Box::new(self.paying()?.turn().await))
    }

    async fn follow(&self, relayed: &Relayed, wait: Duration) -> Result<Outcome, ClientError> {
        self.paying()?.follow(relayed, wait).await
    }

    async fn settled(&self, wait: Duration) -> Result<(), ClientError> {
        self.paying()?.settled(wait).await
    }
}

fn address(text: &str) -> Result<Address, ChainError> {
    text.parse().map_err(|_| ChainError::Address(text.to_owned()))
}

fn token(asset: &Asset) -> Result<Option<Address>, ChainError> {
    asset.contract.as_deref().map(address).transpose()
}

/// The contract of a listed asset; `None` is the native coin.
fn listed(symbol: &str, assets: &[Asset]) -> Result<Option<Address>, ChainError> {
    let unlisted = || ChainError::Assemble(format!("asset {symbol} is not listed"));
    token(assets.iter().find(|listed| listed.symbol == symbol).ok_or_else(unlisted)?)
}

fn done(Execution { tx, success, .. }: Execution, place: Place) -> Fate {
    Fate::Done { tx: tx.to_string(), success, place }
}

/// Whether a simulated call answers what it should.
fn simulated(right: Result<bool, ClientError>) -> Result<Simulated, ClientError> {
    match right {
        Ok(true) => Ok(Simulated::Passes),
        Ok(false) => Ok(Simulated::Refused("it would have no effect".to_owned())),
        Err(ClientError::Reverted { reason, .. }) => Ok(Simulated::Refused(reason)),
        Err(other) => Err(other),
    }
}
