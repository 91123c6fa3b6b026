//! A payment is accepted, or shown.

use std::sync::Arc;

use chain::{Fate, KeyRole, Refusal};
use custody::WalletId;

use super::wallets::{self, WalletError};
use crate::{
    app::App,
    domain::{
        CallerName, Cursor, History, IdempotencyKey, Kind, Lost, NewPayment, Order, Page, Payment, PaymentFilter,
        PaymentId, Seed, Stage, Status,
    },
    jobs::wake,
    recovery,
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
    let id = PaymentId::of(caller.as_str(), &key);
    if !recovery::admits(app, id, &order, &wallet.desc).await? {
        return Err(Rejected::KeyReused);
    }
    let new = NewPayment { id, caller, idempotency_key: key, order, seed: Seed::random() };
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

/// A payment of which only the signers' records are left, as the chain shows it.
pub(crate) struct Remembered {
    pub(crate) lost: Lost,
    /// Confirmed, failed, cancelled, or not ended yet.
    pub(crate) status: Status,
    /// The chain transaction that paid.
    pub(crate) tx: Option<String>,
}

/// The payment of this id that the database has lost, if the signers have signed for it.
pub(crate) async fn remembered(app: &App, id: PaymentId) -> Result<Option<Remembered>, WalletError> {
    let mut found = None;
    for lost in app.store.lost(id).await? {
        let Some(wallet) = wallets::registered(app, &lost.wallet).await? else { continue };
        let (status, tx) = match recovery::fate(app, &wallet.desc, &lost).await {
            Ok(Fate::Done { tx, place, .. }) if !place.settled => (Status::Included, Some(tx)),
            Ok(Fate::Done { tx, success: true, .. }) => (Status::Confirmed, Some(tx)),
            Ok(Fate::Done { tx, success: false, .. }) => (Status::Failed, Some(tx)),
            Ok(Fate::Superseded { place }) if place.settled => (Status::Cancelled, None),
            Ok(Fate::Superseded { .. } | Fate::Open | Fate::Early(_) | Fate::Untold) | Err(_) => (Status::Signed, None),
        };
        // One that is outrun says nothing as long as there is another.
        if found.is_none() || status != Status::Cancelled {
            found = Some(Remembered { lost, status, tx });
        }
    }
    Ok(found)
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
