//! Carrying out what owners have signed: one call is one transaction of the relayer, simulated, signed, recorded, sent,
//! followed. After a fault or a crash it is the same transaction again, never a second one beside it.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    Call, ChainClient, ChainRules, Claim, ClientError, Created, Fate, Look, Outcome, Purpose, Relayed, Simulated,
    WalletDesc,
};

/// Where an [`Executor`] keeps what it is about to send.
pub trait Record: Sync {
    /// What the executor answers where something does not go on.
    type Error: From<ClientError> + Send;

    /// The transaction that may still be mined for this purpose.
    fn load(&self, purpose: Purpose) -> impl Future<Output = Result<Option<Relayed>, Self::Error>> + Send;

    /// Keeps a transaction that is about to be sent.
    fn store(&self, purpose: Purpose, relayed: &Relayed) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The transaction has ended so: it is no longer loaded.
    fn ended(
        &self,
        purpose: Purpose,
        relayed: &Relayed,
        outcome: &Outcome,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A record that lasts as long as the process: enough for whoever waits for the relayer to settle before it begins.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeMap<Purpose, Relayed>>);

impl InMemory {
    fn sent(&self) -> MutexGuard<'_, BTreeMap<Purpose, Relayed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record for InMemory {
    type Error = ClientError;

    async fn load(&self, purpose: Purpose) -> Result<Option<Relayed>, ClientError> {
        Ok(self.sent().get(&purpose).cloned())
    }

    async fn store(&self, purpose: Purpose, relayed: &Relayed) -> Result<(), ClientError> {
        self.sent().insert(purpose, relayed.clone());
        Ok(())
    }

    async fn ended(&self, purpose: Purpose, _relayed: &Relayed, _outcome: &Outcome) -> Result<(), ClientError> {
        self.sent().remove(&purpose);
        Ok(())
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// It is in a block.
    Mined {
        /// The chain's name of the transaction.
        tx: String,
        /// False: it changed nothing but the relayer's float.
        success: bool,
    },
    /// Its simulation fails: nothing was sent.
    Refused(String),
    /// It was sent and can't be mined any more: a new one may be made.
    Lost(Lost),
}

/// Why a transaction of the relayer can't be mined any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// Another transaction of the relayer took its place.
    Replaced {
        /// The chain's name of the transaction.
        tx: String,
    },
    /// The node does not take it.
    Rejected {
        /// The chain's name of the transaction.
        tx: String,
        /// The node's own words.
        message: String,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced { tx } => write!(f, "transaction {tx} lost its place and is made anew"),
            Self::Rejected { tx, message } => {
                write!(f, "the node rejects transaction {tx}, a new one is made: {message}")
            }
        }
    }
}

/// Whether a wallet can carry out what its owners have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It exists.
    Ready,
    /// It never will, and why.
    Impossible(String),
    /// Its creation is sent, and the node does not show it yet.
    NotSeen,
    /// Its creation is lost, and may be tried again.
    Lost(Lost),
}

/// Carries out what the owners of one wallet have signed. Every step may be taken again.
pub struct Executor<'a, R> {
    client: &'a dyn ChainClient,
    rules: &'a dyn ChainRules,
    wallet: &'a WalletDesc,
    record: R,
    wait: Duration,
}

impl<'a, R: Record> Executor<'a, R> {
    /// For `wallet`; a transaction is followed for `wait` before it is [`ClientError::Pending`].
    pub fn new(
        client: &'a dyn ChainClient,
        rules: &'a dyn ChainRules,
        wallet: &'a WalletDesc,
        record: R,
        wait: Duration,
    ) -> Self {
        Self { client, rules, wallet, record, wait }
    }

    /// Creates the wallet, if its chain wants that and nobody has: the address binds the owners, so anybody may.
    pub async fn create(&self) -> Result<Readiness, R::Error> {
        if let Some(readiness) = self.existing().await? {
            return Ok(readiness);
        }
        let Some(call) = self.rules.creation(self.wallet).map_err(ClientError::from)? else {
            return Ok(Readiness::Ready);
        };
        let refused = match self.carry(Purpose::Creation, &call).await? {
            Carried::Lost(lost) => return Ok(Readiness::Lost(lost)),
            Carried::Refused(reason) => Some(reason),
            Carried::Mined { .. } => None,
        };
        // Refused or reverted, somebody else may have been faster.
        let WalletDesc { address, chain, .. } = self.wallet;
        let readiness = match (self.existing().await?, refused) {
            (Some(readiness), _) => readiness,
            (None, Some(reason)) => Readiness::Impossible(format!("{address} can't be deployed on {chain}: {reason}")),
            (None, None) => Readiness::NotSeen,
        };
        Ok(readiness)
    }

    /// Carries out the owners' transaction.
    pub async fn execute(&self, call: &Call) -> Result<Carried, R::Error> {
        self.carry(Purpose::Execution, call).await
    }

    /// What became of the owners' transaction `id`, which uses up `claims`.
    pub async fn fate(&self, id: &[u8; 32], claims: &[Claim], look: Look) -> Result<Fate, R::Error> {
        Ok(self.client.fate(self.wallet, id, claims, look).await?)
    }

    async fn existing(&self) -> Result<Option<Readiness>, R::Error> {
        Ok(match self.client.wallet_state(self.wallet, &[]).await?.created {
            Created::No => None,
            Created::Ours => Some(Readiness::Ready),
            Created::Foreign(why) => Some(Readiness::Impossible(why)),
        })
    }

    async fn carry(&self, purpose: Purpose, call: &Call) -> Result<Carried, R::Error> {
        let relayed = match self.record.load(purpose).await? {
            Some(relayed) => relayed,
            None => {
                if let Simulated::Refused(reason) = self.client.simulate_call(self.wallet, call, purpose).await? {
                    return Ok(Carried::Refused(reason));
                }
                let turn = self.client.turn().await?;
                let relayed = turn.sign(call).await?;
                self.record.store(purpose, &relayed).await?;
                turn.broadcast(&relayed).await?;
                relayed
            }
        };
        let outcome = self.client.follow(&relayed, self.wait).await?;
        self.record.ended(purpose, &relayed, &outcome).await?;
        let tx = relayed.tx;
        Ok(match outcome {
            Outcome::Mined { tx, success } => Carried::Mined { tx, success },
            Outcome::Replaced => Carried::Lost(Lost::Replaced { tx }),
            Outcome::Rejected(message) => Carried::Lost(Lost::Rejected { tx, message }),
        })
    }
}
