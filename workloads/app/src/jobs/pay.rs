//! A wallet's payments, one at a time, in the order in which they were asked for: one task a wallet, for as long as it
//! has something to pay.

use std::{sync::Arc, time::Duration};

use custody::WalletId;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::{
    app::App,
    domain::{Payment, PaymentId},
    payments::{self, Trouble},
};

/// How long the next block is waited for before the step is taken again all the same.
const PATIENCE: Duration = Duration::from_secs(15);

/// There is something to pay from this wallet.
pub(crate) fn wake(app: &Arc<App>, wallet: WalletId) {
    if app.busy.enter(&wallet) {
        let app = app.clone();
        tokio::spawn(async move { pay(&app, wallet).await });
    }
}

async fn pay(app: &App, wallet: WalletId) {
    let mut failures = 0;
    loop {
        let payment = match app.store.next_payment(&wallet).await {
            Ok(Some(payment)) => payment,
            Ok(None) => {
                app.busy.leave(&wallet);
                // One may have been stored between the question and the release.
                match app.store.next_payment(&wallet).await {
                    Ok(Some(_)) if app.busy.enter(&wallet) => continue,
                    Ok(_) => return,
                    // Unknown is not none.
                    Err(_) if app.busy.enter(&wallet) => continue,
                    Err(_) => return,
                }
            }
            Err(error) => {
                failures += 1;
                tracing::error!(wallet = wallet.as_str(), %error, "the database can't be read; asked again");
                tokio::time::sleep(backoff::delay(failures)).await;
                continue;
            }
        };
        let mut heads = app.heads.watch();
        match payments::step(app, payment.clone()).await {
            Ok(()) => failures = 0,
            Err(trouble) => {
                failures += 1;
                tell(app, &payment, &trouble);
                show(app, payment.id, &trouble).await;
                if trouble.awaits_block() {
                    let _ = timeout(PATIENCE, heads.next()).await;
                } else {
                    tokio::time::sleep(trouble.pause(failures, Timestamp::now())).await;
                }
            }
        }
    }
}

/// For the log and the metrics.
fn tell(app: &App, payment: &Payment, trouble: &Trouble) {
    let (wallet, id) = (payment.order.wallet.as_str(), payment.id);
    if !trouble.is_failure() {
        return tracing::debug!(wallet, payment = %id, %trouble, "waiting");
    }
    app.metrics.troubles.inc();
    tracing::warn!(wallet, payment = %id, stage = payment.stage.as_str(), %trouble, "the step is taken again");
}

/// What is being waited for, for whoever looks at the payment.
async fn show(app: &App, id: PaymentId, trouble: &Trouble) {
    let trouble = Some(trouble.to_string());
    let shown = match app.store.payment(id).await {
        Ok(Some(payment)) if payment.trouble != trouble => app.store.update(Payment { trouble, ..payment }).await,
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = shown {
        tracing::error!(payment = %id, %error, "the database can't be written");
    }
}
