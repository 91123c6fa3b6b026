//! What a signer did, for whom and why, as a chain of records in which each commits to the one before: what was removed,
//! changed, inserted or reordered later shows, and what only one of the two signers signed shows when their chains are
//! laid side by side. Pure: the clock is passed in, and reading and writing are the caller's.

mod attested;
mod compare;
mod export;
mod record;
mod verify;

pub use attested::{Unattested, attested};
pub use compare::{Comparison, Signature, compare};
pub use export::{
    AuditError, Export, FORMAT, HeadAttestation, Header, Line, MAX_LINE_BYTES, Reader, VERSION, read, read_header,
    write,
};
pub use record::{Decision, EVACUATION_SIGN, Entry, Head, MAX_FIELD_BYTES, Record, SIGN, hash, next};
pub use verify::{Broken, Verified, fork, verify};
