//! The audit chain as a file (`docs/audit.md`), written record by record, with the head signed where the keys open.

use std::io::Write;

use audit::{Head, HeadAttestation, Header};
use clock::now_ms;
use custody::{CustodyId, Role};
use signer::{identity, pipeline::attest};
use workload::place::Place;

use super::session::{AdminError, AdminSession, documents};

/// `audit export`: up to the head of now; what comes meanwhile is for the next export.
pub(crate) async fn export(
    place: &Place,
    role: Role,
    mut output: impl Write + Send + 'static,
) -> Result<(), AdminError> {
    let session = AdminSession::open(place, role).await?;
    let (head, named) = session.look(|ledger| Ok((ledger.head()?, ledger.named_custody()?))).await?;
    let custody_id = session.custody.map_or(named, |custody| custody.as_bytes().to_vec());
    let mut header = Header::new(role.as_str(), custody_id.clone(), head);
    match signed_head(place, &session, head).await {
        Ok((custody, attestation)) if custody_id.is_empty() || custody.as_bytes()[..] == custody_id => {
            header.attestation = Some(attestation);
        }
        Ok(_) => tracing::warn!("the head is not attested: this data centre now pins another custody than the chain's"),
        Err(why) => {
            tracing::warn!(%why, "the head is not attested: the keys don't open; the chain is complete without")
        }
    }
    Ok(session.export(move |ledger| Ok(ledger.write_audit(&header, &mut output))).await??)
}

async fn signed_head(
    place: &Place,
    session: &AdminSession,
    head: Head,
) -> Result<(CustodyId, HeadAttestation), AdminError> {
    let (trust, manifest) = documents(place, session.role, &session.store).await?;
    let keys = identity::reopen(&session.store, &*place.sealer(&trust.vault)?).await?;
    let (custody, own) = (manifest.custody_id(), keys.own().message_key().verifying_key());
    let overrides = session.look(move |ledger| ledger.overrides(&own)).await?;
    Ok((custody, attest(session.role, custody, &keys, head, overrides, None, now_ms()).into()))
}
