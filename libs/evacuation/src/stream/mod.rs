//! Documents of version 2: a plan of ladders and one signature file per owner, read and written a chunk at a time.
//!
//! Each begins with a line of text that names it and its version; protobuf messages follow, each after its length
//! (varint). A plan is a header and chunks of at most [`CHUNK_WALLETS`] wallets; there are no transactions and no digests
//! in it, for whoever signs or sends makes them anew from the manifest. A signature file has, for each chunk of the plan,
//! its SHA-256 and the signatures in the order of [`crate::Ladder::rungs`], 64 bytes each, and ends with the SHA-256 of
//! the whole plan. Wallets that an owner could not sign for are listed in the place of their signatures.

mod chunk;
mod compact;
mod cores;
mod draw;
mod error;
mod forecast;
mod frame;
mod header;
mod owners;
mod plan_reader;
mod plan_writer;
mod price;
mod rank;
mod signature_file;
mod summary;
mod wallet;
mod wire;

pub use chunk::{LadderStep, VerifiedChunk, VerifiedWallet};
pub use draw::{Draft, LeftOut, Request, Stays};
pub use error::StreamError;
pub use forecast::{Forecast, PARTS, Part, SHARE, forecast};
pub use header::{Block, MAX_PLAN_ASSETS, PlanHeader, PlannedAsset};
pub use owners::OwnerPair;
pub use plan_reader::{OpenedPlan, PlanReader, is_stream};
pub use price::Price;
pub use rank::Why;
pub use signature_file::{SignatureReader, SignatureWriter, SignedChunk};
pub use summary::{AssetSummary, LARGEST_SHOWN, Summary};
pub use wallet::PlannedWallet;

/// Version of the documents in here.
pub const STREAM_VERSION: u64 = 2;
/// Wallets in one chunk at most.
pub const CHUNK_WALLETS: usize = 1_000;
/// Transactions in one chunk at most: what a station holds at a time.
pub const CHUNK_STEPS: usize = 32_768;
