//! How far a payment is: the names are stored, and the API shows those of [`Status`].

/// What users see of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    /// Stored: it will be paid, or its end told.
    Accepted,
    /// For the signers' time locks.
    Waiting,
    /// Both signers and the chain would let it pass.
    Checked,
    /// Both owners' signatures are there.
    Signed,
    /// On its way to the chain.
    Broadcast,
    /// Its execution is in a block that a reorganisation may still take back.
    Included,
    /// Its execution is in a block that stays.
    Confirmed,
    Refused,
    Failed,
    Cancelled,
}

impl Status {
    pub(crate) const ALL: [Status; 10] = [
        Status::Accepted,
        Status::Waiting,
        Status::Checked,
        Status::Signed,
        Status::Broadcast,
        Status::Included,
        Status::Confirmed,
        Status::Refused,
        Status::Failed,
        Status::Cancelled,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Accepted => "accepted",
            Status::Waiting => "waiting",
            Status::Checked => "checked",
            Status::Signed => "signed",
            Status::Broadcast => "broadcast",
            Status::Included => "included",
            Status::Confirmed => "confirmed",
            Status::Refused => "refused",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// The status of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// The step that is taken next; all before it are done and on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Take what the wallet's next transaction may use up, and build the transaction.
    Prepare,
    /// Ask both signers and the chain whether it would go through.
    Check,
    /// Let the signers' time locks begin and pass.
    Wait,
    /// Create the wallet on the chain.
    Deploy,
    /// Hot, then cool.
    Sign,
    /// Simulate with both owners' signatures, send, follow.
    Send,
    /// Use up the claims by the cancel: something is signed with them that will not be sent.
    Cancel,
    /// What decides it is in a block: follow it until that block stays, or has vanished.
    Follow,
    /// Nothing is signed, and the wallet lacks the money: look until it is there, or the block that lacks it stays.
    Short,
    /// Nothing can happen to it any more.
    Done,
}

impl Stage {
    pub(crate) const ALL: [Stage; 10] = [
        Stage::Prepare,
        Stage::Check,
        Stage::Wait,
        Stage::Deploy,
        Stage::Sign,
        Stage::Send,
        Stage::Cancel,
        Stage::Follow,
        Stage::Short,
        Stage::Done,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Check => "check",
            Stage::Wait => "wait",
            Stage::Deploy => "deploy",
            Stage::Sign => "sign",
            Stage::Send => "send",
            Stage::Cancel => "cancel",
            Stage::Follow => "follow",
            Stage::Short => "short",
            Stage::Done => "done",
        }
    }

    /// The stage of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

/// Two transactions of a payment may use up the same claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Moves the money.
    Payment,
    /// Moves nothing and uses the claims up.
    Cancel,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Payment => "payment",
            Kind::Cancel => "cancel",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_what_it_names() {
        for status in Status::ALL {
            assert_eq!(Status::named(status.as_str()), Some(status));
        }
        for stage in Stage::ALL {
            assert_eq!(Stage::named(stage.as_str()), Some(stage));
        }
        assert_eq!((Status::named("paid"), Stage::named("paid")), (None, None));
    }
}
