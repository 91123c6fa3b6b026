//! An App that has forgotten. Its database may be older than what it did: restored from a backup, or from a snapshot of
//! its volume. What it asked of the signers is in their records, under payment ids that it can compute again. So every
//! start is locked until both signers' records are read on from where the database stopped, and any record at either of
//! them counts as a payment that may have been made: it is followed on the chain, never asked for anew.

mod read;

use chain::{ClientError, Fate, Look, WalletDesc};

use crate::{
    app::App,
    domain::{Lost, Order, PaymentId},
    store::StoreError,
};

pub(crate) use read::{Pass, Unread, read};

/// What became of a lost transaction.
pub(crate) async fn fate(app: &App, wallet: &WalletDesc, lost: &Lost) -> Result<Fate, ClientError> {
    app.client.fate(wallet, &lost.id, &lost.claims, Look::Since(lost.from_block)).await
}

/// Whether `order` may be the payment `id`: nothing is known of it, it is stored, or it is what was signed for it.
pub(crate) async fn admits(app: &App, id: PaymentId, order: &Order, wallet: &WalletDesc) -> Result<bool, StoreError> {
    if app.store.payment(id).await?.is_some() {
        return Ok(true);
    }
    let lost = app.store.lost(id).await?;
    Ok(lost.is_empty() || lost.iter().any(|lost| lost.wallet == order.wallet && is(app, order, wallet, lost)))
}

/// Whether a lost transaction does what `order` asks for: its bytes are built again.
fn is(app: &App, order: &Order, wallet: &WalletDesc, lost: &Lost) -> bool {
    let (rules, assets) = (app.trust.rules(), app.trust.assets().as_slice());
    let built = rules.build(&order.effect(), wallet, assets, &lost.claims).ok();
    built.and_then(|unsigned| rules.decode(&unsigned, wallet, assets).ok()).is_some_and(|built| built.id == lost.id)
}
