//! How far a payment is: the names are stored, and the API shows those of [`Status`].

/// What users see of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Requested,
    Checking,
    Waiting,
    Signing,
    Broadcast,
    Confirmed,
    Refused,
    Failed,
    Cancelled,
}

impl Status {
    pub(crate) const ALL: [Status; 9] = [
        Status::Requested,
        Status::Checking,
        Status::Waiting,
        Status::Signing,
        Status::Broadcast,
        Status::Confirmed,
        Status::Refused,
        Status::Failed,
        Status::Cancelled,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Requested => "requested",
            Status::Checking => "checking",
            Status::Waiting => "waiting",
            Status::Signing => "signing",
            Status::Broadcast => "broadcast",
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
    /// Nothing can happen to it any more.
    Done,
}

impl Stage {
    pub(crate) const ALL: [Stage; 8] = [
        Stage::Prepare,
        Stage::Check,
        Stage::Wait,
        Stage::Deploy,
        Stage::Sign,
        Stage::Send,
        Stage::Cancel,
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
