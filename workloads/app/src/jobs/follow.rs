//! Follows the chain, for all payments at once: at each new block, those that wait for a block to stay are looked at
//! together, and then everybody who waits for a block is told.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::pay::{show, wake};
use crate::{
    app::App,
    domain::Payment,
    payments::{self, Trouble},
};

/// Payments that are looked at side by side: the client gathers what they ask.
const SIDE_BY_SIDE: usize = 256;
/// On a chain that makes no blocks, payments are looked at this often all the same.
const PATIENCE: Duration = Duration::from_secs(30);

/// For ever.
pub(super) async fn follow(app: Arc<App>) {
    let (mut known, mut failures) = (None, 0);
    loop {
        let wait = if failures == 0 { PATIENCE } else { backoff::delay(failures) };
        let head = match timeout(wait, app.client.head(known.as_ref())).await {
            Ok(Ok(head)) => Some(head),
            Ok(Err(error)) => {
                failures += 1;
                tracing::debug!(%error, "no news of the chain");
                // Meanwhile it may have gone to a newer block and back.
                known = None;
                tokio::time::sleep(backoff::delay(failures)).await;
                continue;
            }
            // No block came: what could not be looked at, or waits on a chain without blocks, is looked at again.
            Err(_) => None,
        };
        failures = if look(&app).await { 0 } else { failures + 1 };
        if let Some(head) = head {
            // Payments that go first again are back in line before anybody is told.
            app.heads.tell(head.clone());
            known = Some(head);
        }
    }
}

/// Looks at all of them; false if one has to be looked at again before the next block.
async fn look(app: &Arc<App>) -> bool {
    match app.store.followed().await {
        Ok(followed) => {
            let looks = stream::iter(followed).map(|payment| one(app, payment)).buffer_unordered(SIDE_BY_SIDE);
            looks.fold(true, |all, done| std::future::ready(all && done)).await
        }
        Err(error) => {
            tracing::error!(%error, "the database can't be read; asked again");
            false
        }
    }
}

/// Looks at one of them; false if that has to be done again before the next block.
async fn one(app: &Arc<App>, payment: Payment) -> bool {
    let (id, wallet) = (payment.id, payment.order.wallet.clone());
    match payments::look(app, payment).await {
        Ok(goes_on) => {
            if goes_on {
                wake(app, wallet);
            }
            true
        }
        Err(trouble @ (Trouble::Store(_) | Trouble::Client(_))) => {
            app.metrics.troubles.inc();
            tracing::warn!(payment = %id, %trouble, "the payment is looked at again");
            false
        }
        Err(trouble) => {
            tracing::debug!(payment = %id, %trouble, "waiting for the next block");
            show(app, id, &trouble).await;
            true
        }
    }
}
