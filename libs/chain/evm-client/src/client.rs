//! One EVM chain behind [`ChainClient`]: a Safe's state and events, and the relayer.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256};
use async_trait::async_trait;
use chain::{
    Access, Account, Amount, Asset, Call, ChainClient, ChainError, ChainId, Claim, ClientError, Created, Effect,
    Errand, Fate, Finality, Following, Head, Look, Place, Purpose, Relaying, Simulated, WalletDesc, WalletState,
};
use chain_evm::{EvmSafe, constants::THRESHOLD};

use crate::{Execution, Relayers, Rpc, SafeState};

/// Decimals of ether, and of every other EVM chain's coin.
pub(crate) const DECIMALS: u8 = 18;

/// How often a node is asked for its newest block.
const POLL: Duration = Duration::from_millis(500);

/// A node of one EVM chain, and the account that pays gas there.
pub struct EvmClient {
    id: ChainId,
    rpc: Arc<Rpc>,
    finality: Finality,
    relayers: Option<Relayers>,
}

impl EvmClient {
    /// Of these nodes, which are asked for nothing yet. Without a relayer, it only reads.
    pub fn new(id: ChainId, access: &Access, relaying: Option<&Relaying<'_>>) -> Result<Self, ClientError> {
        let number = EvmSafe::new(id.clone())?.number();
        let rpc = Arc::new(Rpc::new(access.nodes.first().ok_or(ClientError::Url)?)?);
        let relayers = relaying.map(|relaying| Relayers::new(rpc.clone(), number, access.finality, relaying));
        Ok(Self { id, rpc, finality: access.finality, relayers: relayers.transpose()? })
    }

    fn paying(&self) -> Result<&Relayers, ClientError> {
        self.relayers.as_ref().ok_or_else(|| ClientError::NoRelayer(self.id.clone()))
    }

    /// Where a block stands, once `newest` is there.
    async fn place(&self, block: u64, newest: u64) -> Result<Place, ClientError> {
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
        let Effect::Transfer { asset, to, amount: Amount(amount) } = effect else { return Ok(Simulated::Passes) };
        let unlisted = || ChainError::Assemble(format!("asset {asset} is not listed"));
        let token = token(assets.iter().find(|listed| listed.symbol == *asset).ok_or_else(unlisted)?)?;
        let (wallet, to) = (address(&wallet.address)?, address(to)?);
        simulated(self.rpc.simulate_transfer(wallet, token, to, *amount).await.map(|()| true))
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
                let place = self.place(found.map_or(newest, |found| found.block), newest).await?;
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
                let place = self.place(ours.unwrap_or(first).block, newest).await?;
                Ok(ours.map_or(Fate::Superseded { place }, |ours| done(*ours, place)))
            }
        }
    }

    fn relayers(&self) -> Vec<String> {
        let addresses = self.relayers.as_ref().map(Relayers::addresses).unwrap_or_default();
        addresses.iter().map(Address::to_string).collect()
    }

    async fn under_way(&self, errand: &Errand, call: &Call) -> Result<Option<Box<dyn Following>>, ClientError> {
        self.paying()?.under_way(errand, &call.try_into()?).await
    }

    async fn relay(
        &self,
        wallet: &WalletDesc,
        errand: &Errand,
        call: &Call,
    ) -> Result<Box<dyn Following>, ClientError> {
        self.paying()?.relay(&wallet.address, errand, &call.try_into()?).await
    }

    async fn tend(&self, head: &Head) -> Result<Vec<Account>, ClientError> {
        match &self.relayers {
            Some(relayers) => relayers.tend(head).await,
            None => Ok(Vec::new()),
        }
    }
}

fn address(text: &str) -> Result<Address, ChainError> {
    text.parse().map_err(|_| ChainError::Address(text.to_owned()))
}

fn token(asset: &Asset) -> Result<Option<Address>, ChainError> {
    asset.contract.as_deref().map(address).transpose()
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
