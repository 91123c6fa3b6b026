//! Evacuation of wallets with cool and cold. Pure: the node is read and written by the online CLI.
//!
//! export (a signer's wallet records) -> plan (unsigned) -> cool signs -> cold signs -> calls to broadcast. Each
//! station recomputes everything from the manifest and the very bytes to be signed: addresses from hot, cool and cold
//! keys, destination and amount from the decoder, digests from both. A plan is a bundle without signatures; the
//! stations may sign in either order.

mod bundle;
mod error;
mod export;
mod hex;
mod plan;
mod signed;
mod verify;

pub use bundle::{Bundle, Step};
pub use error::EvacuationError;
pub use export::{ExportedWallet, WalletsExport};
pub use plan::{Balance, ChainState, plan};
pub use verify::{Calls, VerifiedBundle, VerifiedStep};

/// Version of the documents that this build reads and writes.
pub const VERSION: u32 = 1;
