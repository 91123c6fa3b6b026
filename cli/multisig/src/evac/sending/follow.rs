//! What became of what was handed to the relayer.

use std::time::Duration;

use chain::execute::Lost;

use super::course::Miss;

/// How long one question waits.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// Why what was sent did not take place. Where only its own place was taken, company is no reason.
pub(super) fn missed(lost: &Lost) -> Miss {
    match lost {
        Lost::Replaced { .. } => Miss::new("another program uses the gas key; use a key that nothing else uses", false),
        Lost::Rejected(message) => Miss::new(format!("the node rejects the transaction: {message}"), true),
    }
}
