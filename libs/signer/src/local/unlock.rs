//! The admin's word that this chain is to go on, although the others know more of it, or nothing.

use audit::Entry;
use custody::Role;

use super::{Desk, Done, LocalError};
use crate::wiring::Place;

/// `unlock`: opens the present start of a process that runs beside; the next start is locked again.
pub(crate) async fn unlock(place: &Place, role: Role, reason: String) -> Result<Done, LocalError> {
    let desk = Desk::open(place, role).await?;
    let entry = Entry { reason, ..desk.entry("Unlock", 0) };
    let head = desk
        .decide(move |ledger| {
            ledger.accept_chain()?;
            ledger.append(Entry { at_ms: ledger.now_ms(), ..entry })
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
