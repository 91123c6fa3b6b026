//! One EVM chain behind [`ChainClient`]: a Safe's state and events as the nodes agree on them, and the relayer.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use async_trait::async_trait;
use chain::{
    Access, Account, Amount, Asset, Call, Capacity, ChainClient, ChainError, ChainId, Claim, ClientError, Created,
    Effect, Errand, Fate, Finality, Following, Head, Held, Inability, Look, NodeState, Place, Purpose, Relaying,
    Simulated, WalletDesc, WalletState, batch::Batching,
};
use chain_evm::{EvmSafe, constants::THRESHOLD};
use tokio::sync::OnceCell;

use crate::{
    Relayers, Rpc, SafeState, contracts,
    follow::{View, disagree},
    node::Node,
    queue::Execution,
};

/// Decimals of ether, and of every other EVM chain's coin.
pub(crate) const DECIMALS: u8 = 18;

/// Executions are looked for so many blocks before the one after which they must have been: that one may have been
/// replaced since, and its like hold them.
const REORGANISED: u64 = 64;

/// The nodes of one EVM chain, and the account that pays gas there.
pub struct EvmClient {
    id: ChainId,
    pub(crate) rpc: Arc<Rpc>,
    finality: Finality,
    relayers: Option<Relayers>,
    /// The contracts that every wallet is made of are there.
    contracts: OnceCell<()>,
    /// A wallet has been, or could have been, created at its address.
    creates: OnceCell<()>,
}

impl EvmClient {
    /// Of these nodes, which are asked for nothing yet. Without a relayer, it only reads.
    pub fn new(id: ChainId, access: &Access, relaying: Option<&Relaying<'_>>) -> Result<Self, ClientError> {
        let number = EvmSafe::new(id.clone())?.number();
        let rpc = Arc::new(Rpc::of(access, Some(id.clone()))?);
        let relayers = relaying.map(|relaying| Relayers::new(rpc.clone(), number, access.finality, relaying));
        let (contracts, creates) = (OnceCell::new(), OnceCell::new());
        Ok(Self { id, rpc, finality: access.finality, relayers: relayers.transpose()?, contracts, creates })
    }

    pub(crate) fn paying(&self) -> Result<&Relayers, ClientError> {
        self.relayers.as_ref().ok_or_else(|| ClientError::NoRelayer(self.id.clone()))
    }

