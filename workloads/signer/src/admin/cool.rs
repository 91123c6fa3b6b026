//! The cool phrase, brought from the cool station.

use custody::{Role, manifest::VerifiedManifest, sealed_phrase::SealedCool};
use rand_core::OsRng;
use signer::{identity, pipeline::seal_cool_keys, store::Store};
use workload::place::Place;

use super::session::{AdminError, documents};

/// `cooler import`: opens the sealed phrase with the own XKey and accepts only the phrase of the pinned manifest.
pub(crate) async fn import(place: &Place, sealed: &[u8]) -> Result<VerifiedManifest, AdminError> {
    let sealed = SealedCool::parse(sealed)?;
    let store = Store::open(&place.data_dir)?;
    let (trust, manifest) = documents(place, Role::Cooler, &store).await?;
    let sealer = place.sealer(&trust.vault)?;
    let own = identity::reopen(&store, &sealer).await?;
    identity::reauthenticate(&store, &sealer, &mut OsRng).await?;
    let phrase = custody::sealed_phrase::open(&sealed, &own.xkey(), &manifest)?;
    let rows = seal_cool_keys::<AdminError>(&sealer, manifest.custody_id(), &phrase.keys()).await?;
    if store.keep_cool_keys(rows).await? { Ok(manifest) } else { Err(AdminError::OtherCoolKey) }
}
