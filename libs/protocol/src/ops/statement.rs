//! What is attested.

use prost::Message;

/// A statement that outlives its envelope: exact bytes and a party's signature over them ([`crate::attestation`]).
#[derive(Clone, PartialEq, Message)]
pub struct Attestation {
    /// Encoded [`HotKeys`], [`WalletRecord`], [`AuditHead`] or [`PaymentIntent`].
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    /// ed25519 public key of the signer, 32 bytes; believed only where the member trust names it.
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

/// Head of a signer's audit chain.
#[derive(Clone, PartialEq, Message)]
pub struct AuditHead {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub custody_id: Vec<u8>,
    /// [`custody::Role`] of the signer.
    #[prost(string, tag = "2")]
    pub role: String,
    /// Records in the chain.
    #[prost(uint64, tag = "3")]
    pub count: u64,
    /// Hash of the last record, 32 bytes; zeros for an empty chain.
    #[prost(bytes = "vec", tag = "4")]
    pub hash: Vec<u8>,
    /// When it was stated, Unix milliseconds of the signer's clock.
    #[prost(uint64, tag = "5")]
    pub at_ms: u64,
    /// How often the data centre's admin has accepted a chain that others knew better: after that a shorter one is
    /// newer.
    #[prost(uint64, tag = "6")]
    pub overrides: u64,
    /// Which start of the signer states it: each takes the next number before it asks to be vouched for. 0: none does,
    /// since the start is not vouched for yet, or a build before epochs made it.
    #[prost(uint64, tag = "7")]
    pub epoch: u64,
    /// 16 random bytes of that start: two copies of one volume that take the same epoch differ in it. Empty with epoch 0.
    #[prost(bytes = "vec", tag = "8")]
    pub instance: Vec<u8>,
}

/// What somebody other than App wants paid: signed with a key that App does not hold.
#[derive(Clone, PartialEq, Message)]
pub struct PaymentIntent {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub custody_id: Vec<u8>,
    /// 16 random bytes: an intent is good for one transaction.
    #[prost(bytes = "vec", tag = "2")]
    pub id: Vec<u8>,
    /// [`custody::WalletId`].
    #[prost(string, tag = "3")]
    pub wallet: String,
    /// CAIP-2 chain id.
    #[prost(string, tag = "4")]
    pub chain: String,
    /// Symbol of the asset.
    #[prost(string, tag = "5")]
    pub asset: String,
    /// Destination in the chain's display form.
    #[prost(string, tag = "6")]
    pub to: String,
    /// Decimal, in the asset's smallest unit.
    #[prost(string, tag = "7")]
    pub amount: String,
    /// Worthless after, Unix milliseconds.
    #[prost(uint64, tag = "8")]
    pub expires_at_ms: u64,
}
