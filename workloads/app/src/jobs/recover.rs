//! At the start: the signers' records are read, and only then is anything served or paid. Later now and then: so that the
//! next start has little to read.

use std::{sync::Arc, time::Duration};

use super::resume::resume;
use crate::{
    app::App,
    recovery::{self, Pass, Unread},
};

/// Between two tries at the start.
const IMPATIENT: Duration = Duration::from_secs(1);
/// Between two readings later.
const EVERY: Duration = Duration::from_secs(60);

/// Unlocks App, then reads on; for ever.
pub(crate) async fn recover(app: Arc<App>) {
    while let Err(unread) = unlock(&app).await {
        app.health.lock(Some(format!("App serves once it has read the signers' records: {unread}")));
        tokio::time::sleep(IMPATIENT).await;
    }
    loop {
        tokio::time::sleep(EVERY).await;
        match recovery::read(&app, Pass::Running).await {
            Ok(0) => {}
            Ok(lost) => tracing::warn!(lost, "the signers have signed for payments that App does not know"),
            Err(unread) => tracing::debug!(%unread, "the signers' records are read later"),
        }
    }
}

/// Once: nothing is paid before.
async fn unlock(app: &Arc<App>) -> Result<(), Unread> {
    let lost = recovery::read(app, Pass::Start).await?;
    if lost > 0 {
        tracing::warn!(lost, "payments of the signers' records that the database had lost were taken over");
    }
    resume(app).await?;
    app.health.lock(None);
    Ok(())
}
