//! Messages between App, Keeper and Cooler over a broker that is trusted with nothing: sign, then seal.

pub mod attestation;
pub mod batch;
pub mod envelope;
pub mod exact;
pub mod ops;
mod pae;
mod payment_id;
pub mod subject;
pub mod vouching;

pub use payment_id::payment_id;
