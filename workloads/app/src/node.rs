//! Watches the chain's node and the relayer's float.

use std::{sync::Arc, time::Duration};

use crate::app::App;

/// How often the node is asked while it answers.
const POLL: Duration = Duration::from_secs(10);
/// How often while it does not.
const IMPATIENT: Duration = Duration::from_secs(2);

/// Says how the node is; for ever.
pub(crate) async fn watch(app: Arc<App>) {
    loop {
        let wait = match look(&app).await {
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

async fn look(app: &App) -> Result<(), chain_evm_client::ClientError> {
    app.rpc.expect_chain(app.chain.number).await?;
    let float = app.rpc.balance(app.relayer.address(), None).await?;
    // For a gauge: 53 bits are enough.
    app.metrics.float.set(f64::from(float) / 1e18);
    Ok(())
}
