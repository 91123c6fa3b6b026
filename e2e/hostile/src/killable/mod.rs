//! Both signers as processes that a suite ends whenever it likes, and whose files it reads behind their back: the
//! signers' own pipeline, store and Vault client, without broker and API server.

mod asking;
pub(crate) mod chain;
pub(crate) mod custody;
pub(crate) mod evidence;
pub(crate) mod process;
pub(crate) mod requests;
mod sentinel;
mod signer;
pub(crate) mod wire;

/// Whom legitimate requests pay.
pub(crate) const PAYEE: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
/// Whom the others pay.
pub(crate) const THIEF: &str = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";