    /// What its Safe says of a wallet; `tokens` are the assets asked for, `None` being the coin.
    pub(crate) fn wallet_of(&self, wallet: &WalletDesc, tokens: &[Option<Address>], state: &SafeState) -> WalletState {
        let mut units = state.tokens.iter().cloned();
        let native = || Held::Units(Amount(state.native));
        let held = |token: &Option<Address>| token.and_then(|_| units.next()).unwrap_or_else(native);
        WalletState {
            block: state.block,
            created: self.created(wallet, state),
            next: vec![Claim::Sequence(state.nonce)],
            balances: tokens.iter().map(held).collect(),
        }
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

    /// What a simulated call says: that it passes is believed of one node, that it does not of as many as must agree.
    async fn simulated<F>(&self, view: &View, ask: impl Fn(Arc<Node>) -> F) -> Result<Simulated, ClientError>
    where
        F: Future<Output = Result<bool, ClientError>> + Send,
    {
        let mut first = None;
        for node in &view.nodes {
            let said = match ask(node.clone()).await {
                Ok(true) => return self.passes(view, first.is_some()),
                Ok(false) => "it would have no effect".to_owned(),
                Err(ClientError::Reverted { reason, .. }) => reason,
                Err(error) => {
                    if error.is_away() {
                        node.failed(&error);
                    }
                    return Err(error);
                }
            };
            first = first.or(Some(said));
        }
        first.map(Simulated::Refused).ok_or(ClientError::Url)
    }

    /// It passes, unless another node has said otherwise.
    fn passes(&self, view: &View, refused: bool) -> Result<Simulated, ClientError> {
        match refused {
            true => Err(disagree("a simulated call", view.block(), &view.nodes)),
            false => Ok(Simulated::Passes),
        }
    }

    /// What one node says became of the transaction `id` of `safe`, which uses up `nonce`.
    async fn told(
        &self,
        node: Arc<Node>,
        (safe, nonce, id): (Address, u64, B256),
        look: Look,
        newest: u64,
    ) -> Result<Told, ClientError> {
        let next = node.clone().safe_nonce(safe, newest).await?;
        let Some(used) = next.checked_sub(nonce).filter(|used| *used > 0) else { return Ok(Told::Next(next)) };
        let first = match look {
            // At the end of that block the nonce was free, on the branch of the chain that was seen then.
            Look::Since(block) => (block.min(newest) + 1).saturating_sub(REORGANISED),
            Look::Newest(depth) => newest.saturating_sub(depth),
        };
        let executions = node.executions(safe, used, (first, newest)).await?;
        if let Some(ours) = executions.iter().find(|execution| execution.digest == id) {
            return Ok(Told::Done(*ours));
        }
        if let Look::Since(block) = look
            && block > newest
        {
            let words = format!("the wallet was read at block {block}, and its newest is {newest}");
            return Err(node.unable("eth_getLogs", Inability::NoBlock(words)));
        }
        // One execution uses one nonce, so counted from the newest it is known which one used this. As long as there
        // are fewer than nonces used, they are older, or the node has not indexed all of them.
        let place = executions.len().checked_sub(usize::try_from(used).unwrap_or(usize::MAX));
        let Some(used_by) = place.and_then(|place| executions.get(place)) else { return Ok(Told::Untold) };
        match tells_the_newest(&node, safe, next, newest, &executions).await? {
            true => Ok(Told::Superseded(used_by.block)),
            false => Ok(Told::Untold),
        }
    }

    /// Where a block stands for those who have the view's.
    async fn place_in(&self, view: &View, block: u64) -> Result<Place, ClientError> {
        let depth = view.block().saturating_sub(block);
        let settled = match self.finality {
            Finality::Depth(least) => depth >= least,
            Finality::Tagged => block <= view.finalized().await?,
        };
        Ok(Place { block, depth, settled })
    }
}

/// Whether a node had indexed all that a Safe, whose next nonce is `next`, executed in the newest blocks when it told
/// these `executions`. One that had not would have what used a nonce counted wrongly.
async fn tells_the_newest(
    node: &Arc<Node>,
    safe: Address,
    next: u64,
    newest: u64,
    executions: &[Execution],
) -> Result<bool, ClientError> {
    let before = newest.saturating_sub(REORGANISED);
    let used_before = node.clone().safe_nonce(safe, before).await?;
    let told = node.executions(safe, u64::MAX, (before + 1, newest)).await?;
    let all = told.len() as u64 == next.saturating_sub(used_before);
    // It may have indexed more since.
    Ok(all && told.iter().rev().zip(executions.iter().rev()).all(|(now, then)| now == then))
}

/// What one node says of a nonce.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    /// It is free: this one is the next.
    Next(u64),
    /// The transaction itself used it.
    Done(Execution),
    /// Another used it, in this block.
    Superseded(u64),
    Untold,
}

#[async_trait]
impl ChainClient for EvmClient {
    fn id(&self) -> &ChainId {
        &self.id
    }

    fn node(&self) -> &str {
        self.rpc.node()
    }

    fn nodes(&self) -> Vec<NodeState> {
        let state = |node: &Arc<Node>| {
            let known = node.known();
            NodeState {
                node: node.name.clone(),
                head: known.head.map(|head| head.head()),
                trouble: known.trouble.clone(),
            }
        };
        self.rpc.nodes().iter().map(state).collect()
    }

    async fn verify_chain(&self) -> Result<(), ClientError> {
        self.rpc.follower.verify().await
    }

    async fn verify_contracts(&self, creation: Option<(&WalletDesc, &Call)>) -> Result<(), ClientError> {
        let code = async || contracts::codes(&self.id, &self.rpc.view().await?).await;
        self.contracts.get_or_try_init(code).await?;
        if let Some((wallet, creation)) = creation {
            let (wallet, creation) = (address(&wallet.address)?, creation.try_into()?);
            let creates = async || contracts::creates(&self.id, &self.rpc.view().await?, wallet, &creation).await;
            self.creates.get_or_try_init(creates).await?;
        }
        Ok(())
    }

    async fn head(&self, known: Option<&Head>) -> Result<Head, ClientError> {
        self.rpc.follower.next(known).await
    }

    async fn wallet_state(&self, wallet: &WalletDesc, assets: &[Asset]) -> Result<WalletState, ClientError> {
        let tokens: Vec<Option<Address>> = assets.iter().map(token).collect::<Result<_, _>>()?;
        let contracts: Vec<Address> = tokens.iter().copied().flatten().collect();
        let state = self.rpc.safe(address(&wallet.address)?, &contracts).await?;
        Ok(self.wallet_of(wallet, &tokens, &state))
    }

