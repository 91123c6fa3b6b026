//! Payments that wait for their time lock, and the admin's veto.

use std::fmt;

use audit::{Decision, Entry};
use chain::hex::Hex;
use custody::Role;
use serde::Serialize;
use signer::store::{Announcement, Ledger, StoreError};
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done};

/// What waits, or was vetoed.
#[derive(Debug, Serialize)]
pub(crate) struct PendingList {
    pending: Vec<Waiting>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    digest: Hex<32>,
    wallet: String,
    chain: String,
    summary: String,
    since_ms: u64,
    vetoed: bool,
}

/// `pending`: oldest first; what was signed in the meantime waits no more.
pub(crate) async fn pending(place: &Place, role: Role) -> Result<PendingList, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let waiting = |Announcement { digest, wallet, chain, summary, at_ms, vetoed }| Waiting {
        digest: Hex(digest),
        wallet,
        chain,
        summary,
        since_ms: at_ms,
        vetoed,
    };
    let pending = session.look(unsigned).await?.into_iter().map(waiting).collect();
    Ok(PendingList { pending })
}

fn unsigned(ledger: &Ledger<'_>) -> Result<Vec<Announcement>, StoreError> {
    let mut waiting = Vec::new();
    for announced in ledger.announcements()? {
        if !ledger.has_signed_transaction(&announced.wallet, &announced.chain, &announced.digest)? {
            waiting.push(announced);
        }
    }
    Ok(waiting)
}

impl fmt::Display for PendingList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pending.is_empty() {
            return f.write_str("nothing waits");
        }
        self.pending.iter().try_for_each(|Waiting { digest, chain, summary, since_ms, vetoed, .. }| {
            let state = if *vetoed { "vetoed" } else { "waits" };
            writeln!(f, "{digest} {state} since {since_ms} ms: {summary} on {chain}")
        })
    }
}

/// What a veto finds.
enum Found {
    Nothing,
    Signed,
    Vetoed { changed: bool, summary: String },
}

/// `veto`: this digest is never signed here, whatever its time lock.
pub(crate) async fn veto(place: &Place, role: Role, digest: Hex<32>) -> Result<Done, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let entry = Entry { digest: digest.0.to_vec(), decision: Decision::Done, ..session.entry("Veto", 0) };
    let found = session
        .decide(move |ledger| {
            let Some(waits) = ledger.announcement(&digest.0)? else { return Ok(Found::Nothing) };
            let Announcement { wallet, chain, summary, .. } = waits;
            if ledger.has_signed_transaction(&wallet, &chain, &digest.0)? {
                return Ok(Found::Signed);
            }
            let changed = ledger.veto(&digest.0)?;
            if changed {
                ledger.append(Entry { at_ms: ledger.now_ms(), wallet, chain, ..entry })?;
            }
            Ok(Found::Vetoed { changed, summary })
        })
        .await?;
    match found {
        Found::Nothing => Err(AdminError::Refused(format!("nothing with digest {digest} waits; see `pending`"))),
        Found::Signed => {
            Err(AdminError::Refused(format!("{digest} was signed already; only the cancel of its nonce can outrun it")))
        }
        Found::Vetoed { changed: true, summary } => Ok(Done::new(true, format!("vetoed: {summary}"))),
        Found::Vetoed { changed: false, summary } => Ok(Done::new(false, format!("was vetoed before: {summary}"))),
    }
}
