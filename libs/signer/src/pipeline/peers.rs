//! What others tell a signer: the other signer shows its audit head, the sentinel attests settlements and grants the
//! lease, and anybody who is believed may freeze. None of it waits for lock, lease or thaw.

use std::sync::Arc;

use audit::{Decision, Entry};
use custody::{Role, WalletId};
use protocol::{
    attestation::audit_head,
    ops::{Attestation, AuditHead, Done, EchoHead, Freeze, Held, MAX_BATCH_ITEMS, Outcome, Settle},
    vouching::{self, SUPERSEDED, Shown},
};

use super::{context::SigningContext, request::Accepted, room, settlement, signer::Signer, stop::Stop};
use crate::store::{Ledger, PeerHead, StoreError};

/// Longest reason of a freeze that is kept, characters.
const MAX_REASON: usize = 300;

/// Frozen on disk before it is confirmed; freezing again succeeds.
pub(super) async fn freeze(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
    freeze: Freeze,
) -> Result<Outcome, Stop> {
    if !freeze.wallet.is_empty() && freeze.wallet.parse::<WalletId>().is_err() {
        return Err(Stop::refused("Malformed", "freeze a wallet by its id, or everything with an empty one"));
    }
    let reason: String = freeze.reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    let serving = serving.clone();
    let decide = move |ledger: &Ledger<'_>| {
        if let Err(stop) = room::freeze(ledger, &freeze.wallet)? {
            return Ok(Err(stop));
        }
        if ledger.freeze(&freeze.wallet, accepted.asker.role.as_str(), &reason)? {
            let entry = Entry { decision: Decision::Done, ..accepted.entry(&serving, ledger.now_ms()) };
            ledger.append(entry)?;
        }
        Ok(Ok(Outcome::Done(Done {})))
    };
    signer.decide_urgent(decide).await?
}

/// Settlements are noted all or none.
pub(super) async fn settle(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
    settle: Settle,
) -> Result<Outcome, Stop> {
    if settle.settlements.len() > MAX_BATCH_ITEMS {
        return Err(Stop::refused("Malformed", format!("at most {MAX_BATCH_ITEMS} settlements are taken at once")));
    }
    let serving = serving.clone();
    let decide = move |ledger: &Ledger<'_>| {
        let entry = accepted.entry(&serving, ledger.now_ms());
        settlement::note_settlements(ledger, &settle.settlements, &entry)
    };
    signer.decide_urgent(decide).await??;
    Ok(Outcome::Done(Done {}))
}

/// Answers with the head that was held before, and keeps the one that is shown if it goes on from there and its signer is
/// not locked: a locked one does not know yet whether its chain is the newest.
pub(super) async fn echo(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
    echo: EchoHead,
) -> Result<Outcome, Stop> {
    let EchoHead { head, locked, after } = echo;
    let role = accepted.asker.role;
    let attestation = head.ok_or_else(|| Stop::refused("Malformed", "no head is shown"))?;
    let new = shown_head(serving, role, &attestation)?;
    let by = serving.clone();
    let decide = move |ledger: &Ledger<'_>| {
        let held = ledger.held_head(role.as_str())?.map(|(held, _)| held);
        let believed = believed_head(ledger, &by, role)?.map(|(held, _)| held.head);
        let becomes = if locked { Shown::Left } else { vouching::shown(believed.as_ref(), &new.head, &after) };
        let changed = held.as_ref().is_none_or(|held| !same_head(&held.head, &new.head));
        if becomes == Shown::Kept && changed {
            ledger.keep_head(role.as_str(), &new, false)?;
        }
        Ok((held, becomes))
    };
    let (held, becomes) = signer.decide_urgent(decide).await?;
    if becomes == Shown::Superseded {
        tracing::warn!(%role, "a signer shows a head of a start that another one has superseded: two copies of it run");
        return Err(Stop::refused(SUPERSEDED, "another start of this signer has been vouched for since"));
    }
    Ok(Outcome::Held(Held { head: held.map(|held| held.attestation) }))
}

/// A head by `role`, if one of its approved keys attested it for this custody.
pub(super) fn shown_head(serving: &SigningContext, role: Role, shown: &Attestation) -> Result<PeerHead, Stop> {
    let head = audit_head(shown, &serving.peers.message_keys(role))?;
    if head.custody_id != serving.custody_id().as_bytes() || head.role != role.as_str() || !head.names_its_start() {
        return Err(Stop::refused(
            "AttestationNotBelieved",
            "this head is of another custody or signer, or of no start",
        ));
    }
    Ok(PeerHead { head, attestation: shown.clone() })
}

/// The same record of the same start: nothing to keep.
fn same_head(held: &AuditHead, new: &AuditHead) -> bool {
    let what = |head: &AuditHead| (head.epoch, head.overrides, head.count);
    what(held) == what(new) && held.instance == new.instance && held.hash == new.hash
}

/// Cooler: whether hot's signatures come from the present Keeper, whose newer head is kept in the same commit. An App of
/// the version before forwards no head, and none is missed until App has forwarded one.
pub(super) fn present_keeper(
    ledger: &Ledger<'_>,
    serving: &SigningContext,
    forwarded: Option<&PeerHead>,
) -> Result<Result<(), Stop>, StoreError> {
    if serving.role == Role::Keeper {
        return Ok(Ok(()));
    }
    let held = believed_head(ledger, serving, Role::Keeper)?;
    let Some(forwarded) = forwarded else {
        let message = "App has forwarded keeper's head before and does not now; run the newer App again";
        let missed = held.is_some_and(|(_, before)| before);
        return Ok(if missed { Err(Stop::unavailable("KeeperHeadMissing", message)) } else { Ok(()) });
    };
    let place = |head: &AuditHead| (head.epoch, head.overrides, head.count);
    let keep = match held {
        Some((held, _)) if forwarded.head.superseded_by(&held.head) => {
            let message = "another start of keeper has been vouched for since it made the hot signature; ask keeper for it \
                           again, with the same operation id, and forward the head of that answer";
            return Ok(Err(Stop::unavailable("KeeperSuperseded", message)));
        }
        Some((held, before)) if place(&forwarded.head) <= place(&held.head) => (!before).then_some(held),
        _ => Some(forwarded.clone()),
    };
    if let Some(head) = keep {
        ledger.keep_head(Role::Keeper.as_str(), &head, true)?;
    }
    Ok(Ok(()))
}

/// The head that is held of a signer, unless a key attested it that is not approved any more: that says nothing of the
/// present start. And whether App has forwarded one.
fn believed_head(
    ledger: &Ledger<'_>,
    serving: &SigningContext,
    role: Role,
) -> Result<Option<(PeerHead, bool)>, StoreError> {
    let approved = |held: &PeerHead| {
        let keys = serving.peers.message_keys(role);
        keys.iter().any(|key| key.as_bytes()[..] == held.attestation.signer)
    };
    Ok(ledger.held_head(role.as_str())?.filter(|(held, _)| approved(held)))
}

/// Who has to have vouched for a start.
pub fn vouchers(serving: &SigningContext) -> Vec<Role> {
    let other = if serving.role == Role::Keeper { Role::Cooler } else { Role::Keeper };
    if serving.observed { vec![other, Role::Sentinel] } else { vec![other] }
}
