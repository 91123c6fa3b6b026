//! Evacuation of wallets with two of their owners, as a rule cool and cold. Pure: the node is read and written by the online CLI.
//!
//! export (a signer's wallet records) -> plan (unsigned) -> cool signs -> cold signs -> calls to broadcast. Each
//! station recomputes everything from the manifest and the very bytes to be signed: addresses from hot, cool and cold
//! keys, destination and amount from the decoder, what is signed from both. A plan is a bundle without signatures; the
//! stations may sign in either order, and the broadcaster checks as they do.
//!
//! A plan of version 2 ([`stream`]) holds ladders ([`Ladder`]) in the place of steps, and is read a chunk at a time.

mod bundle;
mod destination;
mod document;
mod error;
mod export;
mod export_reader;
mod export_writer;
mod ladder;
mod plan;
mod roster;
mod states;
mod step;
pub mod stream;
mod verify;
mod wallet;

pub use bundle::Bundle;
pub use document::VERSION;
pub use error::EvacuationError;
pub use export::{AuditHead, EXPORT_VERSION, ExportedAsset, ExportedPayment, ExportedWallet, WalletsExport};
pub use export_reader::ExportHeader;
pub use export_writer::ExportWriter;
pub use ladder::{Holding, Ladder, LadderError, MAX_ASSETS, MAX_NONCES, MAX_OUTSTANDING, Outstanding, Rung};
pub use plan::{Balance, ChainState, plan};
pub use roster::{Difference, Known, Merged, Roster, RosterError, Sources};
pub use states::{NoNonce, States};
pub use step::Step;
pub use verify::{VerifiedBundle, VerifiedStep};
