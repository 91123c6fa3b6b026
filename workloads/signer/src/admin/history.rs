//! The signing history as a file, out of one store and into another.

use audit::Entry;
use clock::now_ms;
use custody::Role;
use signer::{history::History, store::Ledger};
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done, admin_entry, documents};

/// `history export`.
pub(crate) async fn export(place: &Place, role: Role) -> Result<String, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let (_, manifest) = documents(place, role, &session.store).await?;
    let empty = History::empty(manifest.custody_id(), role);
    Ok(session.look(move |ledger| ledger.history(empty)).await?.to_json()?)
}

/// `history import`: all of the file, or nothing.
pub(crate) async fn import(place: &Place, role: Role, file: &[u8]) -> Result<Done, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let (_, manifest) = documents(place, role, &session.store).await?;
    let history = History::parse(file, manifest.custody_id(), role)?;
    let entry = admin_entry(role, Some(manifest.custody_id()), "HistoryImport", now_ms());
    let nonces: usize = history.wallets.iter().map(|it| it.signed.len()).sum();
    let what = format!("{} wallet(s) with {nonces} signature(s), as of the file", history.wallets.len());
    let import = move |ledger: &Ledger<'_>| {
        let imported = ledger.import(&history)?;
        if imported == Ok(true) {
            ledger.append(Entry { at_ms: ledger.now_ms(), ..entry })?;
        }
        Ok(imported)
    };
    let changed = session.decide(import).await??;
    let message = if changed { format!("imported: {what}") } else { format!("all of it was here already: {what}") };
    Ok(Done::new(changed, message))
}
