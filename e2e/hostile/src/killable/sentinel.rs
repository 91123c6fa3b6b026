//! The sentinel, as far as the signers' histories go: it holds the heads that it is shown.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use custody::Role;
use protocol::{
    attestation::audit_head,
    ops::{Attestation, AuditHead, EchoHead, Held, Outcome, Refused},
    vouching::{self, SUPERSEDED, Shown},
};

use super::signer::Signer;

/// Holds heads as the sentinel does.
#[derive(Default, Clone)]
pub(super) struct Sentinel(BTreeMap<Role, (AuditHead, Attestation)>);

impl Sentinel {
    /// What was held before; the new one is held by the rules of all vouchers.
    pub(super) fn echo(&mut self, signer: &Signer, shown: &EchoHead) -> Result<Outcome> {
        let attestation = shown.head.clone().context("no head is shown")?;
        let head = audit_head(&attestation, &[signer.key()?])?;
        let held = self.0.get(&signer.role).cloned();
        if !shown.locked {
            match vouching::shown(held.as_ref().map(|(head, _)| head), &head, &shown.after) {
                Shown::Kept => drop(self.0.insert(signer.role, (head, attestation))),
                Shown::Left => {}
                Shown::Superseded => {
                    let (reason, message) = (SUPERSEDED.to_owned(), "another start is known".to_owned());
                    return Ok(Outcome::Refused(Refused { reason, message }));
                }
            }
        }
        Ok(Outcome::Held(Held { head: held.map(|(_, attestation)| attestation) }))
    }
}
