//! What is wrong with values that were handed in.

use crate::{ChainId, KeyRole};

/// What is wrong with keys, addresses or chain ids that were handed in.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ChainError {
    /// Not CAIP-2.
    #[error("'{0}' is not a chain id; expected CAIP-2, for example eip155:1")]
    ChainId(String),
    /// Of a family that this build has no adapter for.
    #[error("no adapter of this build knows chain {0}; use a build that has one, or take the chain out")]
    NoAdapter(ChainId),
    /// A public key is malformed.
    #[error("the {role} public key is malformed: expected {expected}")]
    PublicKey {
        /// Whose key.
        role: KeyRole,
        /// The encoding asked for.
        expected: &'static str,
    },
    /// The manifest has no key for this family of chains.
    #[error("the manifest has no {role} key for chain namespace '{namespace}'; this custody can't use that chain")]
    NoKey {
        /// Whose key.
        role: KeyRole,
        /// CAIP-2 namespace.
        namespace: String,
    },
    /// An amount is malformed.
    #[error("'{0}' is not an amount; expected a whole number of the smallest unit, without leading zeros, below 2^256")]
    Amount(String),
    /// A claim is malformed.
    #[error("'{0}' names neither a nonce nor a coin; expected a whole number, or coin, 64 hex digits, ':' and a place")]
    Claim(String),
    /// Two owners are one: 2-of-3 would be 1-of-2.
    #[error("two owners of this wallet are the same key; a wallet needs three different ones")]
    SameOwner,
    /// An address is malformed.
    #[error("'{0}' is not an address of this chain")]
    Address(String),
    /// An address that its own checksum contradicts. The right checksum is not shown: a character may be mistyped, and
    /// then it would vouch for somebody else's address.
    #[error(
        "the checksum of the address '{0}' is wrong: a character is mistyped, or letters changed their case; copy it \
         from its source again"
    )]
    Checksum(String),
    /// An address in a spelling that carries no checksum and that the chain's own tools don't write.
    #[error("the address '{text}' is written without its checksum; compare it with {right}, and give that instead")]
    Spelling {
        /// As it was given.
        text: String,
        /// The same digits in the chain's display form.
        right: String,
    },
    /// A secret key is malformed.
    #[error("the secret key is malformed")]
    SecretKey,
    /// The unsigned bytes or signatures can't be put together.
    #[error("{0}")]
    Assemble(String),
}
