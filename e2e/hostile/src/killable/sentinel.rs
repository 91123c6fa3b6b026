//! The sentinel, as far as the signers' histories go: it holds the heads that it is shown.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use custody::Role;
use protocol::{
    attestation::audit_head,
    ops::{Attestation, EchoHead},
};

use super::signer::Signer;

/// Holds heads as the sentinel does.
#[derive(Default, Clone)]
pub(super) struct Sentinel(BTreeMap<Role, (u64, u64, Attestation)>);

impl Sentinel {
    /// What was held before; the new one is held unless it is older or its signer is locked.
    pub(super) fn echo(&mut self, signer: &Signer, shown: &EchoHead) -> Result<Option<Attestation>> {
        let attestation = shown.head.clone().context("no head is shown")?;
        let head = audit_head(&attestation, &[signer.key()?])?;
        let held = self.0.get(&signer.role).map(|(_, _, held)| held.clone());
        let newest = self.0.get(&signer.role).map(|(overrides, count, _)| (*overrides, *count));
        if !shown.locked && newest.is_none_or(|newest| (head.overrides, head.count) > newest) {
            self.0.insert(signer.role, (head.overrides, head.count, attestation));
        }
        Ok(held)
    }
}
