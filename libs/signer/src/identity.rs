//! The signer's own keys: made once, sealed by its own Vault, opened again at every start. What leaves is the public
//! half with proof that the private one is held. Beside them is the key by which the rows of its store are authenticated,
//! made and sealed in the same way.

use std::sync::Arc;

use audit::{Decision, Entry};
use custody::{
    CustodyId, Role,
    identity::{Identity, prove, statement},
};
use ed25519_dalek::SigningKey;
use nkeys::{KeyPair, KeyPairType, XKey};
use protocol::envelope::OwnKeys;
use rand_core::CryptoRngCore;
use sealing::{Context, Sealer};
use zeroize::Zeroizing;

use crate::store::{STORE_KEY_MADE, SealedIdentity, Store, StoreError, StoreKey};

/// What each seed is for, as its sealing context names it: connection, messages, envelopes.
pub const PURPOSES: [&str; 3] = ["identity.nats.v1", "identity.message.v1", "identity.xkey.v1"];
/// What the store key is for, as its sealing context names it.
pub const STORE_KEY_PURPOSE: &str = "store.rows.v1";

/// Why the keys are not there.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Vault did not seal or open the seeds.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The process makes them at its first start.
    #[error("this signer has not made its keys yet; start it first and wait for its report")]
    NotMade,
    /// Opened, but not a seed.
    #[error("the sealed {0} key is not usable; restore the volume, or empty it and approve the new keys")]
    Malformed(&'static str),
}

type Seed = Zeroizing<[u8; 32]>;

/// The opened keys. Seeds are wiped on drop; nothing here can be printed.
pub struct Keys {
    nats_seed: Seed,
    nats_user: String,
    own: Arc<OwnKeys>,
}

/// Opens the stored keys, or makes and seals them at the first start.
pub async fn open_or_make(
    store: &Store,
    sealer: &Sealer,
    rng: &mut (impl CryptoRngCore + Send),
) -> Result<Keys, IdentityError> {
    if let Some(sealed) = store.identity().await? {
        return open(sealer, &sealed).await;
    }
    if store.sealed_store_key().await?.is_some() {
        return Err(StoreError::Tampered("its own keys are missing".to_owned()).into());
    }
    let seeds = [seed(rng), seed(rng), seed(rng)];
    let secrets: Vec<_> = PURPOSES.iter().zip(&seeds).map(|(purpose, seed)| (context(purpose), &seed[..])).collect();
    let sealed = <[String; 3]>::try_from(sealer.seal(&secrets).await?).map_err(|_| IdentityError::Malformed("new"))?;
    let [nats_seed, message_seed, xkey_seed] = sealed;
    let made = SealedIdentity { nats_seed, message_seed, xkey_seed };
    // Opened from what stays on disk: that is the proof that it can be opened at the next start.
    open(sealer, &store.keep_identity(made).await?).await
}

/// Opens the stored keys; a command makes none.
pub async fn reopen(store: &Store, sealer: &Sealer) -> Result<Keys, IdentityError> {
    let sealed = store.identity().await?.ok_or(IdentityError::NotMade)?;
    open(sealer, &sealed).await
}

async fn open(sealer: &Sealer, sealed: &SealedIdentity) -> Result<Keys, IdentityError> {
    let ciphertexts = [&sealed.nats_seed, &sealed.message_seed, &sealed.xkey_seed];
    let sealed: Vec<_> =
        PURPOSES.iter().zip(ciphertexts).map(|(purpose, value)| (context(purpose), value.as_str())).collect();
    let mut seeds = Vec::with_capacity(PURPOSES.len());
    for (opened, purpose) in sealer.open_many(&sealed).await?.into_iter().zip(PURPOSES) {
        let seed = <[u8; 32]>::try_from(opened?.as_slice()).map_err(|_| IdentityError::Malformed(purpose))?;
        seeds.push(Zeroizing::new(seed));
    }
    let [nats, message, xkey] = <[Seed; 3]>::try_from(seeds).map_err(|_| IdentityError::Malformed("own"))?;
    Keys::new(nats, message, xkey)
}

/// Opens the store key and compares all rows of the store with what its holders wrote. Where nobody ever made a key, one
/// is made at `now_ms`, on the record of the signer of this `role`, and the rows are believed as they are.
pub async fn authenticate(
    store: &Store,
    sealer: &Sealer,
    role: Role,
    now_ms: u64,
    rng: &mut (impl CryptoRngCore + Send),
) -> Result<(), IdentityError> {
    if store.sealed_store_key().await?.is_none() {
        let sealed = sealer.seal(&[(context(STORE_KEY_PURPOSE), &seed(rng)[..])]).await?;
        let [sealed] = <[String; 1]>::try_from(sealed).map_err(|_| IdentityError::Malformed("store"))?;
        // Opened from what is kept, as at every later start.
        let key = open_store_key(sealer, sealed.clone(), rng).await?;
        let made = Entry {
            at_ms: now_ms,
            role: role.to_string(),
            requester: role.to_string(),
            operation: STORE_KEY_MADE.to_owned(),
            decision: Decision::Done,
            ..Entry::default()
        };
        store.keep_store_key(sealed, key, made).await?;
    }
    reauthenticate(store, sealer, rng).await?;
    Ok(store.compare_rows().await?)
}

