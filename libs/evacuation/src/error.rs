//! Why an evacuation document was refused.

use chain::{ChainError, ChainId, Claim, KeyRole, Refusal};
use custody::WalletId;

/// Why an evacuation document was refused. Nothing is signed when one step is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EvacuationError {
    /// Not the JSON expected.
    #[error("malformed {what}: {why}; make it again")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// Of the parser.
        why: String,
    },
    /// Made by another version of the tools.
    #[error("{what} has version {version}, this build reads up to version {read}; use the tools that made it")]
    UnknownVersion {
        /// Which document.
        what: &'static str,
        /// What it says.
        version: u64,
        /// The newest that this build reads.
        read: u32,
    },
    /// Made for another custody, or under another manifest.
    #[error("{what} was made for custody {custody} with manifest {digest}, which is not the manifest given")]
    OtherManifest {
        /// Which document.
        what: &'static str,
        /// Custody id in it.
        custody: String,
        /// Manifest digest in it.
        digest: String,
    },
    /// A wallet's record contradicts the manifest.
    #[error(
        "wallet {wallet} on {chain}: the address of its keys is {computed}, but the document says {said}; do not sign"
    )]
    OtherAddress {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
        /// Recomputed.
        computed: String,
        /// In the document.
        said: String,
    },
    /// A wallet's keys or chain are unusable.
    #[error("wallet {wallet} on {chain}: {source}")]
    Chain {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
        /// What is wrong.
        source: ChainError,
    },
    /// Hex that is none, or of the wrong length.
    #[error("wallet {wallet}: {field} is not 0x hex of the right length")]
    Hex {
        /// Which wallet.
        wallet: WalletId,
        /// Which field.
        field: &'static str,
    },
    /// A symbol that could not be shown to people as it is.
    #[error("wallet {0}: an asset's symbol must have 1 to 32 characters of a-z, A-Z, 0-9, '.', '-' and '_'")]
    Symbol(WalletId),
    /// The manifest names no safe destination on this chain.
    #[error("the manifest names no safe destination on {0}; a new manifest with one must be signed first")]
    NoDestination(ChainId),
    /// Money would go elsewhere.
    #[error("{to} is not one of the manifest's safe destinations on {chain}; nothing was signed")]
    NotADestination {
        /// Where it would go.
        to: String,
        /// On which chain.
        chain: ChainId,
    },
    /// Perhaps a safe destination, but misspelt: nothing moves on a guess.
    #[error("the destination on {chain}: {source}")]
    Destination {
        /// On which chain.
        chain: ChainId,
        /// What is wrong with it.
        source: ChainError,
    },
    /// The state of a wallet was not read.
    #[error("the state of wallet {wallet} on {chain} is unknown; read it from a node first")]
    UnknownState {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
    },
    /// The bytes are not what may be signed.
    #[error("wallet {wallet} on {chain}: {refusal}")]
    Refused {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
        /// Of the decoder.
        refusal: Refusal,
    },
    /// The bytes do something else than but the document says.
    #[error(
        "wallet {wallet} on {chain}: the transaction's {field} is {found}, but the document says {said}; do not sign"
    )]
    Mismatch {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
        /// Which field.
        field: &'static str,
        /// In the bytes.
        found: String,
        /// In the document.
        said: String,
    },
    /// One claim twice: only one of two steps could ever happen.
    #[error("wallet {wallet} on {chain} uses {claim} twice; make the plan again")]
    Duplicate {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
        /// The claim.
        claim: Claim,
    },
    /// Only cool and cold sign bundles of version 1.
    #[error("a bundle is signed by cool and cold, not by {0}")]
    NotAStation(KeyRole),
    /// The key at hand is not the manifest's.
    #[error("this is not the {0} phrase of the manifest; nothing was signed")]
    OtherPhrase(KeyRole),
    /// A signature does not fit.
    #[error("wallet {wallet} on {chain}: the {role} signature does not fit the transaction; sign again")]
    BadSignature {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
        /// Whose.
        role: KeyRole,
    },
    /// A station has not signed yet.
    #[error("wallet {wallet} on {chain}: not signed by {role} yet")]
    NotSigned {
        /// Which wallet.
        wallet: WalletId,
        /// On which chain.
        chain: ChainId,
        /// Whose signature is missing.
        role: KeyRole,
    },
}
