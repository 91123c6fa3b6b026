//! Others vouch for this signer: they are shown its head and answer with the newest one that they held before. A volume
//! that was rolled back does not contain it, and a copy of the volume that was started later has superseded this one.
//! Asked until a start is vouched for, and then once a second for as long as it serves.

use audit::Head;
use custody::Role;
use ed25519_dalek::VerifyingKey;
use prost::Message;
use protocol::{
    attestation::audit_head,
    ops::{Attestation, AuditHead, EchoHead},
};

use super::{context::SigningContext, lock::Lock, signer::Signer, stop::Stop};
use crate::store::{Ledger, Start, StoreError};

impl Signer {
    /// This start, which has taken its epoch on disk before anybody hears of it.
    pub(super) async fn start(&self) -> Result<Start, StoreError> {
        let mut start = self.vouching.start.lock().await;
        match *start {
            Some(start) => Ok(start),
            None => {
                let epoch = self.store.decide_urgent(self.now_ms(), |ledger| ledger.take_epoch(0)).await?;
                Ok(*start.insert(Start { epoch, instance: self.vouching.instance }))
            }
        }
    }

    /// What to show to `voucher` now, or why this start may not be vouched for, in words for the admin. With `open` it
    /// names this start, for the voucher to keep: only once all of them have vouched.
    pub async fn own_head(
        &self,
        serving: &SigningContext,
        voucher: Role,
        open: bool,
    ) -> Result<Result<EchoHead, String>, StoreError> {
        let (start, longest) = (self.start().await?, self.vouching.longest());
        let own = serving.keys.own().message_key().verifying_key();
        // Decided, not looked at: only what is committed is attested.
        let decide =
            move |ledger: &Ledger<'_>| Ok((ledger.head()?, ledger.overrides(&own)?, lost(ledger, longest.as_ref())?));
        let (head, overrides, lost) = self.store.decide_urgent(self.now_ms(), decide).await?;
        if let Some(why) = lost {
            self.set_lock(Lock::Locked(why.clone()));
            return Ok(Err(why));
        }
        self.vouching.attests(head);
        let attestation = serving.attest(head, overrides, open.then_some(start), self.now_ms());
        let after = self.vouching.told(|told| {
            let voucher = told.vouchers.entry(voucher).or_default();
            voucher.offered = open.then(|| head.hash.to_vec());
            if open { voucher.holds.clone() } else { Vec::new() }
        });
        Ok(Ok(EchoHead { head: Some(attestation), locked: !open, after }))
    }

    /// What `voucher`, who was shown the own head, has answered: whether it holds that one now. Else why this start may not
    /// serve, in words for the admin; where it serves, it is locked at once.
    pub async fn vouched(
        &self,
        serving: &SigningContext,
        voucher: Role,
        held: Option<&Attestation>,
    ) -> Result<Result<bool, String>, StoreError> {
        // In this order: where the admin opens it meanwhile, the start is the one that was opened.
        let serves = !self.is_locked();
        let start = self.start().await?;
        let believed = held.map(|held| believed(serving, held)).transpose();
        let hash =
            held.and_then(|held| AuditHead::decode(held.body.as_slice()).ok()).map_or_else(Vec::new, |it| it.hash);
        let kept = self.vouching.told(|told| {
            if let Ok(Some(head)) = &believed {
                told.epoch = told.epoch.max(head.epoch);
            }
            let voucher = told.vouchers.entry(voucher).or_default();
            voucher.answered.clone_from(&hash);
            voucher.offered.take().filter(|_| voucher.holds == hash)
        });
        let judged = match believed {
            Ok(held) => {
                let own = serving.keys.own().message_key().verifying_key();
                let judge = move |ledger: &Ledger<'_>| judge(ledger, &own, voucher, held.as_ref(), start, serves);
                self.store.look_urgent(self.now_ms(), judge).await?
            }
            // The admin has accepted this chain, and what is held says nothing that this signer has said.
            Err(why) if serves => {
                tracing::warn!("{voucher} {why}");
                Ok(())
            }
            Err(why) => Err(format!("{voucher} {why}")),
        };
        Ok(match judged {
            Ok(()) => {
                let is_kept = kept.is_some();
                self.vouching.told(|told| told.vouchers.entry(voucher).or_default().holds = kept.unwrap_or(hash));
                Ok(is_kept)
            }
            Err(why) => {
                if serves {
                    self.set_lock(Lock::Locked(why.clone()));
                }
                Err(why)
            }
        })
    }

