//! Everything that requests and payments share.

use std::sync::Arc;

use chain_evm_client::{Relayer, Rpc};

use crate::{
    config::ChainSettings, health::Health, metrics::Metrics, payments::Workers, signers::Signers, store::Store,
    trust::Trust,
};

/// See the module.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) trust: Trust,
    pub(crate) chain: ChainSettings,
    /// Whether Keeper seals by client keys.
    pub(crate) client_keys: bool,
    pub(crate) signers: Signers,
    pub(crate) rpc: Arc<Rpc>,
    pub(crate) relayer: Relayer,
    pub(crate) workers: Workers,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
}
