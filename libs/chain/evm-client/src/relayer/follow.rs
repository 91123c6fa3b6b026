//! Waiting for what becomes of a call.

use std::time::Duration;

use async_trait::async_trait;
use chain::{ClientError, Following, Outcome};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::lane::Standing;

/// A call under way.
pub(super) struct Follow(pub(super) watch::Receiver<Standing>);

#[async_trait]
impl Following for Follow {
    async fn outcome(&mut self, wait: Duration) -> Result<Outcome, ClientError> {
        let deadline = Instant::now() + wait;
        loop {
            let tx = match self.0.borrow_and_update().clone() {
                Standing::Done(outcome) => return Ok(outcome),
                Standing::Stuck(tx, why) => return Err(ClientError::Stuck { tx, why: Box::new(why) }),
                Standing::Sent(tx) => tx,
            };
            match timeout_at(deadline, self.0.changed()).await {
                Ok(Ok(())) => {}
                // In time nothing changed, or it was never sent.
                Ok(Err(_)) | Err(_) => return Err(ClientError::Pending(tx)),
            }
        }
    }
}
