//! The networked half of a chain.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Amount, Asset, Call, ChainId, Claim, ClientError, Effect, Place, WalletDesc};

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

    /// The relayer's address, in display form; `None` for a client that only reads.
    fn relayer(&self) -> Option<&str>;

    /// What the relayer has left to pay with.
    async fn float(&self) -> Result<Float, ClientError>;

    /// The right to send the relayer's next transaction, as long as it is held.
    async fn turn(&self) -> Result<Box<dyn Turn + '_>, ClientError>;

    /// Waits until `relayed` is mined or won't be, handing it to the network again from time to time; after `wait`,
    /// [`ClientError::Pending`]. May be called again, also by another process.
    async fn follow(&self, relayed: &Relayed, wait: Duration) -> Result<Outcome, ClientError>;

    /// Waits until nothing that the relayer sent earlier is still unmined: a process that keeps no record of what it
    /// sent must not send it again beside itself.
    async fn settled(&self, wait: Duration) -> Result<(), ClientError>;
}

/// The relayer's next transaction: signed, recorded by the caller, and only then sent, so that after a crash the same
/// transaction is sent again instead of another one.
#[async_trait]
pub trait Turn: Send + Sync {
    /// Signs a transaction that makes `call`. Nothing is sent.
    async fn sign(&self, call: &Call) -> Result<Relayed, ClientError>;

    /// Hands the transaction to the network and ends the turn. Sending one that is already known succeeds.
    async fn broadcast(self: Box<Self>, relayed: &Relayed) -> Result<(), ClientError>;
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

/// A signed transaction of the relayer: all that has to be kept to send it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// The chain's name for it (EVM: its hash).
    pub tx: String,
    /// The bytes that are sent.
    pub raw: Vec<u8>,
    /// What of the relayer's it uses up (EVM: the nonce of its account).
    pub claim: Claim,
}

/// How a transaction of the relayer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in a block.
    Mined {
        /// The chain's name for it.
        tx: String,
        /// False: it only cost its fee.
        success: bool,
    },
    /// Another transaction of the relayer took its place: this one can never be mined.
    Replaced,
    /// The node won't take it (any more), in its own words: a new one has to be signed. Should this one be mined all
    /// the same, only one of them has an effect, since claims and wallets exist once.
    Rejected(String),
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
