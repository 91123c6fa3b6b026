//! Unlocking a start: others are shown this signer's head and answer with the newest one that they held before. A
//! volume that was rolled back does not contain it, and shows.

use custody::Role;
use ed25519_dalek::VerifyingKey;
use protocol::{
    attestation::audit_head,
    ops::{Attestation, AuditHead, EchoHead, Operation},
};

use super::{context::SigningContext, lock::Lock, signer::Signer};
use crate::store::{Ledger, StoreError};

impl Signer {
    /// What to show to the others now.
    pub async fn own_head(&self, serving: &SigningContext) -> Result<(audit::Head, Operation), StoreError> {
        let own = serving.keys.own().message_key().verifying_key();
        let look = move |ledger: &Ledger<'_>| Ok((ledger.head()?, ledger.overrides(&own)?));
        let (head, overrides) = self.store.look(self.now_ms(), look).await?;
        let shown = serving.attest(head, overrides, self.now_ms());
        let locked = matches!(*self.lock(), Lock::Locked(_));
        Ok((head, Operation::EchoHead(EchoHead { head: Some(shown), locked })))
    }

    /// Whether what `voucher` held is in this signer's chain; else why not, in words for the admin.
    pub async fn vouched(
        &self,
        serving: &SigningContext,
        voucher: Role,
        held: Option<&Attestation>,
    ) -> Result<Result<(), String>, StoreError> {
        let held = match held.map(|held| believed(serving, held)).transpose() {
            Ok(held) => held,
            Err(why) => return Ok(Err(format!("{voucher} {why}"))),
        };
        let own = serving.keys.own().message_key().verifying_key();
        self.store.look(self.now_ms(), move |ledger| judge(ledger, &own, voucher, held.as_ref())).await
    }

    /// Opens the lock, or says why it stays closed.
    pub fn set_lock(&self, lock: Lock) {
        let before = self.lock();
        if *before != lock {
            match &lock {
                Lock::Open => tracing::info!("unlocked: the others know this signer's history"),
                Lock::Locked(why) => tracing::warn!(why, "locked"),
            }
            self.lock.store(std::sync::Arc::new(lock));
        }
    }
}

/// Only a head that this signer itself attested says anything.
fn believed(serving: &SigningContext, held: &Attestation) -> Result<AuditHead, String> {
    let own = serving.keys.own().message_key().verifying_key();
    let head = audit_head(held, &[own])
        .map_err(|_| "holds a head that this signer's present key did not attest; compare with `multisig audit`")?;
    if head.custody_id != serving.custody_id().as_bytes() || head.role != serving.role.as_str() {
        return Err("holds a head of another custody or signer".to_owned());
    }
    Ok(head)
}

fn judge(
    ledger: &Ledger<'_>,
    key: &VerifyingKey,
    voucher: Role,
    held: Option<&AuditHead>,
) -> Result<Result<(), String>, StoreError> {
    let own = ledger.head()?;
    let Some(held) = held else {
        let message = format!(
            "{voucher} knows nothing of this signer, whose chain holds signatures; if {voucher} was set up anew, \
             accept this chain with `multisig member unlock`"
        );
        return Ok(if ledger.has_signed()? { Err(message) } else { Ok(()) });
    };
    let known = match <[u8; 32]>::try_from(held.hash.as_slice()) {
        Ok(hash) => ledger.knows(&audit::Head { count: held.count, hash })?,
        Err(_) => false,
    };
    if ledger.overrides(key)? < held.overrides {
        return Ok(Err(format!(
            "this volume was rolled back: {voucher} knows an acceptance by the admin that is not in it; restore the \
             newest volume, or accept this chain with `multisig member unlock`"
        )));
    }
    if known {
        return Ok(Ok(()));
    }
    Ok(Err(format!(
        "this volume was rolled back: {voucher} knows record {} of the audit chain, which is not in it (it ends at \
         record {}); restore the newest volume, or accept this chain with `multisig member unlock`",
        held.count, own.count
    )))
}
