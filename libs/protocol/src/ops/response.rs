//! What is answered.

use prost::{Message, Oneof};

use super::{records::Records, statement::Attestation};

/// What a signer answers.
#[derive(Clone, PartialEq, Message)]
pub struct Response {
    /// The outcome.
    #[prost(oneof = "Outcome", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    pub outcome: Option<Outcome>,
}

/// The outcomes.
#[derive(Clone, PartialEq, Oneof)]
pub enum Outcome {
    /// To `CreateWallet`: Keeper's attestation of a [`super::HotKeys`].
    #[prost(message, tag = "1")]
    Created(Attestation),
    /// To `RegisterWallet`: this signer's attestation of a [`super::WalletRecord`].
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
    /// To `Records`.
    #[prost(message, tag = "11")]
    Records(Records),
}

/// A payment that waits.
#[derive(Clone, PartialEq, Message)]
pub struct Pending {
    /// Id of the transaction that `Sign` would sign, 32 bytes (EVM: the digest).
    #[prost(bytes = "vec", tag = "1")]
    pub digest: Vec<u8>,
    /// When it may be signed, Unix milliseconds; 0: its time lock has not begun, announce it.
    #[prost(uint64, tag = "2")]
    pub not_before_ms: u64,
    /// Why it waits anew, CamelCase and stable: `AnnouncementLapsed`; empty: it waits as announced.
    #[prost(string, tag = "3")]
    pub reason: String,
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
    /// The asking signer's own [`Attestation`] of an [`super::AuditHead`]; absent: none is held.
    #[prost(message, optional, tag = "1")]
    pub head: Option<Attestation>,
}

/// `Check` passed.
#[derive(Clone, PartialEq, Message)]
pub struct Allowed {
    /// Id of the transaction that `Sign` would sign, 32 bytes (EVM: the digest).
    #[prost(bytes = "vec", tag = "1")]
    pub digest: Vec<u8>,
}

/// The signatures of one owner.
#[derive(Clone, PartialEq, Message)]
pub struct Signed {
    /// The transaction's id, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub digest: Vec<u8>,
    /// One per payload of the transaction, in their order and the chain's encoding (EVM: one of 65 bytes r, s, v).
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub signatures: Vec<Vec<u8>>,
    /// The signer's [`Attestation`] of an [`super::AuditHead`] whose chain holds them.
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
