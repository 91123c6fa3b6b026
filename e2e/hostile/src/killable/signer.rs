//! One signer: where its files are and, while it runs, its process.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use custody::{Role, identity::PeerKeys};
use data_center::RealVault;
use ed25519_dalek::VerifyingKey;

use super::{evidence::Evidence, process::Process, wire::Start};

/// It, and what it starts from.
pub(crate) struct Signer {
    pub(crate) role: Role,
    pub(crate) start: Start,
    pub(crate) start_file: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) process: Option<Process>,
    pub(crate) evidence: Evidence,
    pub(crate) public: Option<PeerKeys>,
}

impl Signer {
    /// With its volume, below `folder` with the rest; nothing is decided yet.
    pub(super) fn new(role: Role, vault: &RealVault, folder: &Path, manifest: String) -> Self {
        Self {
            role,
            start: Start {
                role,
                data_dir: vault.data_dir(role),
                vault_token_file: vault.token_file(role),
                trust: String::new(),
                config: String::new(),
                manifest,
            },
            start_file: folder.join(format!("{role}.json")),
            log: folder.join(format!("{role}.log")),
            process: None,
            evidence: Evidence::default(),
            public: None,
        }
    }

    /// What was written last, before it is in the file itself.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.start.data_dir.join(format!("{}-wal", signer::store::FILE))
    }

    /// The running process.
    pub(crate) fn process(&self) -> Result<&Process> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.role))
    }

    /// Ends it without warning.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => {
                process.kill();
                process.ended().await
            }
            None => Ok(()),
        }
    }

    /// Its key for statements.
    pub(super) fn key(&self) -> Result<VerifyingKey> {
        Ok(custody::identity::message_key(self.public.as_ref().context("its keys are not made")?)?)
    }
}
