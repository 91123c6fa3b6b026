//! Waits for what was handed to the relayer. What a node does not take now is not failed.

use std::{cell::RefCell, time::Duration};

use chain::{ClientError, Stuck, execute::Lost};

use super::course::Miss;

/// How long one question waits.
pub(super) const WAIT: Duration = Duration::from_secs(5);

/// What of the relayer's is stuck, so that nothing behind it can be mined either: shared by all that is under way.
#[derive(Debug, Default)]
pub(super) struct Jam(RefCell<Option<String>>);

impl Jam {
    /// Why nothing more can be mined in this run.
    pub(super) fn why(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Whether to wait on after this error; otherwise why not.
    pub(super) async fn wait(&self, error: ClientError, failures: &mut u32) -> Result<(), String> {
        match &error {
            ClientError::Pending(_) => self.why().map_or(Ok(()), Err),
            // Given up by the relayer after some tries, or taken after all.
            ClientError::Stuck { why, .. } if matches!(**why, Stuck::Refused(_)) => {
                *failures += 1;
                tokio::time::sleep(backoff::delay(*failures)).await;
                self.why().map_or(Ok(()), Err)
            }
            ClientError::Stuck { .. } => {
                let why = advised(error);
                self.0.replace(Some(why.clone()));
                Err(why)
            }
            _ => Err(advised(error)),
        }
    }
}

/// In words that say what to do.
pub(super) fn advised(error: ClientError) -> String {
    let dear = matches!(error, ClientError::Stuck { .. } | ClientError::OverPrice { .. });
    let error = anyhow::Error::from(error);
    match dear {
        true => format!("{:#}", error.context("run this again with a higher --max-fee, or when fees have fallen")),
        false => format!("{error:#}"),
    }
}

/// Why what was sent did not take place. Where only its own place was taken, company is no reason.
pub(super) fn missed(lost: &Lost) -> Miss {
    match lost {
        Lost::Replaced { .. } => Miss::new("another program uses the gas key; use a key that nothing else uses", false),
        Lost::Rejected(message) => Miss::new(format!("the node rejects the transaction: {message}"), true),
    }
}
