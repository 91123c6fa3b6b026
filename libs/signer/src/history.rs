//! A signer's signing history as a file (`docs/history.md`): all that keeps it from signing twice or over its limits,
//! for a signer whose volume was lost. EIP-3076 does the same for validators. Nothing in it is secret, and it holds no
//! keys.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, hex::Hex};
use custody::{CustodyId, Role};
use serde::{Deserialize, Serialize};

/// What the file says it is.
pub const FORMAT: &str = "multisig-history";
/// The only version that is read and written.
pub const VERSION: u32 = 1;

/// Why a file is not imported. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Some other file.
    #[error("this is no signing history; take the file from the signer's `history export`")]
    Format,
    /// Made by another version of the tools.
    #[error("the history has version {0}, this build reads version {VERSION} only; use the tools that made it")]
    Version(u64),
    /// Not the JSON expected.
    #[error("the history is malformed: {0}")]
    Malformed(String),
    /// Of another signer.
    #[error("the history is {theirs}'s, this is {own}; import it there")]
    OtherRole {
        /// The file's.
        theirs: Role,
        /// This signer.
        own: Role,
    },
    /// Of another custody.
    #[error("the history is of custody {theirs}, this signer serves {own}")]
    OtherCustody {
        /// The file's.
        theirs: String,
        /// This signer's.
        own: String,
    },
    /// It contradicts itself or the store.
    #[error("{what} is another here than in the history; compare both signers' chains with `multisig audit compare`")]
    Conflict {
        /// Which row.
        what: String,
    },
    /// The store has signed more than the file knows.
    #[error(
        "the history is older than this store: it ends at nonce {theirs} of wallet {wallet} on {chain}, the store at {own}"
    )]
    Older {
        /// Wallet id.
        wallet: String,
        /// CAIP-2 chain id.
        chain: String,
        /// The file's highest nonce, or `none`.
        theirs: String,
        /// The store's.
        own: u64,
    },
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct History {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// 16 bytes, hex.
    pub custody_id: String,
    /// Keeper or Cooler.
    pub role: Role,
    /// One per wallet and chain, ordered by both.
    pub wallets: Vec<WalletHistory>,
    /// Every digest signed for an evacuation.
    pub evacuations: Vec<Evacuated>,
    /// Intents that were used.
    pub intents: Vec<UsedIntent>,
    /// Freezes in force.
    pub freezes: Vec<Freeze>,
    /// Time locks that have begun, and vetoes.
    pub announcements: Vec<Announced>,
}

/// One wallet on one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletHistory {
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// What was signed at which nonce.
    pub signed: Vec<SignedAt>,
    /// Nonces attested as used up.
    pub settled: Vec<SettledAt>,
    /// Signed amounts.
    pub spends: Vec<Spent>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedAt {
    /// Below 2^63.
    pub nonce: u64,
    /// `payment` or `cancel`.
    pub kind: Kind,
    /// 32 bytes.
    pub digest: Hex<32>,
}

/// Payment or cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// At most one a nonce.
    Payment,
    /// Uses up the nonce.
    Cancel,
}

/// A nonce that is used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettledAt {
    /// Below 2^63.
    pub nonce: u64,
    /// The digest that used it.
    pub digest: Hex<32>,
    /// When it was attested, Unix milliseconds.
    pub at_ms: u64,
}

/// An amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spent {
    /// Below 2^63.
    pub nonce: u64,
    /// What was signed.
    pub digest: Hex<32>,
    /// Symbol.
    pub asset: String,
    /// In the smallest unit.
    pub amount: Amount,
    /// Unix milliseconds.
    pub signed_at_ms: u64,
    /// Since when it leaves its windows, Unix milliseconds; absent while it is outstanding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_from_ms: Option<u64>,
}

/// A digest signed for an evacuation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evacuated {
    /// 32 bytes.
    pub digest: Hex<32>,
    /// CAIP-2 chain id.
    pub chain: String,
    /// The wallet's address.
    pub address: String,
}

/// An intent, good for one digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsedIntent {
    /// 16 bytes.
    pub id: Hex<16>,
    /// 32 bytes.
    pub digest: Hex<32>,
}

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// Empty: everything.
    pub wallet: String,
    /// A role, or `admin`.
    pub requester: String,
    /// For people.
    pub reason: String,
    /// Unix milliseconds.
    pub at_ms: u64,
}

/// A payment whose time lock has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Announced {
    /// What would be signed.
    pub digest: Hex<32>,
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// For people.
    pub summary: String,
    /// When it began, Unix milliseconds.
    pub at_ms: u64,
    /// When it was vetoed; absent: it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vetoed_at_ms: Option<u64>,
}

