//! The operations inside an envelope, as protobuf (proto3, derived by hand so that no compiler is needed to build).
//! A request's bytes name no destination or amount: those are decoded from the transaction itself.

use std::fmt;

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
    #[prost(oneof = "Operation", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
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
    /// Both signers: this will be asked for; begin its time lock. Stored, not signed.
    #[prost(message, tag = "6")]
    Announce(Payment),
    /// Both signers: several requests under one signature, answered one by one.
    #[prost(message, tag = "7")]
    Batch(Batch),
    /// Both signers, from App, the other signer or the sentinel: serve a wallet, or nothing, any more.
    #[prost(message, tag = "8")]
    Freeze(Freeze),
    /// Between signers, and to the sentinel: my newest audit head; which one of mine did you hold?
    #[prost(message, tag = "9")]
    EchoHead(EchoHead),
    /// Both signers, from the sentinel: what the chain has settled.
    #[prost(message, tag = "10")]
    Settle(Settle),
    /// Both signers, from the sentinel: signatures may be given until then.
    #[prost(message, tag = "11")]
    Lease(Lease),
}

/// Make a hot key: a mnemonic of its own per wallet.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
pub struct CreateWallet {
    /// [`custody::WalletId`].
    #[prost(string, tag = "1")]
    pub wallet: String,
    /// Where the member trust says ClientKey: the 32 random bytes that seal this wallet's keys, the same in every
    /// request for it. Else empty. Secret.
    #[prost(bytes = "vec", tag = "2")]
    pub client_key: Vec<u8>,
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

/// A transaction to check, announce or sign.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
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
    /// Hot's signature, which Cooler verifies before it signs. Empty in every request to Keeper, in `Check` and in
    /// `Announce`.
    #[prost(bytes = "vec", tag = "4")]
    pub hot_signature: Vec<u8>,
    /// [`Attestation`] of a [`PaymentIntent`], where the local policy asks for one.
    #[prost(message, optional, tag = "5")]
    pub intent: Option<Attestation>,
    /// To Keeper where its member trust says ClientKey: as in [`CreateWallet`]. Else empty. Secret.
    #[prost(bytes = "vec", tag = "6")]
    pub client_key: Vec<u8>,
}

// Client keys are secret: they are never printed.
impl fmt::Debug for CreateWallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateWallet").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

impl fmt::Debug for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wallet, chain, unsigned, hot_signature, intent, client_key: _ } = self;
        f.debug_struct("Payment")
            .field("wallet", wallet)
            .field("chain", chain)
            .field("unsigned", unsigned)
            .field("hot_signature", hot_signature)
            .field("intent", intent)
            .finish_non_exhaustive()
    }
}

/// Most items of a [`Batch`].
pub const MAX_BATCH_ITEMS: usize = 500;
/// Largest encoded [`Batch`], bytes.
pub const MAX_BATCH_BYTES: usize = 512 * 1024;

/// Requests of App under one signature. Each has an operation id and a digest of its own, so that it may be asked again
/// alone or in another batch; none is a batch itself ([`crate::batch`]).
#[derive(Clone, PartialEq, Message)]
pub struct Batch {
    /// At least one, at most [`MAX_BATCH_ITEMS`], together at most [`MAX_BATCH_BYTES`].
    #[prost(message, repeated, tag = "1")]
    pub requests: Vec<Request>,
}

/// Stops service. Only the data centre's admin thaws.
#[derive(Clone, PartialEq, Message)]
pub struct Freeze {
    /// [`custody::WalletId`], or empty: everything.
    #[prost(string, tag = "1")]
    pub wallet: String,
    /// One line for people, at most 300 bytes.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// A signer shows its newest audit head. The answer is bound to this request's digest, so an old one can't be replayed.
#[derive(Clone, PartialEq, Message)]
pub struct EchoHead {
    /// [`Attestation`] of an [`AuditHead`] by the asking signer.
    #[prost(message, optional, tag = "1")]
    pub head: Option<Attestation>,
    /// The asking signer's start is not vouched for yet: the head is not kept. A chain that was rolled back grows while
    /// it is locked, and would else put itself in the place of the one that it was rolled back from.
    #[prost(bool, tag = "2")]
    pub locked: bool,
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
}

/// What the sentinel has seen on chains.
#[derive(Clone, PartialEq, Message)]
pub struct Settle {
    /// At most [`MAX_BATCH_ITEMS`].
    #[prost(message, repeated, tag = "1")]
    pub settlements: Vec<Settlement>,
}

/// A nonce that is used up for good.
#[derive(Clone, PartialEq, Message)]
pub struct Settlement {
    /// [`custody::WalletId`].
    #[prost(string, tag = "1")]
    pub wallet: String,
    /// CAIP-2 chain id.
    #[prost(string, tag = "2")]
    pub chain: String,
    /// The nonce.
    #[prost(uint64, tag = "3")]
    pub nonce: u64,
    /// The digest that used it, 32 bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub digest: Vec<u8>,
}

/// The sentinel is awake and sees nothing wrong.
#[derive(Clone, PartialEq, Message)]
pub struct Lease {
    /// Signatures may be given until then, Unix milliseconds; at most [`MAX_LEASE_MS`] ahead.
    #[prost(uint64, tag = "1")]
    pub until_ms: u64,
}

/// Longest lease, milliseconds.
pub const MAX_LEASE_MS: u64 = 10 * 60 * 1000;

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

/// What a signer answers.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// The outcome.
    #[prost(oneof = "Outcome", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
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
    /// To `Check`, `Announce` and `Sign`: it waits for its time lock. Never stored as a result: ask again then.
    #[prost(message, tag = "7")]
    Pending(Pending),
    /// To `Batch`.
    #[prost(message, tag = "8")]
    Batch(Responses),
    /// To `Freeze`, `Settle` and `Lease`: it is so.
    #[prost(message, tag = "9")]
    Done(Done),
    /// To `EchoHead`.
    #[prost(message, tag = "10")]
    Held(Held),
}

/// A payment that waits.
#[derive(Clone, PartialEq, Message)]
pub struct Pending {
    /// The digest that `Sign` would sign, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub digest: Vec<u8>,
    /// When it may be signed, Unix milliseconds; 0: its time lock has not begun, announce it.
    #[prost(uint64, tag = "2")]
    pub not_before_ms: u64,
}

/// One answer per request of the batch, in its order.
#[derive(Clone, PartialEq, Message)]
pub struct Responses {
    /// See there.
    #[prost(message, repeated, tag = "1")]
    pub responses: Vec<Response>,
}

/// Done.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Done {}

/// The newest head that was held before this question.
#[derive(Clone, PartialEq, Message)]
pub struct Held {
    /// The asking signer's own [`Attestation`] of an [`AuditHead`]; absent: none is held.
    #[prost(message, optional, tag = "1")]
    pub head: Option<Attestation>,
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
    /// The signer's [`Attestation`] of an [`AuditHead`] whose chain holds this signature.
    #[prost(message, optional, tag = "3")]
    pub head: Option<Attestation>,
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
