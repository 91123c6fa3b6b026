//! Everything that requests and payments share.

use std::sync::Arc;

use arc_swap::ArcSwap;
use chain::ChainClient;
use custody::WalletId;

use crate::{
    busy::Busy,
    callers::Callers,
    domain::ClientKey,
    heads::Heads,
    health::Health,
    metrics::Metrics,
    signers::Signers,
    store::{Store, StoreError},
    trust::Trust,
};

/// See the module.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) trust: Trust,
    /// The chain's node, and the relayer that pays there.
    pub(crate) client: Arc<dyn ChainClient>,
    /// Whether Keeper seals by client keys.
    pub(crate) client_keys: bool,
    pub(crate) signers: Signers,
    /// Who may call; exchanged when their file changes.
    pub(crate) callers: ArcSwap<Callers>,
    pub(crate) busy: Busy,
    pub(crate) heads: Heads,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}

impl App {
    /// What Keeper is sent to open the wallet's keys with, if it seals them so.
    pub(crate) async fn client_key(&self, wallet: &WalletId) -> Result<Option<ClientKey>, StoreError> {
        match self.client_keys {
            true => self.store.client_key(wallet).await,
            false => Ok(None),
        }
    }
}
