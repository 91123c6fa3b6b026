//! The signer's durable memory, in one SQLite file: a write is answered after its commit, which many share.

mod audit;
mod claims;
mod documents;
mod error;
mod evacuations;
mod freezes;
mod heads;
mod history;
mod keys;
mod ledger;
mod local_policies;
mod operations;
mod records;
mod rotation;
mod schema;
mod spends;
mod waits;
mod wallets;
mod writer;

pub use self::audit::Unwritten;
pub use claims::{Coin, Kind, Nonces, Settled, Watermark};
pub use documents::Document;
pub use error::StoreError;
pub use freezes::Frozen;
pub use heads::PeerHead;
pub use keys::{SealedIdentity, SealedKey};
pub use ledger::Ledger;
pub use operations::{OperationKey, Recall};
pub use records::{Asked, Earlier, Fate, Recorded, Wanted};
pub use rotation::{SealedFor, SealedPlace, SealedValue, SealedVersions};
pub use spends::{Spend, account};
pub use waits::Announcement;
pub use wallets::{HotWallet, RegisteredWallet, Registration};
pub use writer::{FILE, Store};