impl History {
    /// With nothing in it.
    pub fn empty(custody: CustodyId, role: Role) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            custody_id: custody.to_string(),
            role,
            wallets: Vec::new(),
            evacuations: Vec::new(),
            intents: Vec::new(),
            freezes: Vec::new(),
            announcements: Vec::new(),
        }
    }

    /// Reads a file that is meant for this signer and doesn't contradict itself.
    pub fn parse(bytes: &[u8], custody: CustodyId, role: Role) -> Result<Self, HistoryError> {
        /// The version is read first, so that a newer file is called newer and not malformed.
        #[derive(Deserialize)]
        struct Versioned {
            format: String,
            version: u64,
        }
        match serde_json::from_slice(bytes) {
            Ok(Versioned { format, version }) if format == FORMAT => {
                if version != u64::from(VERSION) {
                    return Err(HistoryError::Version(version));
                }
            }
            _ => return Err(HistoryError::Format),
        }
        let history: Self =
            serde_json::from_slice(bytes).map_err(|error| HistoryError::Malformed(error.to_string()))?;
        if history.role != role {
            return Err(HistoryError::OtherRole { theirs: history.role, own: role });
        }
        if history.custody_id != custody.to_string() {
            return Err(HistoryError::OtherCustody { theirs: history.custody_id, own: custody.to_string() });
        }
        history.agrees_with_itself()?;
        Ok(history)
    }

    /// For a file.
    pub fn to_json(&self) -> Result<String, HistoryError> {
        let json = serde_json::to_string_pretty(self).map_err(|error| HistoryError::Malformed(error.to_string()))?;
        Ok(json + "\n")
    }

    /// Each wallet once, one payment and one settlement a nonce, one digest an intent, and numbers that a store can hold.
    fn agrees_with_itself(&self) -> Result<(), HistoryError> {
        let (mut wallets, mut intents) = (BTreeSet::new(), BTreeMap::new());
        for wallet in &self.wallets {
            if !wallets.insert((&wallet.wallet, &wallet.chain)) {
                return Err(conflict(format!("wallet {} on {} is there twice: it", wallet.wallet, wallet.chain)));
            }
            wallet.agrees_with_itself()?;
        }
        for UsedIntent { id, digest } in &self.intents {
            if intents.insert(id, digest).is_some_and(|other| other != digest) {
                return Err(conflict(format!("intent {id}")));
            }
        }
        let times = self.announcements.iter().flat_map(|it| [Some(it.at_ms), it.vetoed_at_ms]).flatten();
        holdable(times.chain(self.freezes.iter().map(|it| it.at_ms)))
    }
}

impl WalletHistory {
    /// The highest nonce that anything is known of.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.signed.iter().map(|it| it.nonce).chain(self.settled.iter().map(|it| it.nonce)).max()
    }

    fn agrees_with_itself(&self) -> Result<(), HistoryError> {
        let (mut payments, mut settled, mut spends) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let at = |what: &str, nonce: u64| conflict(format!("the {what} at nonce {nonce} of wallet {}", self.wallet));
        for SignedAt { nonce, digest, .. } in self.signed.iter().filter(|it| it.kind == Kind::Payment) {
            if payments.insert(nonce, digest).is_some_and(|other| other != digest) {
                return Err(at("payment", *nonce));
            }
        }
        for SettledAt { nonce, digest, .. } in &self.settled {
            if settled.insert(nonce, digest).is_some_and(|other| other != digest) {
                return Err(at("settlement", *nonce));
            }
        }
        for Spent { nonce, digest, .. } in &self.spends {
            if !spends.insert((nonce, digest)) {
                return Err(at("amount", *nonce));
            }
        }
        holdable(
            (self.signed.iter().map(|it| it.nonce))
                .chain(self.settled.iter().flat_map(|it| [it.nonce, it.at_ms]))
                .chain(self.spends.iter().flat_map(|it| [it.nonce, it.signed_at_ms]))
                .chain(self.spends.iter().filter_map(|it| it.counts_from_ms)),
        )
    }
}

fn holdable(mut numbers: impl Iterator<Item = u64>) -> Result<(), HistoryError> {
    match numbers.find(|number| i64::try_from(*number).is_err()) {
        Some(number) => Err(HistoryError::Malformed(format!("{number} is above 2^63 - 1"))),
        None => Ok(()),
    }
}

pub(crate) fn conflict(what: String) -> HistoryError {
    HistoryError::Conflict { what }
}
