//! A payment and how far it is.

use jiff::Timestamp;

use super::{
    caller::CallerName,
    order::{IdempotencyKey, Order, PaymentId},
    progress::{Stage, Status},
    seed::Seed,
};

/// A payment that is asked for, validated and not stored yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewPayment {
    pub(crate) id: PaymentId,
    /// Whose the idempotency key is.
    pub(crate) caller: CallerName,
    pub(crate) idempotency_key: IdempotencyKey,
    pub(crate) order: Order,
    pub(crate) seed: Seed,
}

/// A payment and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) order: Order,
    pub(crate) status: Status,
    pub(crate) stage: Stage,
    /// While it waits: when the later of the signers' time locks has passed.
    pub(crate) not_before: Option<Timestamp>,
    /// Why it ended, or will end, without being paid: CamelCase.
    pub(crate) reason: Option<String>,
    /// The reason in words.
    pub(crate) message: Option<String>,
    /// What is being waited for, in words.
    pub(crate) trouble: Option<String>,
    /// The chain transaction that paid.
    pub(crate) tx: Option<String>,
    /// Operation ids are derived from it; renewed only when nothing may be signed under the old ones.
    pub(crate) seed: Seed,
    /// How it ends once its claims are used up; absent in [`Stage::Cancel`] means: it starts again with other claims.
    pub(crate) ending: Option<Status>,
    pub(crate) cancel_attempts: u32,
    /// How often it was mined and reverted although its simulation passed.
    pub(crate) reverts: u32,
}
