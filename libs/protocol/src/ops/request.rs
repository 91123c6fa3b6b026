//! What is asked for.

use std::fmt;

use prost::{Message, Oneof};

use super::{records::ReadRecords, settlement::Settlement, statement::Attestation};

/// Longest operation id: 16 random bytes.
pub const OPERATION_ID_BYTES: usize = 16;
/// Length of a payment id: SHA-256.
pub const PAYMENT_ID_BYTES: usize = 32;

/// What a request asks for.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// 16 random bytes chosen by the asker, the same in every retry: the durable key of the operation.
    #[prost(bytes = "vec", tag = "1")]
    pub operation_id: Vec<u8>,
    /// The operation.
    #[prost(oneof = "Operation", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")]
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
    /// Both signers, from App, in a lane of its own: what have you recorded of my requests? Nothing is stored.
    #[prost(message, tag = "12")]
    Records(ReadRecords),
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
    /// Keeper's [`Attestation`] of a [`super::HotKeys`].
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
    /// Hot's signatures, one per payload of the transaction, which Cooler verifies before it signs. None in every
    /// request to Keeper, in `Check` and in `Announce`.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub hot_signatures: Vec<Vec<u8>>,
    /// [`Attestation`] of a [`super::PaymentIntent`], where the local policy asks for one.
    #[prost(message, optional, tag = "5")]
    pub intent: Option<Attestation>,
    /// To Keeper where its member trust says ClientKey: as in [`CreateWallet`]. Else empty. Secret.
    #[prost(bytes = "vec", tag = "6")]
    pub client_key: Vec<u8>,
    /// Which payment this is, [`PAYMENT_ID_BYTES`] ([`crate::payment_id`]): the same in every transaction that is tried
    /// for it. A signer signs another transaction under it only once the earlier ones can't happen any more. Empty in a
    /// cancel, and from an App that keeps no such ids.
    #[prost(bytes = "vec", tag = "7")]
    pub payment_id: Vec<u8>,
    /// [`custody::WalletId`] of the wallet that is to be paid, where the payer named a wallet and no address; else
    /// empty. The signer refuses unless every transfer goes to that wallet's address by its own registry. Whether a
    /// payment is to a wallet of the custody does not depend on it: that the signer finds out by itself.
    #[prost(string, tag = "8")]
    pub to_wallet: String,
    /// In `Sign` to Cooler: the head that came with hot's signatures ([`super::Signed::head`]), by which Cooler knows that
    /// the Keeper that made them is the present one. Not part of what the operation id stands for: a later head may come
    /// with the same operation. Absent from an App of the version before.
    #[prost(message, optional, tag = "9")]
    pub hot_head: Option<Attestation>,
}

// Client keys are secret: they are never printed.
impl fmt::Debug for CreateWallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateWallet").field("wallet", &self.wallet).finish_non_exhaustive()
    }
}

impl fmt::Debug for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wallet, chain, unsigned, hot_signatures, intent, client_key: _, payment_id, to_wallet, hot_head } =
            self;
        f.debug_struct("Payment")
            .field("wallet", wallet)
            .field("chain", chain)
            .field("unsigned", unsigned)
            .field("hot_signatures", hot_signatures)
            .field("intent", intent)
            .field("payment_id", payment_id)
            .field("to_wallet", to_wallet)
            .field("hot_head", hot_head)
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
    /// [`Attestation`] of an [`super::AuditHead`] by the asking signer.
    #[prost(message, optional, tag = "1")]
    pub head: Option<Attestation>,
    /// The asking signer's start is not vouched for yet: the head names no epoch and is not kept. A chain that was rolled
    /// back grows while it is locked, and would else put itself in the place of the one that it was rolled back from.
    #[prost(bool, tag = "2")]
    pub locked: bool,
    /// Hash of the head that the asked party held, as far as the asking signer knows, 32 bytes: this signer's chain goes on
    /// from there, or its admin has accepted it instead. Only then is the new head kept ([`crate::vouching`]). Empty: none.
    #[prost(bytes = "vec", tag = "3")]
    pub after: Vec<u8>,
}

/// What the sentinel has seen on chains.
#[derive(Clone, PartialEq, Message)]
pub struct Settle {
    /// At most [`MAX_BATCH_ITEMS`], in order: each is judged after those before it.
    #[prost(message, repeated, tag = "1")]
    pub settlements: Vec<Settlement>,
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
