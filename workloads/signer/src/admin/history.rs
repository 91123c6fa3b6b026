//! The signing history as a file, out of one store and into another.

use std::io::Write;

use audit::Entry;
use clock::now_ms;
use custody::{Role, trust::MemberTrust};
use ed25519_dalek::VerifyingKey;
use signer::{
    history::{History, Signed},
    identity::{self, Keys},
    store::Ledger,
};
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done, admin_entry, documents};

/// `history export`: with the signature of the signer's message key, where it opens.
pub(crate) async fn export(place: &Place, role: Role, output: impl Write + Send + 'static) -> Result<(), AdminError> {
    let session = AdminSession::open(place, role).await?;
    let (trust, manifest) = documents(place, role, &session.store).await?;
    let keys = match own_keys(place, &session, &trust).await {
        Ok(keys) => Some(keys),
        Err(why) => {
            tracing::warn!(%why, "the history is not signed: the keys don't open; it is complete without");
            None
        }
    };
    let custody = manifest.custody_id();
    let write = move |ledger: &Ledger<'_>| {
        let key = keys.as_ref().map(|keys| keys.own().message_key());
        Ok(ledger.write_history(custody, role, key, output).map(drop))
    };
    Ok(session.export(write).await??)
}

/// Whose signature an import goes by.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accepted {
    /// Message keys that the signer had before.
    pub(crate) keys: Vec<VerifyingKey>,
    /// Whether nobody need have signed it.
    pub(crate) unsigned: bool,
}

/// `history import`: all of the file, or nothing. Besides the accepted keys the signer's present one counts.
pub(crate) async fn import(place: &Place, role: Role, file: &[u8], mut accepted: Accepted) -> Result<Done, AdminError> {
    let session = AdminSession::keyed(place, role).await?;
    let (trust, manifest) = documents(place, role, &session.store).await?;
    let signed = Signed::read(file);
    if signed.signer.is_some_and(|signer| accepted.keys.iter().all(|key| key.as_bytes() != &signer)) {
        match own_keys(place, &session, &trust).await {
            Ok(keys) => accepted.keys.push(keys.own().message_key().verifying_key()),
            Err(why) => tracing::warn!(%why, "this signer's own keys don't open: they can't have signed the file"),
        }
    }
    let document = signed.document(&accepted.keys, accepted.unsigned)?;
    let history = History::parse(document, manifest.custody_id(), role)?;
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

async fn own_keys(place: &Place, session: &AdminSession, trust: &MemberTrust) -> Result<Keys, AdminError> {
    Ok(identity::reopen(&session.store, &*place.sealer(&trust.vault)?).await?)
}
