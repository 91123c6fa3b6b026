//! The signer's durable memory, in one SQLite file: a write is answered after its commit, which many share.

mod audit;
mod authentic;
mod claims;
mod decide;
mod documents;
mod error;
mod evacuations;
mod export;
mod freezes;
mod heads;
mod history;
mod history_export;
mod keys;
mod ledger;
mod local_policies;
mod operations;
#[cfg(test)]
mod plans;
mod prune;
mod records;
mod rotation;
mod schema;
mod settlements;
#[cfg(test)]
mod slow_takers;
mod spends;
mod used;
mod waits;
mod wallets;
mod windows;
mod writer;

pub use self::audit::Unwritten;
pub use authentic::{STORE_KEY_MADE, StoreKey};
pub use claims::{Coin, Kind, Nonces, Watermark};
pub use database::LogUse;
pub use documents::Document;
pub use error::StoreError;
pub use evacuations::Evacuating;
pub use export::{ExportedRow, Unsettled};
pub use freezes::Frozen;
pub use heads::{PeerHead, Start};
pub use keys::{SealedIdentity, SealedKey};
pub use ledger::Ledger;
pub use operations::{OperationKey, Recall};
pub use prune::{KEEP_MS, Pruned, Pruning};
pub use records::{Asked, Earlier, Fate, Recorded, Wanted};
pub use rotation::{SealedFor, SealedPage, SealedPlace, SealedValue, SealedVersions};
pub use settlements::{Attested, Progress};
pub use spends::{Spend, account};
pub use used::{FileUse, Quoted, Used};
pub use waits::{Announcement, MAX_WAITING, MAX_WAITING_OF_WALLET, StandingVeto};
pub use wallets::{HotWallet, RegisteredWallet, Registration};
pub use writer::{FILE, Store};