    /// `voucher` refuses this start's head, since it has vouched for a later start: this one signs nothing more.
    pub fn superseded(&self, voucher: Role) -> String {
        let why = superseded(voucher);
        self.set_lock(Lock::Locked(why.clone()));
        why
    }

    /// The admin has accepted the chain after `locked_since_ms`: the lock opens, and this start comes after all that others
    /// know of. Nothing happens if it was locked anew meanwhile.
    pub async fn accept(&self, locked_since_ms: u64) -> Result<(), StoreError> {
        let own = self.start().await?;
        let accepted = || self.is_locked() && self.locked_since_ms() == locked_since_ms;
        if !accepted() {
            return Ok(());
        }
        let told = self.vouching.told(|told| {
            told.longest = None;
            for voucher in told.vouchers.values_mut() {
                voucher.holds.clone_from(&voucher.answered);
            }
            told.epoch
        });
        if told >= own.epoch {
            let epoch = self.store.decide_urgent(self.now_ms(), move |ledger| ledger.take_epoch(told)).await?;
            *self.vouching.start.lock().await = Some(Start { epoch, ..own });
        }
        if accepted() {
            self.set_lock(Lock::Open);
        }
        Ok(())
    }

    /// Decides upon a chain that still has every head in it that this start has attested; else it is locked at once.
    pub(super) async fn decide_upon_whole<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Stop> {
        let longest = self.vouching.longest();
        let upon = move |ledger: &Ledger<'_>| match lost(ledger, longest.as_ref())? {
            Some(why) => Ok(Err(why)),
            None => decide(ledger).map(Ok),
        };
        self.decide(upon).await?.map_err(|why| {
            self.set_lock(Lock::Locked(why.clone()));
            Stop::locked(&why)
        })
    }
}

/// Why the chain is not the one that this start has attested, if it is not.
fn lost(ledger: &Ledger<'_>, longest: Option<&Head>) -> Result<Option<String>, StoreError> {
    match longest {
        Some(head) if !ledger.knows(head)? => Ok(Some(format!(
            "this volume was rolled back while it was in use: record {} of the audit chain, which this process has \
             attested, is not in it any more (it ends at record {}); stop the signer, restore the newest volume, or accept \
             this chain with `multisig member unlock`",
            head.count,
            ledger.head()?.count
        ))),
        _ => Ok(None),
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

/// Whether a start may be vouched for, or go on serving, where `held` is held.
fn judge(
    ledger: &Ledger<'_>,
    key: &VerifyingKey,
    voucher: Role,
    held: Option<&AuditHead>,
    start: Start,
    serves: bool,
) -> Result<Result<(), String>, StoreError> {
    let own = ledger.head()?;
    let Some(held) = held else {
        let message = format!(
            "{voucher} knows nothing of this signer, whose chain holds signatures; if {voucher} was set up anew, \
             accept this chain with `multisig member unlock`"
        );
        // Whoever forgets a signer that serves is shown its head again.
        return Ok(if !serves && ledger.has_signed()? { Err(message) } else { Ok(()) });
    };
    let overrides = ledger.overrides(key)?;
    if overrides < held.overrides {
        return Ok(Err(format!(
            "this volume was rolled back: {voucher} knows an acceptance by the admin that is not in it; restore the \
             newest volume, or accept this chain with `multisig member unlock`"
        )));
    }
    let known = match <[u8; 32]>::try_from(held.hash.as_slice()) {
        Ok(hash) => ledger.knows(&Head { count: held.count, hash })?,
        Err(_) => false,
    };
    // Serving, it was opened by the admin, who has accepted this chain instead.
    let accepted = serves && overrides > held.overrides && ledger.accepted_since(key, 0)?;
    if !known && !accepted {
        return Ok(Err(format!(
            "this volume was rolled back: {voucher} knows record {} of the audit chain, which is not in it (it ends at \
             record {}); restore the newest volume, or accept this chain with `multisig member unlock`",
            held.count, own.count
        )));
    }
    let present = AuditHead { epoch: start.epoch, instance: start.instance.to_vec(), ..AuditHead::default() };
    Ok(if present.superseded_by(held) { Err(superseded(voucher)) } else { Ok(()) })
}

fn superseded(voucher: Role) -> String {
    format!(
        "this start was superseded: {voucher} has vouched for another start of this signer, so a copy of this volume is or \
         was in use elsewhere. Stop the copy that is not wanted; to go on with this one, restart it, or accept its chain \
         with `multisig member unlock`"
    )
}
