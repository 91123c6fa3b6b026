//! One task per wallet with something to pay: its payments one at a time, in the order in which they were asked for.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;

use super::{Step, Trouble};
use crate::{
    app::App,
    store::{Payment, StoreError},
};

/// The wallets that a task works on.
#[derive(Default)]
pub(crate) struct Workers(Mutex<HashSet<String>>);

impl Workers {
    /// Whether this call makes the caller the wallet's only task.
    fn claim(&self, wallet: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(wallet.to_owned())
    }

    fn release(&self, wallet: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(wallet);
    }
}

/// Goes on where an earlier process stopped.
pub(crate) async fn resume(app: &Arc<App>) -> Result<(), StoreError> {
    for wallet in app.store.busy_wallets().await? {
        wake(app, wallet);
    }
    Ok(())
}

/// There is something to pay from this wallet.
pub(crate) fn wake(app: &Arc<App>, wallet: String) {
    if app.workers.claim(&wallet) {
        let app = app.clone();
        tokio::spawn(async move { work(&app, wallet).await });
    }
}

async fn work(app: &App, wallet: String) {
    let mut failures = 0;
    loop {
        let payment = match app.store.next_payment(wallet.clone()).await {
            Ok(Some(payment)) => payment,
            Ok(None) => {
                app.workers.release(&wallet);
                // One may have been stored between the question and the release.
                match app.store.next_payment(wallet.clone()).await {
                    Ok(Some(_)) if app.workers.claim(&wallet) => continue,
                    Ok(_) => return,
                    // Unknown is not none.
                    Err(_) if app.workers.claim(&wallet) => continue,
                    Err(_) => return,
                }
            }
            Err(error) => {
                failures += 1;
                tracing::error!(wallet, %error, "the database can't be read");
                tokio::time::sleep(backoff::delay(failures)).await;
                continue;
            }
        };
        match step(app, payment.clone()).await {
            Ok(()) => failures = 0,
            Err(trouble) => {
                failures += 1;
                tell(app, &payment, &trouble);
                show(app, &payment.id, &trouble).await;
                tokio::time::sleep(trouble.pause(failures, Timestamp::now())).await;
            }
        }
    }
}

async fn step(app: &App, payment: Payment) -> Result<(), Trouble> {
    Step::load(app, payment).await?.take().await
}

/// For the log and the metrics.
fn tell(app: &App, payment: &Payment, trouble: &Trouble) {
    let Payment { id, wallet, stage, .. } = payment;
    if !trouble.is_failure() {
        return tracing::debug!(wallet, payment = id, %trouble, "waiting");
    }
    app.metrics.troubles.inc();
    tracing::warn!(wallet, payment = id, stage = stage.as_str(), %trouble, "waiting");
}

/// What is being waited for, for whoever looks at the payment.
async fn show(app: &App, id: &str, trouble: &Trouble) {
    let trouble = Some(trouble.to_string());
    let shown = match app.store.payment(id.to_owned()).await {
        Ok(Some(payment)) if payment.trouble != trouble => app.store.update(Payment { trouble, ..payment }).await,
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = shown {
        tracing::error!(payment = id, %error, "the database can't be written");
    }
}
