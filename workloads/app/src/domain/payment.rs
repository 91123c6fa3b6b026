//! A payment and how far it is.

use chain::Amount;
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
    /// The chain transaction in which it took place.
    pub(crate) tx: Option<String>,
    /// Number of the block that decides it, or speaks against it.
    pub(crate) block: Option<u64>,
    /// What reached the destination, where that is less than the amount: such are the rules of the token.
    pub(crate) moved: Option<Amount>,
    /// Operation ids are derived from it; renewed only when nothing may be signed under the old ones.
    pub(crate) seed: Seed,
    /// How it ends once its claims are used up; absent in [`Stage::Cancel`] means: it starts again with other claims.
    pub(crate) ending: Option<Status>,
    pub(crate) cancel_attempts: u32,
    /// In [`Stage::Follow`]: where it goes on should the block that decides it vanish.
    pub(crate) back: Option<Stage>,
    /// How often it was mined and reverted although its simulation passed.
    pub(crate) reverts: u32,
}

/// A change of a payment, as its history has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) at: Timestamp,
    pub(crate) status: Status,
    /// Why it was not, or would not be, paid: CamelCase.
    pub(crate) reason: Option<String>,
    /// The chain transaction in which it took place.
    pub(crate) tx: Option<String>,
    /// Number of the block that decides it, or speaks against it.
    pub(crate) block: Option<u64>,
}

/// What a payment went through. Payments of databases that kept no times have none for what was before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// When it was asked for.
    pub(crate) created: Option<Timestamp>,
    /// When anything of it changed last.
    pub(crate) updated: Option<Timestamp>,
    /// Oldest first.
    pub(crate) changes: Vec<Change>,
}
