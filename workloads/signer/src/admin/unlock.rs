//! The admin's word that this chain is to go on, although the others know more of it, or nothing.

use audit::Entry;
use custody::Role;
use rand_core::OsRng;
use signer::identity;
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done, admin_entry, documents};

/// `unlock`: opens the present start of a process that runs beside; the next start is locked again. The acceptance is
/// attested by the signer's own key, so that it takes the Vault and not only the volume.
pub(crate) async fn unlock(place: &Place, role: Role, reason: String) -> Result<Done, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let (trust, manifest) = documents(place, role, &session.store).await?;
    let sealer = place.sealer(&trust.vault)?;
    let own = identity::reopen(&session.store, &sealer).await?.own().clone();
    identity::reauthenticate(&session.store, &sealer, &mut OsRng).await?;
    let custody = manifest.custody_id();
    let entry = Entry { reason, ..admin_entry(role, Some(custody), "Unlock", 0) };
    let head = session
        .decide(move |ledger| {
            let head = ledger.append(Entry { at_ms: ledger.now_ms(), ..entry })?;
            ledger.accept_chain(own.message_key(), custody, role)?;
            Ok(head)
        })
        .await?;
    let message = format!(
        "the chain of {role} is accepted as it is, record {} says so: a process that runs now serves within seconds, a \
         later start is locked again until the others vouch for it. What was signed and is not in this store is \
         forgotten here: `history import` it first if there is a file",
        head.count
    );
    Ok(Done::new(true, message))
}
