//! A payment is accepted, or shown.

use std::sync::Arc;

use chain::{KeyRole, Refusal};
use custody::WalletId;

use super::wallets::{self, WalletError};
use crate::{
    app::App,
    domain::{
        CallerName, Cursor, IdempotencyKey, Kind, NewPayment, Order, Page, Payment, PaymentFilter, PaymentId, Seed,
    },
    jobs::wake,
    store::StoreError,
};

/// Why an order is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejected {
    #[error("there is no wallet '{0}'")]
    UnknownWallet(WalletId),
    /// No signer would ever sign it.
    #[error("{0}")]
    Refused(Refusal),
    #[error("this Idempotency-Key belongs to another payment; a new payment needs a new key")]
    KeyReused,
    #[error(transparent)]
    Wallet(#[from] WalletError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores the order once, and sees to it that it is paid. Refuses at once what no signer would ever sign.
pub(crate) async fn accept(
    app: &Arc<App>,
    caller: CallerName,
    key: IdempotencyKey,
    order: Order,
) -> Result<Payment, Rejected> {
    let unknown = || Rejected::UnknownWallet(order.wallet.clone());
    let wallet = wallets::registered(app, &order.wallet).await?.ok_or_else(unknown)?;
    let rules = app.trust.rules();
    rules.admits(&order.effect(), &wallet.desc, app.trust.assets().as_slice()).map_err(Rejected::Refused)?;
    let new = NewPayment { id: PaymentId::random(), caller, idempotency_key: key, order, seed: Seed::random() };
    let payment = app.store.accept(new).await?.ok_or(Rejected::KeyReused)?;
    wake(app, payment.order.wallet.clone());
    Ok(payment)
}

/// A payment, and whose signatures are there.
pub(crate) struct Shown {
    pub(crate) payment: Payment,
    pub(crate) signed_by: Vec<KeyRole>,
}

/// The payment of this id.
pub(crate) async fn show(app: &App, id: PaymentId) -> Result<Option<Shown>, StoreError> {
    let Some(payment) = app.store.payment(id).await? else { return Ok(None) };
    let transaction = app.store.transaction(id, Kind::Payment).await?;
    let signed_by = transaction.map_or_else(Vec::new, |transaction| transaction.signed_by());
    Ok(Some(Shown { payment, signed_by }))
}

/// Payments that fit, and where the next page begins, if there is one.
pub(crate) async fn list(
    app: &App,
    filter: PaymentFilter,
    page: Page,
) -> Result<(Vec<Payment>, Option<Cursor>), StoreError> {
    Ok(page.cut(app.store.payments(filter, page).await?))
}
