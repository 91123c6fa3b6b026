//! What others tell a signer: the other signer shows its audit head, the sentinel attests settlements and grants the
//! lease, and anybody who is believed may freeze. None of it waits for lock, lease or thaw.

use std::sync::Arc;

use audit::{Decision, Entry};
use custody::{Role, WalletId};
use prost::Message;
use protocol::{
    attestation::audit_head,
    ops::{Attestation, AuditHead, Done, EchoHead, Freeze, Held, MAX_BATCH_ITEMS, Outcome, Settle},
};

use super::{context::SigningContext, request::Accepted, settlement, signer::Signer, stop::Stop};
use crate::store::{Ledger, PeerHead};

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
        if ledger.freeze(&freeze.wallet, accepted.asker.role.as_str(), &reason)? {
            let entry = Entry { decision: Decision::Done, ..accepted.entry(&serving, ledger.now_ms()) };
            ledger.append(entry)?;
        }
        Ok(Outcome::Done(Done {}))
    };
    signer.decide(decide).await
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
    signer.decide(decide).await??;
    Ok(Outcome::Done(Done {}))
}

/// Answers with the head that was held before, and keeps the one that is shown unless the other signer is locked: then
/// it is the other signer that does not know yet whether its chain is the newest.
pub(super) async fn echo(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
    echo: EchoHead,
) -> Result<Outcome, Stop> {
    let (role, locked) = (accepted.asker.role, echo.locked);
    let attestation = echo.head.ok_or_else(|| Stop::refused("Malformed", "no head is shown"))?;
    let head = audit_head(&attestation, &serving.peers.message_keys(role))?;
    if head.custody_id != serving.custody_id().as_bytes() || head.role != role.as_str() {
        return Err(Stop::refused("AttestationNotBelieved", "this head is of another custody or signer"));
    }
    let (overrides, count) = (head.overrides, head.count);
    let shown = PeerHead { overrides, count, attestation: attestation.encode_to_vec() };
    let decide = move |ledger: &Ledger<'_>| {
        let held = ledger.peer_head(role.as_str())?;
        if !locked {
            ledger.keep_peer_head(role.as_str(), &shown)?;
        }
        Ok(held)
    };
    let held = signer.decide(decide).await?;
    let unreadable = |_| Stop::unavailable("StoreDamaged", "a stored head is not readable; restore the volume");
    let held = held.map(|held| Attestation::decode(held.as_slice())).transpose().map_err(unreadable)?;
    if let Some(before) = held.as_ref().and_then(|held| AuditHead::decode(held.body.as_slice()).ok())
        && !extends(&before, &head)
    {
        tracing::warn!(
            %role, shown = head.count, held = before.count,
            "a signer shows an audit head that does not extend the one held here; its volume was rolled back or forked"
        );
    }
    Ok(Outcome::Held(Held { head: held }))
}

/// Whether a later head can be of the same chain, or of one that the admin accepted since.
fn extends(before: &AuditHead, shown: &AuditHead) -> bool {
    shown.overrides > before.overrides
        || shown.count > before.count
        || (shown.count == before.count && shown.hash == before.hash)
}

/// Who has to have vouched for a start.
pub fn vouchers(serving: &SigningContext) -> Vec<Role> {
    let other = if serving.role == Role::Keeper { Role::Cooler } else { Role::Keeper };
    if serving.observed { vec![other, Role::Sentinel] } else { vec![other] }
}
