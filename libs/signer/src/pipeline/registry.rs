//! The wallets that a signer knows: recomputed from their rows once, then remembered. A row that was changed does not
//! get into it.

use std::sync::{Arc, PoisonError};

use chain::{ChainId, WalletDesc};
use sealing::ClientKey;

use super::{
    context::{SigningContext, entropy_context},
    register,
    signer::Signer,
    stop::Stop,
};

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
        let (manifest, name) = (serving.manifest.digest_bytes(), (wallet.to_owned(), chain.clone()));
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desc) = known().get(manifest, &name) {
            return Ok(desc);
        }
        let desc = Arc::new(register::recomputed(&self.store, serving, wallet, chain).await?);
        known().keep(manifest, name, desc.clone());
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
}
