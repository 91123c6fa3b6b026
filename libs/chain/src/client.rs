//! The networked half of a chain.

use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Account, Amount, Asset, Call, ChainId, Claim, ClientError, Effect, Errand, Following, Place, WalletDesc,
    batch::Batching,
};

/// The nodes of one chain, and the relayer that pays there for what owners have signed. It holds no owner's key and can
/// move no wallet's money. Linked into App and the online CLI only.
///
/// What can end a payment is the word of [`crate::Access::agree`] nodes, which say the same of the same block: each
/// method says what it asks how many for. As long as they don't, it is an error ([`ClientError::Disagree`],
/// [`ClientError::TooFew`]), and never a verdict. An `Ok` is the chain's word; which error is whose is
/// [`ClientError::says`].
#[async_trait]
pub trait ChainClient: Send + Sync {
    /// Which chain.
    fn id(&self) -> &ChainId;

    /// Where the first node is, as far as it may be shown: providers put API keys into the rest of a URL.
    fn node(&self) -> &str;

    /// How each node is, as it was last seen, in the order in which they are asked.
    fn nodes(&self) -> Vec<NodeState>;

    /// Asks every node for its chain and its newest block, and succeeds while as many as must agree serve the right
    /// chain, have caught up with it, and have the same block.
    async fn verify_chain(&self) -> Result<(), ClientError>;

    /// Refuses a chain on which wallets can't be what they must: what every wallet is made of has other code there,
    /// or `creation` (of [`crate::ChainRules::creation`]) would not give the wallet its address. As many nodes as must
    /// agree are asked, once: what has passed is not asked again.
    async fn verify_contracts(&self, creation: Option<(&WalletDesc, &Call)>) -> Result<(), ClientError>;

    /// The newest block that as many nodes as must agree have; waits until it is another than `known`. All callers
    /// share one follower: so many requests a block, however many wait.
    async fn head(&self, known: Option<&Head>) -> Result<Head, ClientError>;

    /// What the chain says of a wallet, all of it at the newest block that as many nodes as must agree have: they say
    /// the same. Calls at the same time cost few requests together.
    async fn wallet_state(&self, wallet: &WalletDesc, assets: &[Asset]) -> Result<WalletState, ClientError>;

    /// [`ChainClient::wallet_state`] of many wallets, asked in few large requests, which are made smaller where a node
    /// refuses them: all at the end of the block `at`, where the adapter can; [`WalletState::block`] says. In their order.
    /// [`crate::Inability::NoBlock`] and [`crate::Inability::Pruned`]: the nodes no longer have that block.
    async fn wallet_states(
        &self,
        at: &Head,
        wallets: &[WalletDesc],
        assets: &[Asset],
    ) -> Result<Vec<WalletState>, ClientError> {
        let _ = at;
        let mut states = Vec::with_capacity(wallets.len());
        for wallet in wallets {
            states.push(self.wallet_state(wallet, assets).await?);
        }
        Ok(states)
    }

    /// How much the newest blocks have room for, and what it costs; `None`: this adapter can't say.
    async fn capacity(&self) -> Result<Option<Capacity>, ClientError> {
        Ok(None)
    }

    /// Whether the wallet could do `effect` now: asked before anything is signed. One node's word is enough for that it
    /// passes; that it is refused is the word of as many as must agree, at the same block.
    async fn simulate(&self, wallet: &WalletDesc, effect: &Effect, assets: &[Asset]) -> Result<Simulated, ClientError>;

    /// Whether `call` would do what it is for, if the relayer made it now. Asked like [`ChainClient::simulate`].
    async fn simulate_call(&self, wallet: &WalletDesc, call: &Call, purpose: Purpose)
    -> Result<Simulated, ClientError>;

    /// What became of the transaction `id`, which uses up `claims`, whoever sent it: the word of as many nodes as must
    /// agree, which have found the same in the same block. Calls at the same time cost few requests together.
    async fn fate(&self, wallet: &WalletDesc, id: &[u8; 32], claims: &[Claim], look: Look)
    -> Result<Fate, ClientError>;

    /// Where a block stands that the chain has, or had.
    async fn place(&self, block: u64) -> Result<Place, ClientError>;

    /// How much of the asset of `effect` reached its destination in the chain's transaction `tx` of block `block`, which
    /// carried it out: what the asset itself says, which may be less than was asked for.
    async fn moved(
        &self,
        wallet: &WalletDesc,
        effect: &Effect,
        assets: &[Asset],
        tx: &str,
        block: u64,
    ) -> Result<Amount, ClientError>;

