//! Payments, and what the owners sign for them.

use async_trait::async_trait;
use chain::Claim;
use custody::WalletId;

use super::{error::StoreError, rows::Rows};
use crate::domain::{History, Kind, NewPayment, Page, Payment, PaymentFilter, PaymentId, Status, Transaction};

/// See the module.
#[async_trait]
pub(crate) trait Payments: Send + Sync {
    /// Stores an order, once per caller and idempotency key; `None` if the key belongs to another order.
    async fn accept(&self, new: NewPayment) -> Result<Option<Payment>, StoreError>;

    /// Payments that fit, with their times and without their changes, each with its place in the order in which they
    /// were asked for: one more than the page has, if there is one.
    async fn payments(&self, filter: PaymentFilter, page: Page) -> Result<Rows<(Payment, History)>, StoreError>;

    /// The payment of this id.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError>;

    /// When what changed of a payment.
    async fn history(&self, id: PaymentId) -> Result<History, StoreError>;

    /// The oldest payment of a wallet that has a step to take: neither ended nor followed.
    async fn next_payment(&self, wallet: &WalletId) -> Result<Option<Payment>, StoreError>;

    /// Wallets with payments that have a step to take.
    async fn busy_wallets(&self) -> Result<Vec<WalletId>, StoreError>;

    /// Payments that wait for a block to stay, oldest first.
    async fn followed(&self) -> Result<Vec<Payment>, StoreError>;

    /// A followed payment of the wallet, one of whose transactions uses up one of these claims.
    async fn holder(&self, wallet: &WalletId, claims: &[Claim]) -> Result<Option<PaymentId>, StoreError>;

    /// Writes how far a payment is: all that may change of it, and the change's time.
    async fn update(&self, payment: Payment) -> Result<(), StoreError>;

    /// Writes a transaction and, in the same commit, how far its payment is.
    async fn record(&self, payment: Payment, transaction: Transaction) -> Result<(), StoreError>;

    /// Forgets a payment's transactions, and writes how far it is: it starts again with other claims.
    async fn restart(&self, payment: Payment) -> Result<(), StoreError>;

    /// A payment's transaction of a kind, once it is built.
    async fn transaction(&self, payment: PaymentId, kind: Kind) -> Result<Option<Transaction>, StoreError>;

    /// How many payments there are of each status.
    async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError>;
}
