//! Why a plan or a signature file of version 2 was refused.

use std::io;

use chain::KeyRole;
use custody::{WalletId, manifest::ManifestError};

use super::{OwnerPair, STREAM_VERSION};
use crate::{EvacuationError, LadderError};

/// Why a plan or a signature file was not read, not written or not signed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The system did not read it.
    #[error("cannot read the {what}: {cause}")]
    Read {
        /// Which document.
        what: &'static str,
        /// The system's words.
        cause: io::Error,
    },
    /// The system did not write it.
    #[error("cannot write the {what}: {cause}; make room, and run the same command again")]
    Write {
        /// Which document.
        what: &'static str,
        /// The system's words.
        cause: io::Error,
    },
    /// It ends in the middle.
    #[error("incomplete {0}: it ends in the middle; copy it again, or finish the command that writes it")]
    Incomplete(&'static str),
    /// Something else, or damaged.
    #[error("malformed {what}: {why}; make it again")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Made by newer tools.
    #[error(
        "the {what} has version {version}, this build reads version {STREAM_VERSION} of it; use the tools that made it"
    )]
    UnknownVersion {
        /// Which document.
        what: &'static str,
        /// What it says.
        version: u64,
    },
    /// The manifest inside is not one.
    #[error("the manifest in the plan: {0}")]
    Manifest(#[from] ManifestError),
    /// What people are shown is not what is in it.
    #[error("the plan says {said} {what}, but holds {found}; do not sign, make it again")]
    Counts {
        /// Of what.
        what: String,
        /// In the header.
        said: String,
        /// Counted.
        found: String,
    },
    /// A wallet with impossible rungs.
    #[error("wallet {wallet}: {source}; make the plan again")]
    Ladder {
        /// Which wallet.
        wallet: String,
        /// What is wrong.
        source: LadderError,
    },
    /// A wallet that may not be signed for.
    #[error(transparent)]
    Evacuation(#[from] EvacuationError),
    /// Wallets of this chain have no nonces.
    #[error(
        "wallets of this chain have no nonces, so no ladder can be signed for wallet {0}; make a plan of version 1"
    )]
    NoNonces(WalletId),
    /// Too many assets for one plan.
    #[error("a plan moves at most {most} assets, and {given} are listed; make several plans")]
    TooManyAssets {
        /// At most.
        most: usize,
        /// In the list.
        given: usize,
    },
    /// Two entries of a plan are one.
    #[error("{0} is in the plan's list of assets twice; list it once")]
    SameAsset(String),
    /// A signature that this format has no room for.
    #[error("the {0} signature is not one of 65 bytes, so it can't be kept in 64; make a plan of version 1")]
    NotCompact(KeyRole),
    /// The plan is for others to sign.
    #[error(
        "the plan is signed by {owners}, and not by {role}; take the plan that was made for {role}, or make one with \
         `multisig evac plan --ladder --owners`"
    )]
    NotAnOwner {
        /// Who would sign, or has signed.
        role: KeyRole,
        /// Who signs this plan.
        owners: OwnerPair,
    },
    /// The signatures are of other transactions.
    #[error("the {role} signatures are of another plan: {why}; sign this plan, or take the one that was signed")]
    OtherPlan {
        /// Whose.
        role: KeyRole,
        /// Where they differ.
        why: &'static str,
    },
}

impl StreamError {
    pub(crate) fn malformed(what: &'static str, why: impl Into<String>) -> Self {
        Self::Malformed { what, why: why.into() }
    }
}
