//! What others tell a signer: the other signer shows its audit head, the observer attests settlements and grants the
//! lease, and anybody who is believed may freeze. None of it waits for lock, lease or thaw.

use std::sync::Arc;

use audit::{Decision, Entry};
use custody::{Role, WalletId};
use prost::Message;
use protocol::{
    attestation::{attest_audit_head, audit_head},
    ops::{Attestation, AuditHead, Done, EchoHead, Freeze, Held, MAX_BATCH_ITEMS, Outcome, Settle, Settlement},
};

use super::{Serving, Signer, Stop, request::Accepted};
use crate::store::{Ledger, PeerHead, Settled, StoreError};

/// Longest reason of a freeze that is kept, characters.
const MAX_REASON: usize = 300;

/// Frozen on disk before it is confirmed; again is no error.
pub(super) async fn freeze(
    signer: &Signer,
    serving: &Arc<Serving>,
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
    serving: &Arc<Serving>,
    accepted: Accepted,
    settle: Settle,
) -> Result<Outcome, Stop> {
    if settle.settlements.len() > MAX_BATCH_ITEMS {
        return Err(Stop::refused("Malformed", format!("at most {MAX_BATCH_ITEMS} settlements are taken at once")));
    }
    let serving = serving.clone();
    let decide = move |ledger: &Ledger<'_>| {
        // First whether all can be noted, so that nothing is half done.
        for settlement in &settle.settlements {
            if let Err(stop) = acceptable(ledger, settlement)? {
                return Ok(Err(stop));
            }
        }
        for settlement in &settle.settlements {
            note(ledger, &serving, &accepted, settlement)?;
        }
        Ok(Ok(Outcome::Done(Done {})))
    };
    signer.decide(decide).await?
}

fn acceptable(ledger: &Ledger<'_>, settlement: &Settlement) -> Result<Result<(), Stop>, StoreError> {
    let Settlement { wallet, chain, nonce, digest } = settlement;
    if digest.len() != 32 || i64::try_from(*nonce).is_err() {
        return Ok(Err(Stop::refused("Malformed", "a settlement has a digest of 32 bytes and a nonce below 2^63")));
    }
    if !ledger.is_registered(wallet, chain)? {
        let message = format!("wallet '{wallet}' is not registered on {chain}");
        return Ok(Err(Stop::refused("WalletUnknown", message)));
    }
    Ok(match ledger.settled(wallet, chain, *nonce)? {
        Some(known) if known[..] != digest[..] => {
            let message = format!("another digest was attested for nonce {nonce} of wallet {wallet}");
            Err(Stop::refused("SettledOtherwise", message))
        }
        _ => Ok(()),
    })
}

fn note(
    ledger: &Ledger<'_>,
    serving: &Serving,
    accepted: &Accepted,
    settlement: &Settlement,
) -> Result<(), StoreError> {
    let Settlement { wallet, chain, nonce, digest } = settlement;
    let Ok(bytes) = <[u8; 32]>::try_from(digest.as_slice()) else {
        return Err(StoreError::Failed("a settlement without digest".to_owned()));
    };
    if ledger.settle(wallet, chain, *nonce, &bytes)? != Settled::Noted {
        return Ok(());
    }
    ledger.append(Entry {
        decision: Decision::Done,
        wallet: wallet.clone(),
        chain: chain.clone(),
        digest: digest.clone(),
        ..accepted.entry(serving, ledger.now_ms())
    })?;
    Ok(())
}

/// Answers with the head that was held before, and keeps the one that is shown unless the other signer is locked: then
/// it is the other signer that does not know yet whether its chain is the newest.
pub(super) async fn echo(
    signer: &Signer,
    serving: &Arc<Serving>,
    accepted: Accepted,
    echo: EchoHead,
) -> Result<Outcome, Stop> {
    let (role, locked) = (accepted.asker.role, echo.locked);
    let attestation = echo.head.ok_or_else(|| Stop::refused("Malformed", "no head is shown"))?;
    let head = audit_head(&attestation, &serving.peers.message_keys(role))?;
    if head.custody_id != serving.custody_id().as_bytes() || head.role != role.as_str() {
        return Err(Stop::refused("AttestationNotBelieved", "this head is of another custody or signer"));
    }
    let shown = PeerHead { overrides: head.overrides, count: head.count, attestation: attestation.encode_to_vec() };
    let decide = move |ledger: &Ledger<'_>| {
        let held = ledger.peer_head(role.as_str())?;
        if !locked {
            ledger.keep_peer_head(role.as_str(), &shown)?;
        }
        Ok(held)
    };
    let held = signer.decide(decide).await?;
    let unreadable = |_| Stop::unavailable("StoreDamaged", "a stored head is not readable; restore the volume");
    let head = held.map(|held| Attestation::decode(held.as_slice())).transpose().map_err(unreadable)?;
    Ok(Outcome::Held(Held { head }))
}

/// This signer's statement of its own head.
pub(super) fn attest(serving: &Serving, head: audit::Head, overrides: u64, at_ms: u64) -> Attestation {
    let statement = AuditHead {
        custody_id: serving.custody_id().as_bytes().to_vec(),
        role: serving.role.to_string(),
        count: head.count,
        hash: head.hash.to_vec(),
        at_ms,
        overrides,
    };
    attest_audit_head(&statement, serving.keys.own().message_key())
}

/// Who has to have vouched for a start.
pub(crate) fn vouchers(serving: &Serving) -> Vec<Role> {
    let other = if serving.role == Role::Keeper { Role::Cooler } else { Role::Keeper };
    if serving.observed { vec![other, Role::Observer] } else { vec![other] }
}
