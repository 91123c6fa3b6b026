//! At the start: payments go on where an earlier process stopped.

use std::sync::Arc;

use super::pay::wake;
use crate::{app::App, store::StoreError};

/// One task for each wallet with something to pay.
pub(crate) async fn resume(app: &Arc<App>) -> Result<(), StoreError> {
    for wallet in app.store.busy_wallets().await? {
        wake(app, wallet);
    }
    Ok(())
}
