//! The wallets that a signer knows: recomputed from their rows once, then remembered. A row that was changed does not
//! get into it.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use chain::{ChainId, WalletDesc};
use sealing::ClientKey;

use super::{
    context::{SigningContext, entropy_context},
    known::Known,
    register,
    signer::Signer,
    stop::Stop,
};

/// Wallets whose description is remembered; all are forgotten when there are more.
const MAX_KNOWN: usize = 100_000;

impl Signer {
    /// The registered wallet, recomputed: a row that was changed does not get this far. With a client's key that is
    /// not the wallet's it is as if there were no wallet.
    pub(super) async fn registered(
        &self,
        serving: &SigningContext,
        wallet: &str,
        chain: &ChainId,
        client_key: Option<&ClientKey>,
    ) -> Result<Arc<WalletDesc>, Stop> {
        serving.require_client_key(client_key)?;
        if !self.opens_with(serving, wallet, client_key).await? {
            return Err(register::unknown(wallet, chain));
        }
        self.recalled(serving, wallet, chain).await
    }

    /// The same for a wallet that is paid and pays nothing: its client key is not asked for.
    pub(super) async fn recalled(
        &self,
        serving: &SigningContext,
        wallet: &str,
        chain: &ChainId,
    ) -> Result<Arc<WalletDesc>, Stop> {
        let name = (wallet.to_owned(), chain.clone());
        if let Some(known) = self.known(serving, |wallets| wallets.get(&name).cloned()) {
            return Ok(known);
        }
        let desc = Arc::new(register::recomputed(&self.store, serving, wallet, chain).await?);
        self.known(serving, |wallets| {
            if wallets.len() >= MAX_KNOWN {
                wallets.clear();
            }
            wallets.insert(name, desc.clone());
        });
        Ok(desc)
    }

    /// Whether a client's key, where one was sent, is the one that the wallet was made with.
    pub(super) async fn opens_with(
        &self,
        serving: &SigningContext,
        wallet: &str,
        client_key: Option<&ClientKey>,
    ) -> Result<bool, Stop> {
        let Some(key) = client_key else { return Ok(true) };
        let verifier = self.store.hot_verifier(wallet).await?.unwrap_or_default();
        Ok(key.verifies(entropy_context(serving.custody_id(), wallet), &verifier))
    }

    fn known<T>(
        &self,
        serving: &SigningContext,
        act: impl FnOnce(&mut HashMap<(String, ChainId), Arc<WalletDesc>>) -> T,
    ) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = serving.manifest.digest_bytes();
        if known.manifest != manifest {
            *known = Known { manifest, wallets: HashMap::new() };
        }
        act(&mut known.wallets)
    }
}
