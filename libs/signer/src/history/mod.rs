//! A signer's signing history as a file (`docs/history.md`): all that keeps it from signing twice or over its limits,
//! for a signer whose volume was lost. EIP-3076 does the same for validators. Nothing in it is secret, and it holds no
//! keys.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, Claim, hex::Hex};
use custody::{CustodyId, Role};
use protocol::ops::SettlementState;
use serde::{Deserialize, Serialize};

use crate::veto::VetoScope;

mod signature;
#[cfg(test)]
mod tests;
mod v1;
mod write;

pub use signature::{HISTORY, Signed};
pub use write::HistoryWriter;

/// What the file says it is.
pub const FORMAT: &str = "multisig-history";
/// The version that is written, as a rule with a signature. Version 3, which has none, version 2, which has no payment ids
/// either, and version 1, whose transactions use up one nonce each, are read too.
pub const VERSION: u32 = 4;
/// The first version with the same fields.
const SAME_FIELDS: u32 = 2;

/// Why a file is not imported. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Some other file.
    #[error("this is not a signing history; take the file from the signer's `history export`")]
    Format,
    /// Made by another version of the tools.
    #[error("the history has version {0}, this build reads 1 to {VERSION}; use the tools that made it")]
    Version(u64),
    /// Not the JSON expected.
    #[error("the history is malformed: {0}")]
    Malformed(String),
    /// Nobody has signed it, and nobody said that it may be so.
    #[error(
        "the history is not signed (HistoryUnsigned), so anybody may have changed it; take one that the signer exported \
         with its keys open, or import this one with --accept-unsigned if you know where it was kept"
    )]
    Unsigned,
    /// Signed, by nobody who was named.
    #[error(
        "the history is signed by message key {signer} (HistoryUnknownSigner), which is not this signer's present one; \
         ask the other data centre which key it had approved before, and name that with --key"
    )]
    UnknownSigner {
        /// ed25519 public key.
        signer: Hex<32>,
    },
    /// The signature is of another document.
    #[error(
        "the history was changed after it was signed (HistoryTampered); import another copy, and find out who changed \
         this one"
    )]
    Tampered,
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
    /// The store has claimed a coin that the file does not know.
    #[error("the history is older than this store: it does not know {claim} of wallet {wallet} on {chain}")]
    Lacks {
        /// Wallet id.
        wallet: String,
        /// CAIP-2 chain id.
        chain: String,
        /// What the store has signed for.
        claim: Claim,
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
    /// Vetoes of wallets and destinations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vetoes: Vec<Vetoed>,
}

/// One wallet on one chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletHistory {
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// What was signed, and what it uses up.
    pub signed: Vec<SignedAt>,
    /// Claims attested as used up.
    pub settled: Vec<SettledAt>,
    /// Signed amounts.
    pub spends: Vec<Spent>,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedAt {
    /// `nonce N`, below 2^63, or `coin ID:N`; at least one.
    pub claims: Vec<Claim>,
    /// `payment` or `cancel`.
    pub kind: Kind,
    /// The transaction's id.
    pub digest: Hex<32>,
    /// Which payment it was signed for, where App said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Hex<32>>,
}

/// Payment or cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// At most one a claim.
    Payment,
    /// Uses up its claims.
    Cancel,
}

/// A claim that is used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SettledAt {
    /// As in [`SignedAt`].
    pub claim: Claim,
    /// The transaction that used it.
    pub digest: Hex<32>,
    /// When it was attested, Unix milliseconds.
    pub at_ms: u64,
    /// How sure it is; absent: for good.
    #[serde(default, skip_serializing_if = "Certainty::is_final")]
    pub state: Certainty,
    /// Who attested it; absent: it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attester: String,
}

/// How sure a settlement is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// For good.
    #[default]
    Final,
    /// It may still vanish.
    Used,
    /// It is not so after all.
    Revoked,
}

impl Certainty {
    fn is_final(&self) -> bool {
        *self == Self::Final
    }
}

impl From<SettlementState> for Certainty {
    fn from(state: SettlementState) -> Self {
        match state {
            SettlementState::Final => Self::Final,
            SettlementState::Used => Self::Used,
            SettlementState::Revoked => Self::Revoked,
        }
    }
}

impl From<Certainty> for SettlementState {
    fn from(certainty: Certainty) -> Self {
        match certainty {
            Certainty::Final => Self::Final,
            Certainty::Used => Self::Used,
            Certainty::Revoked => Self::Revoked,
        }
    }
}

/// What a transaction moves of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spent {
    /// A transaction that was signed.
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
    /// What it waits for, as in [`SignedAt`]; none where it waits no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Claim>,
    /// When it lapses, Unix milliseconds, where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapses_at_ms: Option<u64>,
}

/// A veto that stands until it is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Vetoed {
    /// Whether `name` is a wallet or a destination.
    pub scope: VetoScope,
    /// Wallet id, or address in lower case.
    pub name: String,
    /// Since when, Unix milliseconds.
    pub at_ms: u64,
}

