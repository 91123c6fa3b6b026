//! Carrying out what owners have signed: one call is simulated, handed to the relayer, and followed. After a fault or a
//! crash it is the same transaction again, or a dearer one in its place, never a second one beside it.

use std::{fmt, time::Duration};

use crate::{
    Call, ChainClient, ChainRules, Claim, ClientError, Created, Errand, Fate, Look, Outcome, Purpose, Simulated,
    WalletDesc,
};

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
    /// It would take more work than the relayer pays for: nothing was sent.
    OverGas(String),
    /// It was sent and can't be mined any more: a new one may be made.
    Lost(Lost),
}

/// Why a transaction of the relayer can't be mined any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// A transaction that this relayer did not send took its place.
    Replaced {
        /// The account that pays.
        relayer: String,
        /// What of its was used.
        claim: Claim,
    },
    /// The node does not take it.
    Rejected(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced { relayer, claim } => write!(
                f,
                "{claim} of the relayer {relayer} was used by a transaction sent by something else that has its key; \
                 the call is made again unless its effect is there"
            ),
            Self::Rejected(message) => write!(f, "the node rejects the transaction, a new one is made: {message}"),
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

/// What the calls for one wallet are made for, by the caller's own names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errands {
    /// Of the call that creates it.
    pub creation: Errand,
    /// Of the call that carries out what its owners have signed.
    pub execution: Errand,
}

/// Carries out what the owners of one wallet have signed. Every step may be taken again.
pub struct Executor<'a> {
    client: &'a dyn ChainClient,
    rules: &'a dyn ChainRules,
    wallet: &'a WalletDesc,
    errands: Errands,
    wait: Duration,
}

impl<'a> Executor<'a> {
    /// For `wallet`; a transaction is followed for `wait` before it is [`ClientError::Pending`].
    pub fn new(
        client: &'a dyn ChainClient,
        rules: &'a dyn ChainRules,
        wallet: &'a WalletDesc,
        errands: Errands,
        wait: Duration,
    ) -> Self {
        Self { client, rules, wallet, errands, wait }
    }

    /// Creates the wallet, if its chain wants that and nobody has: the address binds the owners, so anybody may.
    pub async fn create(&self) -> Result<Readiness, ClientError> {
        if let Some(readiness) = self.existing().await? {
            return Ok(readiness);
        }
        let Some(call) = self.rules.creation(self.wallet)? else {
            return Ok(Readiness::Ready);
        };
        let refused = match self.carry(Purpose::Creation, &call).await? {
            Carried::Lost(lost) => return Ok(Readiness::Lost(lost)),
            Carried::Refused(reason) | Carried::OverGas(reason) => Some(reason),
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
    pub async fn execute(&self, call: &Call) -> Result<Carried, ClientError> {
        self.carry(Purpose::Execution, call).await
    }

    /// What became of the owners' transaction `id`, which uses up `claims`.
    pub async fn fate(&self, id: &[u8; 32], claims: &[Claim], look: Look) -> Result<Fate, ClientError> {
        self.client.fate(self.wallet, id, claims, look).await
    }

    async fn existing(&self) -> Result<Option<Readiness>, ClientError> {
        Ok(match self.client.wallet_state(self.wallet, &[]).await?.created {
            Created::No => None,
            Created::Ours => Some(Readiness::Ready),
            Created::Foreign(why) => Some(Readiness::Impossible(why)),
        })
    }

    async fn carry(&self, purpose: Purpose, call: &Call) -> Result<Carried, ClientError> {
        let errand = match purpose {
            Purpose::Creation => &self.errands.creation,
            Purpose::Execution => &self.errands.execution,
        };
        let mut following = match self.client.under_way(errand, call).await? {
            Some(following) => following,
            None => {
                if let Simulated::Refused(reason) = self.client.simulate_call(self.wallet, call, purpose).await? {
                    return Ok(Carried::Refused(reason));
                }
                match self.client.relay(self.wallet, errand, call).await {
                    Err(error @ ClientError::OverGas { .. }) => return Ok(Carried::OverGas(error.to_string())),
                    other => other?,
                }
            }
        };
        Ok(match following.outcome(self.wait).await? {
            Outcome::Mined { tx, success } => Carried::Mined { tx, success },
            Outcome::Replaced { relayer, claim } => Carried::Lost(Lost::Replaced { relayer, claim }),
            Outcome::Rejected(message) => Carried::Lost(Lost::Rejected(message)),
        })
    }
}
