//! What somebody has who has taken over a signer: its files, and its Vault for as long as its token is believed.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Result, bail};
use custody::{CustodyId, trust::VaultTrust};
use ed25519_dalek::SigningKey;
use sealing::{Context, Sealer};
use zeroize::Zeroizing;

use crate::files::open;

/// A signer's secrets, for whoever has its rights.
pub(crate) struct Stolen {
    data_dir: PathBuf,
    custody_id: CustodyId,
    sealer: Sealer,
}

/// What a value of a custody is sealed for.
pub(crate) fn context(custody_id: CustodyId, wallet: &str, purpose: &str) -> Context {
    Context::new(custody_id.as_bytes(), wallet, purpose)
}

impl Stolen {
    /// With the token in `token_file`.
    pub(crate) fn new(
        data_dir: PathBuf,
        vault: VaultTrust,
        token_file: PathBuf,
        custody_id: CustodyId,
    ) -> Result<Self> {
        let VaultTrust { address, ca_bundle, auth_mount, role, audience: _, transit_mount, key } = vault;
        let settings = vault::Settings { address, ca_bundle, auth_mount, role, transit_mount, key, token_file };
        Ok(Self { data_dir, custody_id, sealer: Sealer::new(Arc::new(vault::Vault::new(settings)?)) })
    }

    /// What the Vault makes of a sealed value.
    pub(crate) async fn opened(&self, context: Context, sealed: String) -> Result<Zeroizing<[u8; 32]>> {
        let opened = self.sealer.open(context, sealed).await?;
        Ok(Zeroizing::new(opened.as_slice().try_into()?))
    }

    /// That the Vault finds the value not sealed by this key for this context. Whatever else keeps it closed proves
    /// nothing.
    pub(crate) async fn stays_sealed(&self, context: Context, sealed: String) -> Result<()> {
        match self.sealer.open(context, sealed).await {
            Ok(_) => bail!("the Vault opens it"),
            Err(vault::Error::BadCiphertext(_)) => Ok(()),
            Err(other) => bail!("it stays sealed for another reason: {other}"),
        }
    }

    /// Keeper's: a wallet's hot key.
    pub(crate) async fn hot(&self, wallet: &str) -> Result<Zeroizing<[u8; 32]>> {
        let query = "SELECT secret FROM hot_keys WHERE wallet = ?1 AND namespace = 'eip155'";
        let sealed = open(&self.data_dir)?.query_row(query, [wallet], |row| row.get(0))?;
        self.opened(context(self.custody_id, wallet, "hot.eip155.v1"), sealed).await
    }

    /// The key that signs its messages and attestations.
    pub(crate) async fn message_key(&self) -> Result<SigningKey> {
        let sealed = open(&self.data_dir)?.query_row("SELECT message_seed FROM identity", [], |row| row.get(0))?;
        let seed = self.opened(Context::new(b"", "", "identity.message.v1"), sealed).await?;
        Ok(SigningKey::from_bytes(&seed))
    }
}