    async fn wallet_states(
        &self,
        at: &Head,
        wallets: &[WalletDesc],
        assets: &[Asset],
    ) -> Result<Vec<WalletState>, ClientError> {
        self.states_at(at, wallets, assets).await
    }

    async fn capacity(&self) -> Result<Option<Capacity>, ClientError> {
        self.room().await
    }

    async fn simulate(&self, wallet: &WalletDesc, effect: &Effect, assets: &[Asset]) -> Result<Simulated, ClientError> {
        let (token, to, amount) = match effect {
            Effect::Transfer { asset, to, amount: Amount(amount) } => (listed(asset, assets)?, to, *amount),
            // An empty call.
            Effect::Cancel { to } => (None, to, U256::ZERO),
            Effect::Change { .. } => return Ok(Simulated::Passes),
        };
        let (wallet, to) = (address(&wallet.address)?, address(to)?);
        let view = self.rpc.view().await?;
        let block = view.block();
        self.simulated(&view, |node| async move {
            node.simulate_transfer(wallet, token, to, amount, block).await.map(|()| true)
        })
        .await
    }

    async fn simulate_call(
        &self,
        wallet: &WalletDesc,
        call: &Call,
        purpose: Purpose,
    ) -> Result<Simulated, ClientError> {
        let relayer = self.paying()?.caller()?;
        let wallet = address(&wallet.address)?;
        let call: crate::Call = call.try_into()?;
        let view = self.rpc.view().await?;
        let block = view.block();
        self.simulated(&view, |node| {
            let call = call.clone();
            async move {
                let answer = node.call(relayer, &call, Some(block)).await?;
                Ok(match purpose {
                    // The factory returns the address.
                    Purpose::Creation => answer.get(12..32) == Some(wallet.as_slice()),
                    // execTransaction returns true.
                    Purpose::Execution => answer.len() == 32 && answer[31] == 1,
                })
            }
        })
        .await
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
        let asked = (address(&wallet.address)?, *nonce, B256::from(*id));
        let view = self.rpc.view().await?;
        let block = view.block();
        let told = view.agreed(
            "what became of a transaction",
            |node| self.told(node, asked, look, block),
            |one, other| one == other,
        );
        Ok(match told.await? {
            Told::Next(next) if next == *nonce => Fate::Open,
            Told::Next(next) => Fate::Early(Claim::Sequence(next)),
            Told::Done(Execution { tx, success, block, .. }) => {
                Fate::Done { tx: tx.to_string(), success, place: self.place_in(&view, block).await? }
            }
            Told::Superseded(block) => Fate::Superseded { place: self.place_in(&view, block).await? },
            Told::Untold => Fate::Untold,
        })
    }

    async fn place(&self, block: u64) -> Result<Place, ClientError> {
        self.place_in(&self.rpc.view().await?, block).await
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
        let tx = hash(tx)?;
        let between = (address(&wallet.address)?, address(to)?);
        let ask = |node: Arc<Node>| node.received(token, between, tx, block);
        let moved = self.rpc.view().await?.agreed("what a token moved", ask, |one, other| one == other).await?;
        Ok(Amount(moved).min(*amount))
    }

    async fn work(&self, tx: &str) -> Result<Option<u64>, ClientError> {
        self.rpc.gas_used(hash(tx)?).await
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

    fn batching(&self) -> Option<&dyn Batching> {
        Some(self)
    }

    async fn tend(&self, head: &Head) -> Result<Vec<Account>, ClientError> {
        match &self.relayers {
            Some(relayers) => relayers.tend(head).await,
            None => Ok(Vec::new()),
        }
    }
}

pub(crate) fn address(text: &str) -> Result<Address, ChainError> {
    text.parse().map_err(|_| ChainError::Address(text.to_owned()))
}

fn hash(text: &str) -> Result<B256, ChainError> {
    text.parse().map_err(|_| ChainError::Assemble(format!("'{text}' is not a transaction's hash")))
}

pub(crate) fn token(asset: &Asset) -> Result<Option<Address>, ChainError> {
    asset.contract.as_deref().map(address).transpose()
}

/// The contract of a listed asset; `None` is the native coin.
fn listed(symbol: &str, assets: &[Asset]) -> Result<Option<Address>, ChainError> {
    let unlisted = || ChainError::Assemble(format!("asset {symbol} is not listed"));
    token(assets.iter().find(|listed| listed.symbol == symbol).ok_or_else(unlisted)?)
}
