//! `CreateWallet`, Keeper only: a phrase of its own per user, sealed at once, its public keys attested.

use custody::{Role, WalletId, phrase::NAMESPACES, phrase::Phrase};
use prost::Message;
use protocol::{
    attestation::attest_hot_keys,
    ops::{Attestation, CreateWallet, HotKeys, NamespaceKey, Outcome},
};
use rand_core::OsRng;
use zeroize::Zeroizing;

use super::{Serving, Stop, entropy_context, hot_key_context};
use crate::store::{HotWallet, SealedKey, Store};

pub(super) async fn create(store: &Store, serving: &Serving, create: &CreateWallet) -> Result<Outcome, Stop> {
    if serving.role != Role::Keeper {
        return Err(Stop::refused("NotServedHere", "only keeper makes hot keys"));
    }
    let wallet = wallet_id(&create.wallet)?;
    if let Some(attestation) = store.hot_attestation(wallet.as_str()).await? {
        return created(&attestation);
    }
    // Stretching a phrase takes milliseconds of computing.
    let secrets = tokio::task::spawn_blocking(|| Secrets::make(&Phrase::generate(&mut OsRng)))
        .await
        .map_err(|_| Stop::unavailable("Stopping", "this signer is ending"))??;
    let made = secrets.seal(serving, &wallet).await?;
    // Somebody else may have made one meanwhile: what is on disk is the answer.
    created(&store.keep_hot(made).await?)
}

fn created(attestation: &[u8]) -> Result<Outcome, Stop> {
    let unreadable = || Stop::unavailable("StoreDamaged", "a stored attestation is not readable; restore the volume");
    Attestation::decode(attestation).map(Outcome::Created).map_err(|_| unreadable())
}

pub(super) fn wallet_id(text: &str) -> Result<WalletId, Stop> {
    text.parse().map_err(|error: custody::ids::NameError| Stop::refused("Malformed", error.to_string()))
}

/// A new phrase's entropy and its keys.
struct Secrets {
    entropy: Zeroizing<[u8; 32]>,
    keys: Vec<HotKey>,
}

/// A key pair for a family of chains.
struct HotKey {
    namespace: &'static str,
    secret: Zeroizing<[u8; 32]>,
    public_key: Vec<u8>,
}

impl Secrets {
    fn make(phrase: &Phrase) -> Result<Self, Stop> {
        let underivable = |_| Stop::unavailable("Underivable", "a new phrase had no key; ask again");
        let derived = phrase.keys();
        let mut keys = Vec::with_capacity(NAMESPACES.len());
        for namespace in NAMESPACES {
            let secret = derived.secret(namespace).map_err(underivable)?;
            let public_key = derived.public_key(namespace).map_err(underivable)?.to_vec();
            keys.push(HotKey { namespace, secret, public_key });
        }
        Ok(Self { entropy: phrase.entropy(), keys })
    }

    /// All in one batch, each for its own purpose.
    async fn seal(self, serving: &Serving, wallet: &WalletId) -> Result<HotWallet, Stop> {
        let custody = serving.custody_id();
        let mut secrets = vec![(entropy_context(custody, wallet.as_str()), self.entropy.as_slice())];
        for HotKey { namespace, secret, .. } in &self.keys {
            secrets.push((hot_key_context(custody, wallet.as_str(), namespace), secret.as_slice()));
        }
        let mut sealed = serving.sealer.seal(&secrets).await?.into_iter();
        let entropy = sealed.next().unwrap_or_default();
        let keys: Vec<SealedKey> = self
            .keys
            .iter()
            .zip(sealed)
            .map(|(HotKey { namespace, public_key, .. }, secret)| SealedKey {
                namespace: (*namespace).to_owned(),
                public_key: public_key.clone(),
                secret,
            })
            .collect();
        let public = keys
            .iter()
            .map(|key| NamespaceKey { namespace: key.namespace.clone(), public_key: key.public_key.clone() });
        let statement =
            HotKeys { custody_id: custody.as_bytes().to_vec(), wallet: wallet.to_string(), keys: public.collect() };
        let attestation = attest_hot_keys(&statement, serving.keys.own().message_key()).encode_to_vec();
        Ok(HotWallet { wallet: wallet.to_string(), entropy, keys, attestation })
    }
}
