//! The networked half of a chain.

use async_trait::async_trait;

use crate::{Account, Amount, Asset, Call, ChainId, Claim, ClientError, Effect, Errand, Following, Place, WalletDesc};

/// A node of one chain, and the relayer that pays there for what owners have signed. It holds no owner's key and can
/// move no wallet's money. Linked into App and the online CLI only.
#[async_trait]
pub trait ChainClient: Send + Sync {
    /// Which chain.
    fn id(&self) -> &ChainId;

    /// Where the node is, as far as it may be shown: providers put API keys into the rest of a URL.
    fn node(&self) -> &str;

    /// Refuses a node that serves another chain.
    async fn verify_chain(&self) -> Result<(), ClientError>;

    /// The newest block; waits until it is another than `known`.
    async fn head(&self, known: Option<&Head>) -> Result<Head, ClientError>;

    /// What the node says of a wallet, all of it at one block.
    async fn wallet_state(&self, wallet: &WalletDesc, assets: &[Asset]) -> Result<WalletState, ClientError>;

    /// Whether the wallet could do `effect` now: asked before anything is signed.
    async fn simulate(&self, wallet: &WalletDesc, effect: &Effect, assets: &[Asset]) -> Result<Simulated, ClientError>;

    /// Whether `call` would do what it is for, if the relayer made it now.
    async fn simulate_call(&self, wallet: &WalletDesc, call: &Call, purpose: Purpose)
    -> Result<Simulated, ClientError>;

    /// What became of the transaction `id`, which uses up `claims`, whoever sent it.
    async fn fate(&self, wallet: &WalletDesc, id: &[u8; 32], claims: &[Claim], look: Look)
    -> Result<Fate, ClientError>;

    /// The relayer's accounts, in display form; none for a client that only reads.
    fn relayers(&self) -> Vec<String>;

    /// The call of this errand, if it is under way.
    async fn under_way(&self, errand: &Errand, call: &Call) -> Result<Option<Box<dyn Following>>, ClientError>;

    /// Makes `call` for `wallet`: the relayer's transaction is kept in its journal, and only then sent.
    /// [`ClientError::OverGas`], [`ClientError::OverPrice`] and [`ClientError::Float`]: nothing was sent.
    async fn relay(&self, wallet: &WalletDesc, errand: &Errand, call: &Call)
    -> Result<Box<dyn Following>, ClientError>;

    /// Looks after all that the relayer has under way, now that there is another block: what is mined, what the network
    /// has forgotten, what has to be dearer. To be called for each block, by one task. How each account stands.
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

/// A wallet as its chain has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletState {
    /// Number of the block at which all of this was so.
    pub block: u64,
    /// Whether it exists.
    pub created: Created,
    /// What its next transaction may use up: the one next number, or all unspent coins.
    pub next: Vec<Claim>,
    /// What it holds, one amount for each asset asked for, in that order.
    pub balances: Vec<Amount>,
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
