//! Watches the chain's nodes, and whether wallets can be on it.

use std::{sync::Arc, time::Duration};

use chain::ClientError;
use jiff::Timestamp;

use crate::app::App;

/// How often the node is asked while it answers.
const POLL: Duration = Duration::from_secs(10);
/// How often while it does not.
const IMPATIENT: Duration = Duration::from_secs(2);

/// Says how the node is; for ever.
pub(crate) async fn watch_node(app: Arc<App>) {
    loop {
        let seen = look(&app).await;
        app.metrics.nodes(&app.client.nodes(), Timestamp::now());
        let wait = match seen {
            Ok(()) => {
                app.health.node(None);
                POLL
            }
            Err(error) => {
                app.health.node(Some(error.to_string()));
                IMPATIENT
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn look(app: &App) -> Result<(), ClientError> {
    app.client.verify_chain().await?;
    app.client.verify_contracts(None).await
}