impl History {
    /// Reads a document that is meant for this signer and doesn't contradict itself. Whose it is, see [`Signed`].
    pub fn parse(bytes: &[u8], custody: CustodyId, role: Role) -> Result<Self, HistoryError> {
        /// The version is read first, so that a newer file is called newer and not malformed.
        #[derive(Deserialize)]
        struct Versioned {
            format: String,
            version: u64,
        }
        let version = match serde_json::from_slice(bytes) {
            Ok(Versioned { format, version }) if format == FORMAT => version,
            _ => return Err(HistoryError::Format),
        };
        let malformed = |error: serde_json::Error| HistoryError::Malformed(error.to_string());
        let history: Self = match u32::try_from(version) {
            Ok(v1::VERSION) => serde_json::from_slice::<v1::History>(bytes).map_err(malformed)?.into(),
            Ok(SAME_FIELDS..=VERSION) => serde_json::from_slice(bytes).map_err(malformed)?,
            _ => return Err(HistoryError::Version(version)),
        };
        if history.role != role {
            return Err(HistoryError::OtherRole { theirs: history.role, own: role });
        }
        if history.custody_id != custody.to_string() {
            return Err(HistoryError::OtherCustody { theirs: history.custody_id, own: custody.to_string() });
        }
        history.agrees_with_itself()?;
        Ok(history)
    }

    /// Each wallet once, one payment and one settlement a claim, one digest an intent, and numbers that a store can
    /// hold.
    fn agrees_with_itself(&self) -> Result<(), HistoryError> {
        let (mut wallets, mut intents, mut coins) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        for wallet in &self.wallets {
            if !wallets.insert((&wallet.wallet, &wallet.chain)) {
                return Err(conflict(format!("wallet {} on {} is there twice: it", wallet.wallet, wallet.chain)));
            }
            wallet.agrees_with_itself()?;
            for coin in wallet.claims().filter(|claim| matches!(claim, Claim::Coin(..))) {
                if coins.insert((&wallet.chain, coin), &wallet.wallet).is_some_and(|other| *other != wallet.wallet) {
                    return Err(conflict(format!("the wallet of {coin} on {}", wallet.chain)));
                }
            }
        }
        for UsedIntent { id, digest } in &self.intents {
            if intents.insert(id, digest).is_some_and(|other| other != digest) {
                return Err(conflict(format!("intent {id}")));
            }
        }
        let announced = |it: &Announced| [Some(it.at_ms), it.vetoed_at_ms, it.lapses_at_ms];
        let times = self.announcements.iter().flat_map(announced).flatten();
        let nonces = self.announcements.iter().flat_map(|it| it.claims.iter().copied().filter_map(nonce));
        let others = self.freezes.iter().map(|it| it.at_ms).chain(self.vetoes.iter().map(|it| it.at_ms));
        holdable(times.chain(nonces).chain(others))
    }
}

impl WalletHistory {
    /// All that anything is known of.
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> {
        let signed = self.signed.iter().flat_map(|it| it.claims.iter().copied());
        signed.chain(self.settled.iter().map(|it| it.claim))
    }

    /// The highest nonce that anything is known of.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.claims().filter_map(nonce).max()
    }

    /// What a transaction uses up, for people.
    pub(crate) fn at(&self, digest: &Hex<32>) -> String {
        let claims = self.signed.iter().filter(|it| it.digest == *digest).flat_map(|it| &it.claims);
        claims.map(Claim::to_string).collect::<Vec<_>>().join(" and ")
    }

    fn agrees_with_itself(&self) -> Result<(), HistoryError> {
        let (mut payments, mut settled, mut spends) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let at = |what: &str, claim: &str| conflict(format!("the {what} at {claim} of wallet {}", self.wallet));
        let mut signed = BTreeSet::new();
        for SignedAt { claims, kind, digest, payment_id: _ } in &self.signed {
            if claims.is_empty() {
                return Err(HistoryError::Malformed(format!("transaction {digest} uses nothing up")));
            }
            signed.insert(digest);
            for claim in claims.iter().filter(|_| *kind == Kind::Payment) {
                if payments.insert(claim, digest).is_some_and(|other| other != digest) {
                    return Err(at("payment", &claim.to_string()));
                }
            }
        }
        for SettledAt { claim, digest, .. } in &self.settled {
            if settled.insert(claim, digest).is_some_and(|other| other != digest) {
                return Err(at("settlement", &claim.to_string()));
            }
        }
        for Spent { digest, asset, .. } in &self.spends {
            if !signed.contains(digest) {
                return Err(HistoryError::Malformed(format!(
                    "an amount of transaction {digest}, which was not signed"
                )));
            }
            if !spends.insert((digest, asset)) {
                return Err(at("amount", &self.at(digest)));
            }
        }
        holdable(
            (self.claims().filter_map(nonce))
                .chain(self.settled.iter().map(|it| it.at_ms))
                .chain(self.spends.iter().map(|it| it.signed_at_ms))
                .chain(self.spends.iter().filter_map(|it| it.counts_from_ms)),
        )
    }
}

fn nonce(claim: Claim) -> Option<u64> {
    match claim {
        Claim::Sequence(nonce) => Some(nonce),
        Claim::Coin(..) => None,
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