    /// How much work the chain's transaction `tx` took (EVM: gas); `None`: it is in no block, or the chain does not count.
    async fn work(&self, _tx: &str) -> Result<Option<u64>, ClientError> {
        Ok(None)
    }

    /// The relayer's accounts, in display form; none for a client that only reads.
    fn relayers(&self) -> Vec<String>;

    /// The call of this errand, if it is under way.
    async fn under_way(&self, errand: &Errand, call: &Call) -> Result<Option<Box<dyn Following>>, ClientError>;

    /// Makes `call` for `wallet`: the relayer's transaction is kept in its journal, and only then sent.
    /// [`ClientError::OverGas`], [`ClientError::OverPrice`], [`ClientError::Float`] and [`ClientError::Full`]: nothing was
    /// sent.
    async fn relay(&self, wallet: &WalletDesc, errand: &Errand, call: &Call)
    -> Result<Box<dyn Following>, ClientError>;

    /// How the calls of many wallets are made in one transaction; `None`: this adapter knows no way.
    fn batching(&self) -> Option<&dyn Batching> {
        None
    }

    /// Looks after all that the relayer has under way, now that there is another block: what is mined, what the network
    /// has forgotten, what has to be dearer. To be called for each block, and now and then without one, by one task. How each account stands.
    async fn tend(&self, head: &Head) -> Result<Vec<Account>, ClientError>;
}

/// The newest block of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Blocks before it.
    pub number: u64,
    /// The chain's name for it: after a reorganisation the same number has another.
    pub id: String,
    /// When it was made, by the chain's clock: Unix seconds.
    pub time: u64,
}

/// How much a chain carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Work that one block has room for (EVM: gas).
    pub work: u64,
    /// Between two blocks, as the newest have been.
    pub every: Duration,
    /// The least that a unit of work costs now, whatever others offer, in the smallest unit of the chain's coin (EVM: base
    /// fee and least tip, wei per gas).
    pub price: u128,
    /// Decimals of a whole coin.
    pub decimals: u8,
}

/// A wallet as its chain has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletState {
    /// Number of the block at which all of this was so.
    pub block: u64,
    /// Whether it exists.
    pub created: Created,
    /// What its next transaction may use up: the one next number, or all unspent coins.
    pub next: Vec<Claim>,
    /// What it holds of each asset asked for, in that order.
    pub balances: Vec<Held>,
}

/// What a wallet holds of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// So much, smallest unit.
    Units(Amount),
    /// The chain answers, and not with an amount: the asset's contract is missing, fails, or is something else. The
    /// text says what. Other assets are not concerned.
    Unreadable(String),
}

impl Held {
    /// The amount, if there is one.
    pub fn units(&self) -> Option<Amount> {
        match self {
            Self::Units(amount) => Some(*amount),
            Self::Unreadable(_) => None,
        }
    }
}

/// A node as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// Where it is, as far as it may be shown.
    pub node: String,
    /// Its newest block; `None` before it has answered.
    pub head: Option<Head>,
    /// Why it can't be used.
    pub trouble: Option<String>,
}

/// Whether a wallet exists on its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// Not yet.
    No,
    /// It does, or needs no creation: these owners, two of them needed.
    Ours,
    /// Something else is at its address; the text says what.
    Foreign(String),
}

/// What a simulation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Simulated {
    /// It would take effect.
    Passes,
    /// It would not, in the chain's own words.
    Refused(String),
}

/// What the relayer makes a call for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// To create a wallet.
    Creation,
    /// To carry out what its owners have signed.
    Execution,
}

/// Where to look for a transaction that has used up its claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// After this block: at its end the claims were free.
    Since(u64),
    /// In so many of the newest blocks.
    Newest(u64),
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its claims can be used now.
    Open,
    /// The wallet has to use this claim first.
    Early(Claim),
    /// It took place, and the claims are used up.
    Done {
        /// The chain's transaction in which it did, whoever sent it.
        tx: String,
        /// False: it moved nothing all the same.
        success: bool,
        /// Where.
        place: Place,
    },
    /// Another transaction has used them: once that one is settled, it can't take place any more.
    Superseded {
        /// Where the other one stands.
        place: Place,
    },
    /// They are used, and the node does not tell yet by what.
    Untold,
}

/// What a relayer has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Float {
    /// The relayer's address, display form.
    pub relayer: String,
    /// In the smallest unit of the coin that pays fees.
    pub balance: Amount,
    /// Decimals of a whole coin.
    pub decimals: u8,
}

impl Float {
    /// In whole coins, for a gauge: 53 bits are enough.
    pub fn whole(&self) -> f64 {
        f64::from(self.balance.0) / 10f64.powi(i32::from(self.decimals))
    }
}
