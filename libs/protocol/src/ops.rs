//! The operations inside an envelope, as protobuf (proto3, derived by hand so that no compiler is needed to build).
//! A request's bytes name no destination or amount: those are decoded from the transaction itself.

use prost::{Message, Oneof};

/// Longest operation id: 16 random bytes.
pub const OPERATION_ID_BYTES: usize = 16;

/// What a request asks for.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// 16 random bytes chosen by the asker, the same in every retry: the durable key of the operation.
    #[prost(bytes = "vec", tag = "1")]
    pub operation_id: Vec<u8>,
    /// The operation.
    #[prost(oneof = "Operation", tags = "2, 3, 4, 5")]
    pub operation: Option<Operation>,
}

/// The operations.
#[derive(Clone, PartialEq, Oneof)]
pub enum Operation {
    /// Keeper: make a hot key for a user.
    #[prost(message, tag = "2")]
    CreateWallet(CreateWallet),
    /// Both signers: record a wallet, with Keeper's attestation of its hot keys.
    #[prost(message, tag = "3")]
    RegisterWallet(RegisterWallet),
    /// Both signers: would this be signed? Nothing is stored.
    #[prost(message, tag = "4")]
    Check(Payment),
    /// Both signers: sign.
    #[prost(message, tag = "5")]
    Sign(Payment),
}

/// Make a hot key: a mnemonic of its own per wallet.
#[derive(Clone, PartialEq, Message)]
pub struct CreateWallet {
    /// [`custody::WalletId`].
    #[prost(string, tag = "1")]
    pub wallet: String,
}

/// Record a wallet on the given chains.
#[derive(Clone, PartialEq, Message)]
pub struct RegisterWallet {
    /// Keeper's [`Attestation`] of a [`HotKeys`].
    #[prost(message, optional, tag = "1")]
    pub hot: Option<Attestation>,
    /// CAIP-2 chain ids.
    #[prost(string, repeated, tag = "2")]
    pub chains: Vec<String>,
    /// Salt of the addresses: empty for zero, else 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub salt: Vec<u8>,
}

/// A transaction to check or sign.
#[derive(Clone, PartialEq, Message)]
pub struct Payment {
    /// [`custody::WalletId`].
    #[prost(string, tag = "1")]
    pub wallet: String,
    /// CAIP-2 chain id.
    #[prost(string, tag = "2")]
    pub chain: String,
    /// The unsigned transaction in the chain's own encoding: the bytes that are decoded, judged and signed.
    #[prost(bytes = "vec", tag = "3")]
    pub unsigned: Vec<u8>,
    /// Hot's signature, which Cooler verifies before it signs. Empty in every request to Keeper and in `Check`.
    #[prost(bytes = "vec", tag = "4")]
    pub hot_signature: Vec<u8>,
}

/// What a signer answers.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// The outcome.
    #[prost(oneof = "Outcome", tags = "1, 2, 3, 4, 5, 6")]
    pub outcome: Option<Outcome>,
}

/// The outcomes.
#[derive(Clone, PartialEq, Oneof)]
pub enum Outcome {
    /// To `CreateWallet`: Keeper's attestation of a [`HotKeys`].
    #[prost(message, tag = "1")]
    Created(Attestation),
    /// To `RegisterWallet`: this signer's attestation of a [`WalletRecord`].
    #[prost(message, tag = "2")]
    Registered(Attestation),
    /// To `Check`: it would be signed now.
    #[prost(message, tag = "3")]
    Allowed(Allowed),
    /// To `Sign`.
    #[prost(message, tag = "4")]
    Signed(Signed),
    /// Refused for good: the same request gets the same answer. Never stored for `Check`.
    #[prost(message, tag = "5")]
    Refused(Refused),
    /// Not now (Vault away, queue full): the same operation id may be sent again.
    #[prost(message, tag = "6")]
    Unavailable(Refused),
}

/// `Check` passed.
#[derive(Clone, PartialEq, Message)]
pub struct Allowed {
    /// The digest that `Sign` would sign, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub digest: Vec<u8>,
}

/// A signature.
#[derive(Clone, PartialEq, Message)]
pub struct Signed {
    /// The digest signed, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub digest: Vec<u8>,
    /// The chain's encoding (EVM: 65 bytes r, s, v).
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
}

/// Why not.
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// CamelCase, stable.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// One line for people.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// A statement that outlives its envelope: exact bytes and a party's signature over them ([`crate::attestation`]).
#[derive(Clone, PartialEq, Message)]
pub struct Attestation {
    /// Encoded [`HotKeys`] or [`WalletRecord`].
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    /// ed25519 public key of the signer, 32 bytes; believed only where the trust bundle names it.
    #[prost(bytes = "vec", tag = "2")]
    pub signer: Vec<u8>,
    /// 64 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub signature: Vec<u8>,
}

/// A user's hot public keys, attested by Keeper.
#[derive(Clone, PartialEq, Message)]
pub struct HotKeys {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub custody_id: Vec<u8>,
    /// [`custody::WalletId`].
    #[prost(string, tag = "2")]
    pub wallet: String,
    /// By chain namespace.
    #[prost(message, repeated, tag = "3")]
    pub keys: Vec<NamespaceKey>,
}

/// A public key for a family of chains.
#[derive(Clone, PartialEq, Message)]
pub struct NamespaceKey {
    /// CAIP-2 namespace, `eip155`.
    #[prost(string, tag = "1")]
    pub namespace: String,
    /// The family's encoding (33-byte SEC1).
    #[prost(bytes = "vec", tag = "2")]
    pub public_key: Vec<u8>,
}

/// A wallet as a signer recorded it: the addresses it computed itself.
#[derive(Clone, PartialEq, Message)]
pub struct WalletRecord {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub custody_id: Vec<u8>,
    /// [`custody::WalletId`].
    #[prost(string, tag = "2")]
    pub wallet: String,
    /// The hot public keys it was computed from.
    #[prost(message, repeated, tag = "3")]
    pub keys: Vec<NamespaceKey>,
    /// 32 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub salt: Vec<u8>,
    /// Addresses by chain.
    #[prost(message, repeated, tag = "5")]
    pub addresses: Vec<ChainAddress>,
    /// SHA-256 of the manifest's payload, 32 bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub manifest_digest: Vec<u8>,
}

/// An address on a chain.
#[derive(Clone, PartialEq, Message)]
pub struct ChainAddress {
    /// CAIP-2 chain id.
    #[prost(string, tag = "1")]
    pub chain: String,
    /// Display form.
    #[prost(string, tag = "2")]
    pub address: String,
}
