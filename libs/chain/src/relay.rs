//! Paying for what owners have signed: what the relayer sends, where that is kept, how far it may go, and what becomes
//! of it. A transaction of the relayer is kept before it is sent, so that after a crash the same one is sent again.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use crate::{Amount, Claim, ClientError, Float};

/// What a call is made for, by the caller's own names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errand {
    /// Whose it is: a payment, for instance.
    pub of: String,
    /// Which of its calls.
    pub purpose: String,
}

/// Purpose of an errand that carries nothing and only uses up a claim, so that what waits behind it can be mined.
pub const GAP: &str = "gap";

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

/// Why a journal can't be read or written.
pub type JournalError = Box<dyn Error + Send + Sync>;

/// Where a relayer keeps what it is about to send. Several transactions may use up the same claim: each is dearer than
/// the one before it, and whichever is mined counts.
#[async_trait]
pub trait Journal: Send + Sync {
    /// All that is kept and has not ended, in the order in which it was written.
    async fn under_way(&self) -> Result<Vec<(Errand, Relayed)>, JournalError>;

    /// Keeps a transaction that is about to be sent. What returned survives a crash.
    async fn write(&self, errand: &Errand, relayed: &Relayed) -> Result<(), JournalError>;

    /// Transactions of these names are final, or never can be mined.
    async fn end(&self, txs: Vec<String>) -> Result<(), JournalError>;
}

/// A journal that lasts as long as the process.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeMap<String, (usize, Errand, Relayed)>>);

impl InMemory {
    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, (usize, Errand, Relayed)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for InMemory {
    async fn under_way(&self) -> Result<Vec<(Errand, Relayed)>, JournalError> {
        let mut kept: Vec<_> = self.kept().values().cloned().collect();
        kept.sort_by_key(|(place, ..)| *place);
        Ok(kept.into_iter().map(|(_, errand, relayed)| (errand, relayed)).collect())
    }

    async fn write(&self, errand: &Errand, relayed: &Relayed) -> Result<(), JournalError> {
        let mut kept = self.kept();
        let place = kept.values().map(|(place, ..)| place + 1).max().unwrap_or_default();
        kept.insert(relayed.tx.clone(), (place, errand.clone(), relayed.clone()));
        Ok(())
    }

    async fn end(&self, txs: Vec<String>) -> Result<(), JournalError> {
        self.kept().retain(|tx, _| !txs.contains(tx));
        Ok(())
    }
}

/// How far a relayer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayLimits {
    /// The most that it offers for a unit of work, in the smallest unit of the chain's coin (EVM: wei per gas).
    pub max_price: u128,
    /// The most work that one transaction may take (EVM: gas).
    pub max_gas: u64,
    /// A transaction that so many blocks left out is made again, dearer. At least 1.
    pub replace_after: u64,
    /// A float below this is told, in the smallest unit of the chain's coin.
    pub least_float: Amount,
    /// So many calls of one account may be sent and not mined.
    pub most_in_flight: usize,
    /// A batch, which is large, is sent while fewer calls than this are.
    pub most_batches: usize,
    /// Whether it replaces what its account has pending and the journal does not know: right only where an earlier run
    /// of the same program sent it.
    pub takes_over: bool,
}

impl RelayLimits {
    /// 500 gwei a gas, 1,000,000 gas (the creation of a Safe takes 283,416, a payment about 100,000), 3 blocks, 0.05
    /// coins of 18 decimals, as many calls under way as there are.
    pub const DEFAULT: Self = Self {
        max_price: 500_000_000_000,
        max_gas: 1_000_000,
        replace_after: 3,
        least_float: Amount(ruint::aliases::U256::from_limbs([50_000_000_000_000_000, 0, 0, 0])),
        most_in_flight: usize::MAX,
        most_batches: usize::MAX,
        takes_over: false,
    };
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// All that a relayer is made from.
#[derive(Clone)]
pub struct Relaying<'a> {
    /// Texts of the files with the keys that pay, at least one. A wallet stays with one of them as long as something
    /// of it is under way.
    pub keys: &'a [&'a str],
    /// How far it goes.
    pub limits: RelayLimits,
    /// Where it keeps what it is about to send.
    pub journal: Arc<dyn Journal>,
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
    /// A transaction that this relayer did not send took its place: this one can never be mined.
    Replaced {
        /// The account that pays.
        relayer: String,
        /// What of its was used.
        claim: Claim,
    },
    /// No node takes it, in the node's own words; its place was given to another transaction. Should it be mined all
    /// the same, only one of both has an effect, since claims and wallets exist once.
    Rejected(String),
}

/// Why a transaction of the relayer is not mined, which time alone may not change. It is followed all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// Dearer than this is not allowed.
    AtCeiling {
        /// What it offers for a unit of work.
        offered: u128,
        /// The configured most.
        ceiling: u128,
    },
    /// The float does not pay for a dearer one.
    Float {
        /// Who pays.
        relayer: String,
        /// What is left of it.
        balance: Amount,
        /// What the dearer one may cost.
        needed: Amount,
    },
    /// The node does not take it, in its own words.
    Refused(String),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtCeiling { offered, ceiling } => write!(
                f,
                "it offers {offered} wei a gas, and the configured ceiling of {ceiling} leaves no room for more; it is \
                 mined when fees fall, or raise the ceiling and start again"
            ),
            Self::Float { relayer, balance, needed } => write!(
                f,
                "the relayer {relayer} has {balance} wei left and a dearer one may cost {needed} wei; send it more"
            ),
            Self::Refused(message) => write!(f, "the node does not take it: {message}"),
        }
    }
}

/// A call under way.
#[async_trait]
pub trait Following: Send {
    /// Waits until it is mined or won't be; [`ClientError::Stuck`] as soon as it is, and [`ClientError::Pending`] after
    /// `wait`. May be called again.
    async fn outcome(&mut self, wait: Duration) -> Result<Outcome, ClientError>;
}

/// How one of the relayer's accounts stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What it has left.
    pub float: Float,
    /// Whether that is below [`RelayLimits::least_float`].
    pub low: bool,
    /// What a call may cost that was given to another account, or not sent, because this one can't pay for it.
    pub short: Option<Amount>,
    /// Calls that are sent and not mined.
    pub in_flight: usize,
    /// Those of them that are stuck: the chain's name of the transaction, and why.
    pub stuck: Vec<(String, Stuck)>,
    /// How many of its calls the private endpoints left out for so long that the nodes were given them too, where everybody
    /// sees them, since the start.
    pub opened: u64,
    /// How often a transaction that this relayer did not send has used what it was about to, since the start.
    pub foreign: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_in_memory_comes_back_in_order_until_it_has_ended() {
        let journal = InMemory::default();
        let errand = Errand { of: "payment".into(), purpose: "execution".into() };
        let relayed = |tx: &str| Relayed { tx: tx.into(), raw: vec![1], claim: Claim::Sequence(1) };
        for tx in ["b", "a", "c"] {
            journal.write(&errand, &relayed(tx)).await.unwrap();
        }
        journal.end(vec!["a".into()]).await.unwrap();
        let kept = journal.under_way().await.unwrap();
        assert_eq!(kept, [(errand.clone(), relayed("b")), (errand, relayed("c"))]);
    }
}
