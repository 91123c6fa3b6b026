//! Why a step did not get to its end, and how long it is before it is taken again.

use std::time::Duration;

use chain::{ChainError, Claim, ClientError};
use jiff::Timestamp;

use crate::{
    domain::PaymentId,
    signers::{Away, Refused},
    store::StoreError,
};

/// See the module.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Away(#[from] Away),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Build(#[from] ChainError),
    #[error("{claimed} must be used up by the cancel, but {refused}; asked again until it is signed")]
    CancelRefused { claimed: String, refused: Refused },
    #[error("{refused}; the payment goes on once App's node or the sentinel's attestations catch up")]
    NotNext { refused: Refused },
    #[error("a signer delays this payment; its time lock is not known yet")]
    HeldUp,
    #[error("large payments wait for the signers' time locks, this one until {not_before}")]
    TimeLock { not_before: Timestamp },
    #[error("{claimed} is used; waiting for the node to say by what")]
    Untold { claimed: String },
    #[error("the wallet has to use {first} first")]
    Early { first: Claim },
    #[error("payment {earlier} goes first: the block in which it took place has vanished")]
    Vanished { earlier: PaymentId },
    #[error("transaction {tx} is in a block, and the node does not show yet what it did")]
    Unseen { tx: String },
    #[error("the wallet's contract is sent, and not on the chain yet")]
    NotCreated,
    #[error("{message}; it is cancelled if that is still so once block {block} is final")]
    WouldRevert { message: String, block: u64 },
    #[error(
        "{claimed} must be used up by the cancel, and no safe destination of the manifest takes an empty call: {refusals}"
    )]
    NoCancel { claimed: String, refusals: String },
    #[error("{0}")]
    Wait(String),
}

impl Trouble {
    /// Whether it is one; a time lock is the signers' rule.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self, Self::HeldUp | Self::TimeLock { .. })
    }

    /// Whether nothing changes before the chain has another block.
    pub(crate) fn awaits_block(&self) -> bool {
        match self {
            Self::Client(ClientError::Pending(_))
            | Self::Untold { .. }
            | Self::Early { .. }
            | Self::Vanished { .. } => true,
            Self::Unseen { .. } | Self::NotCreated | Self::WouldRevert { .. } | Self::NoCancel { .. } => true,
            Self::Away(_) | Self::Client(_) | Self::Store(_) | Self::Build(_) | Self::Wait(_) => false,
            Self::CancelRefused { .. } | Self::NotNext { .. } | Self::HeldUp | Self::TimeLock { .. } => false,
        }
    }

    /// How long to wait after `failures` in a row: as the schedule says, but no longer than the time lock. A time that
    /// has passed by App's clock and not by the signer's is waited for as the schedule says.
    pub(crate) fn pause(&self, failures: u32, now: Timestamp) -> Duration {
        let delay = backoff::delay(failures);
        let Self::TimeLock { not_before } = self else { return delay };
        match Duration::try_from(not_before.duration_since(now)) {
            Ok(left) if !left.is_zero() => delay.min(left),
            _ => delay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_lock_is_waited_for_by_the_schedule_and_not_beyond_its_end() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let locked = Trouble::TimeLock { not_before: at(100_000) };
        let pause = |failures, now| locked.pause(failures, at(now)).as_millis();
        assert_eq!(pause(1, 0), 250);
        assert_eq!(pause(99, 0), 15_000);
        assert_eq!(pause(99, 99_999), 1);
        // Never without a pause: the signer's clock may be behind.
        assert_eq!(pause(1, 100_000), 250);
        assert_eq!(pause(99, 1_000_000), 15_000);
        assert_eq!(Trouble::Wait(String::new()).pause(2, at(0)).as_millis(), 500);
    }
}