/// Opens the store key, for a command that writes beside the process: it compares what the tally says of the audit chain
/// and no rows, which is left to the next start. A store without a key is written to as it is.
pub async fn reauthenticate(
    store: &Store,
    sealer: &Sealer,
    rng: &mut (impl CryptoRngCore + Send),
) -> Result<(), IdentityError> {
    match store.sealed_store_key().await? {
        Some(sealed) => Ok(store.authenticate(open_store_key(sealer, sealed, rng).await?).await?),
        None => Ok(()),
    }
}

async fn open_store_key(
    sealer: &Sealer,
    sealed: String,
    rng: &mut (impl CryptoRngCore + Send),
) -> Result<Arc<StoreKey>, IdentityError> {
    let opened = sealer.open(context(STORE_KEY_PURPOSE), sealed).await?;
    let secret = <&[u8; 32]>::try_from(opened.as_slice()).map_err(|_| IdentityError::Malformed("store"))?;
    Ok(Arc::new(StoreKey::new(secret, rng)))
}

impl Keys {
    /// From three seeds of 32 bytes.
    pub fn new(nats_seed: Seed, message_seed: Seed, xkey_seed: Seed) -> Result<Self, IdentityError> {
        let nats_user = nats_user(&nats_seed)?.public_key();
        Ok(Self { nats_seed, nats_user, own: Arc::new(OwnKeys::from_seeds(&message_seed, &xkey_seed)) })
    }

    /// Message key and XKey, as the envelope uses them.
    pub fn own(&self) -> &Arc<OwnKeys> {
        &self.own
    }

    /// The key that messages, and the cool phrase, are sealed to.
    pub fn xkey(&self) -> XKey {
        XKey::new_from_raw(*self.own.xkey_seed())
    }

    /// The key of the connection to the broker.
    pub fn nats(&self) -> Result<KeyPair, IdentityError> {
        nats_user(&self.nats_seed)
    }

    /// Public half of the connection's key, `U...`.
    pub fn nats_user(&self) -> &str {
        &self.nats_user
    }

    /// What the report shows: the public halves, with proof by message key and NATS key.
    pub fn identity(&self, role: Role, custody_id: Option<CustodyId>) -> Identity {
        let public = self.own.public();
        let statement = statement(role, custody_id, &self.nats_user, public);
        Identity {
            role,
            custody_id,
            nats_user: self.nats_user.clone(),
            keys: public.clone(),
            message_proof: prove(self.own.message_key(), &statement),
            // An NKey's seed is an ed25519 seed; this signing key is wiped, nkeys' own is not.
            nats_proof: prove(&SigningKey::from_bytes(&self.nats_seed), &statement),
        }
    }
}

fn nats_user(seed: &Seed) -> Result<KeyPair, IdentityError> {
    KeyPair::new_from_raw(KeyPairType::User, **seed).map_err(|_| IdentityError::Malformed(PURPOSES[0]))
}

/// The context of a seed. Made before any custody is known, so no custody and no wallet are in the context.
pub fn context(purpose: &str) -> Context {
    Context::new(b"", "", purpose)
}

fn seed(rng: &mut impl CryptoRngCore) -> Seed {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(seed.as_mut_slice());
    seed
}

#[cfg(test)]
pub(crate) mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    pub(crate) fn keys(n: u8) -> Keys {
        Keys::new(Zeroizing::new([n; 32]), Zeroizing::new([n + 1; 32]), Zeroizing::new([n + 2; 32])).unwrap()
    }

    #[test]
    fn an_identity_proves_both_of_its_keys() {
        let keys = keys(1);
        let identity = keys.identity(Role::Keeper, None);
        custody::identity::verify(&identity).unwrap();
        let statement = statement(Role::Keeper, None, &identity.nats_user, &identity.keys);
        let proof = HEXLOWER.decode(identity.nats_proof.as_bytes()).unwrap();
        KeyPair::from_public_key(&identity.nats_user).unwrap().verify(&statement, &proof).unwrap();
        assert!(identity.nats_user.starts_with('U') && identity.keys.xkey.starts_with('X'));
    }

    #[test]
    fn a_proof_names_the_custody() {
        let keys = keys(1);
        let id = CustodyId::from_slice(&[7; 16]).unwrap();
        let identity = keys.identity(Role::Cooler, Some(id));
        custody::identity::verify(&identity).unwrap();
        let moved = Identity { custody_id: None, ..identity };
        assert!(custody::identity::verify(&moved).is_err());
    }
}
