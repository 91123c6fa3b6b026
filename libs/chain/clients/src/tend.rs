//! Looking after what relayers have sent, block by block.

use std::time::Duration;

use chain::{Account, ChainClient, ClientError, Head};
use tokio::time::timeout;

/// Where no block comes, what was sent is looked after this often all the same: a chain that makes blocks on demand makes
/// none for what it has not got.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was sent is looked after with each block; begins with the newest.
#[derive(Debug, Default)]
pub struct Tending(Option<Head>);

impl Tending {
    /// Waits for a block and looks after all that was sent. After an error it does not wait: meanwhile the chain may
    /// have gone to a newer block and back.
    pub async fn next(&mut self, client: &dyn ChainClient) -> Result<Vec<Account>, ClientError> {
        let known = self.0.take();
        let head = match (timeout(PATIENCE, client.head(known.as_ref())).await, known) {
            (Ok(head), _) => head?,
            (Err(_), Some(known)) => known,
            (Err(_), None) => client.head(None).await?,
        };
        let accounts = client.tend(&head).await?;
        self.0 = Some(head);
        Ok(accounts)
    }
}
