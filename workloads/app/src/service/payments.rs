//! A payment is accepted, or shown.

use std::sync::Arc;

use chain::{KeyRole, Refusal};
use custody::WalletId;

use super::wallets::{self, WalletError};
use crate::{
    app::App,
    domain::{
        CallerName, Cursor, History, IdempotencyKey, Kind, NewPayment, Order, Page, Payment, PaymentFilter, PaymentId,
        Seed, Stage,
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

/// A payment, what it went through, and whose signatures are there.
pub(crate) struct Shown {
    pub(crate) payment: Payment,
    pub(crate) signed_by: Vec<KeyRole>,
    pub(crate) history: History,
    /// Blocks that follow the one that decides it, while that one may still vanish.
    pub(crate) depth: Option<u64>,
}

/// The payment of this id.
pub(crate) async fn show(app: &App, id: PaymentId) -> Result<Option<Shown>, StoreError> {
    let Some(payment) = app.store.payment(id).await? else { return Ok(None) };
    let transaction = app.store.transaction(id, Kind::Payment).await?;
    let signed_by = transaction.map_or_else(Vec::new, |transaction| transaction.signed_by());
    let history = app.store.history(id).await?;
    Ok(Some(Shown { depth: depth(app, &payment), payment, signed_by, history }))
}

/// Blocks that follow the one that decides it, while that one may still vanish.
fn depth(app: &App, payment: &Payment) -> Option<u64> {
    payment.block.filter(|_| payment.stage == Stage::Follow).and_then(|block| app.heads.depth(block))
}

/// Payments that fit, without their changes and signatures, and where the next page begins, if there is one.
pub(crate) async fn list(
    app: &App,
    filter: PaymentFilter,
    page: Page,
) -> Result<(Vec<Shown>, Option<Cursor>), StoreError> {
    let (payments, next) = page.cut(app.store.payments(filter, page).await?);
    let shown = |(payment, history): (Payment, History)| Shown {
        depth: depth(app, &payment),
        payment,
        signed_by: Vec::new(),
        history,
    };
    Ok((payments.into_iter().map(shown).collect(), next))
}
