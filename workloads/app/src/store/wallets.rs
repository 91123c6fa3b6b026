//! Wallets: asked for, then attested by both signers.

use async_trait::async_trait;
use custody::WalletId;

use super::{error::StoreError, rows::Rows};
use crate::domain::{Attested, ClientKey, Page, Seed, Wallet, WalletFilter};

/// See the module.
#[async_trait]
pub(crate) trait Wallets: Send + Sync {
    /// The wallet of this id, made with `seed` if nobody asked for it before. It keeps the first client key that it is
    /// given before it is attested.
    async fn ask_for_wallet(
        &self,
        id: &WalletId,
        seed: Seed,
        client_key: Option<ClientKey>,
    ) -> Result<Wallet, StoreError>;

    /// The wallet of this id, if anybody asked for it.
    async fn wallet(&self, id: &WalletId) -> Result<Option<Wallet>, StoreError>;

    /// Attested wallets that fit, each with its place in the order in which they were asked for: one more than the page
    /// has, if there is one.
    async fn wallets(&self, filter: WalletFilter, page: Page) -> Result<Rows<Wallet>, StoreError>;

    /// The client key of this wallet, if it has one.
    async fn client_key(&self, id: &WalletId) -> Result<Option<ClientKey>, StoreError>;

    /// Gives a wallet that is not attested other operation ids.
    async fn renew_wallet(&self, id: &WalletId, seed: Seed) -> Result<(), StoreError>;

    /// Records what both signers attested. The first record stays.
    async fn attest_wallet(&self, id: &WalletId, attested: Attested) -> Result<(), StoreError>;
}
