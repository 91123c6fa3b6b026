//! The wait of a large payment between its announcement and its signature.

use protocol::ops::{Outcome, Pending};

use crate::store::Watermark;

/// When a payment can be signed, as [`policy::Verdict::Pending`] says.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub(super) not_before_ms: u64,
    pub(super) lapses_at_ms: u64,
}

impl Wait {
    /// Why it is announced anew, as App and the audit chain are told; empty: it was not announced before.
    pub(super) fn why_anew(self) -> &'static str {
        if self.not_before_ms == 0 && self.lapses_at_ms != 0 { "AnnouncementLapsed" } else { "" }
    }

    /// The answer.
    pub(super) fn pending(self, mark: &Watermark) -> Outcome {
        let (digest, reason) = (mark.id.to_vec(), self.why_anew().to_owned());
        Outcome::Pending(Pending { digest, not_before_ms: self.not_before_ms, reason })
    }
}
