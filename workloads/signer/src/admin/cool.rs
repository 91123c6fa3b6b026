//! The cool phrase, brought from the cool room.

use custody::{Role, manifest::VerifiedManifest, phrase::NAMESPACES, sealed_phrase::SealedCool};
use signer::{
    identity,
    pipeline::cool_key_context,
    store::{SealedKey, Store},
};
use workload::place::Place;

use super::session::{AdminError, documents};

/// `cooler import`: opens the sealed phrase with the own XKey and accepts only the phrase of the pinned manifest.
pub(crate) async fn import(place: &Place, sealed: &[u8]) -> Result<VerifiedManifest, AdminError> {
    let sealed = SealedCool::parse(sealed)?;
    let store = Store::open(&place.data_dir)?;
    let (trust, manifest) = documents(place, Role::Cooler, &store).await?;
    let sealer = place.sealer(&trust.vault)?;
    let own = identity::reopen(&store, &sealer).await?;
    let phrase = custody::sealed_phrase::open(&sealed, &own.xkey(), &manifest)?;
    let (keys, custody) = (phrase.keys(), manifest.custody_id());
    let mut secrets = Vec::with_capacity(NAMESPACES.len());
    for namespace in NAMESPACES {
        secrets.push((cool_key_context(custody, namespace), keys.secret(namespace)?));
    }
    let secrets: Vec<_> = secrets.iter().map(|(context, secret)| (*context, secret.as_slice())).collect();
    let mut rows = Vec::with_capacity(NAMESPACES.len());
    for (namespace, secret) in NAMESPACES.into_iter().zip(sealer.seal(&secrets).await?) {
        let public_key = keys.public_key(namespace)?.to_vec();
        rows.push(SealedKey { namespace: namespace.to_owned(), public_key, secret });
    }
    if store.keep_cool_keys(rows).await? { Ok(manifest) } else { Err(AdminError::OtherCoolKey) }
}
