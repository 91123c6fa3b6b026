//! At the start: payments go on where an earlier process stopped, and the chain is followed.

use std::sync::Arc;

use super::{follow::follow, pay::wake};
use crate::{app::App, store::StoreError};

/// One task for each wallet with something to pay, and one that follows the chain for all of them.
pub(crate) async fn resume(app: &Arc<App>) -> Result<(), StoreError> {
    for wallet in app.store.busy_wallets().await? {
        wake(app, wallet);
    }
    tokio::spawn(follow(app.clone()));
    Ok(())
}
