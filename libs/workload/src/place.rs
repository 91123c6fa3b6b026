//! Where a workload of a data centre lives; the same for the process and for local commands.

use std::{path::PathBuf, sync::Arc};

use custody::trust::VaultTrust;
use sealing::Sealer;
use vault::Vault;

/// Paths and names that the pod gives.
#[derive(Debug, Clone)]
pub struct Place {
    /// The volume with the store.
    pub data_dir: PathBuf,
    /// Token and CA for the API server.
    pub kube_dir: PathBuf,
    /// Projected token for the Vault.
    pub vault_token_file: PathBuf,
    /// Own namespace.
    pub namespace: String,
}

impl Place {
    /// The sealer of the Vault that the member trust names.
    pub fn sealer(&self, trust: &VaultTrust) -> Result<Arc<Sealer>, vault::Error> {
        let vault = Vault::new(vault::Settings {
            address: trust.address.clone(),
            ca_bundle: trust.ca_bundle.clone(),
            auth_mount: trust.auth_mount.clone(),
            role: trust.role.clone(),
            transit_mount: trust.transit_mount.clone(),
            key: trust.key.clone(),
            token_file: self.vault_token_file.clone(),
        })?;
        Ok(Arc::new(Sealer::new(Arc::new(vault))))
    }
}
