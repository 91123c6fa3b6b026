//! `CreateWallet`, Keeper only: a phrase of its own per user, sealed at once, its public keys attested.

use std::sync::Arc;

use audit::{Decision, Entry};
use custody::{Role, WalletId, phrase::NAMESPACES, phrase::Phrase};
use prost::Message;
use protocol::{
    attestation::attest_hot_keys,
    ops::{Attestation, HotKeys, NamespaceKey, Operation, Outcome},
};
use rand_core::OsRng;
use sealing::ClientKey;
use zeroize::Zeroizing;

use super::{
    context::{SigningContext, entropy_context, hot_key_context},
    request::Accepted,
    results::finish,
    room,
    signer::Signer,
    stop::Stop,
};
use crate::{
    fault,
    store::{HotWallet, Quoted, Recall, SealedKey},
};

pub(super) async fn create(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
) -> Result<Outcome, Stop> {
    let made = match make(signer, serving, &accepted).await {
        Err(Stop::Refused(refusal)) => return signer.conclude(serving, accepted, Stop::Refused(refusal)).await,
        other => other?,
    };
    fault::point("created");
    let (serving, most) = (serving.clone(), signer.most_wallets());
    let outcome = signer.decide(move |ledger| {
        if let Some(frozen) = ledger.frozen("")? {
            return Ok(Err(Stop::frozen(&frozen)));
        }
        // Somebody else may have made one meanwhile: what is on disk is the answer.
        let attestation = match made {
            Made::New(made) if !ledger.has_keys(&made.wallet)? => {
                if ledger.recall(&accepted.key)? == Recall::Done {
                    return Ok(Err(Stop::unavailable("StoreDamaged", "a wallet's keys are gone; restore the volume")));
                }
                if let Err(stop) = room::wallet(ledger, Quoted::Keys, most)? {
                    return Ok(Err(stop));
                }
                ledger.keep_hot(made)?
            }
            Made::New(made) => ledger.keep_hot(made)?,
            Made::Before(attestation) => attestation,
        };
        let entry = Entry { decision: Decision::Done, ..accepted.entry(&serving, ledger.now_ms()) };
        match created(&attestation) {
            Ok(outcome) => finish(ledger, &accepted.key, entry, outcome),
            Err(stop) => Ok(Err(stop)),
        }
    });
    outcome.await?
}

/// A wallet's hot keys: there already, or ready to be kept.
enum Made {
    Before(Vec<u8>),
    New(HotWallet),
}

async fn make(signer: &Signer, serving: &SigningContext, accepted: &Accepted) -> Result<Made, Stop> {
    let Operation::CreateWallet(create) = &accepted.operation else {
        return Err(Stop::refused("Malformed", "this makes no wallet"));
    };
    if serving.role != Role::Keeper {
        return Err(Stop::refused("NotServedHere", "only keeper makes hot keys"));
    }
    let wallet = wallet_id(&create.wallet)?;
    serving.require_client_key(accepted.client_key.as_ref())?;
    if let Some(attestation) = signer.store.hot_attestation(wallet.as_str()).await? {
        if !signer.opens_with(serving, wallet.as_str(), accepted.client_key.as_ref()).await? {
            return Err(Stop::refused("WalletUnknown", format!("wallet '{wallet}' is not one of this key")));
        }
        return Ok(Made::Before(attestation));
    }
    // Stretching a phrase takes milliseconds of computing.
    let secrets = tokio::task::spawn_blocking(|| Secrets::make(&Phrase::generate(&mut OsRng)))
        .await
        .map_err(|_| Stop::unavailable("Stopping", "this signer is ending"))??;
    Ok(Made::New(secrets.seal(serving, &wallet, accepted.client_key.as_ref()).await?))
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
            let (secret, public_key) = derived.pair(namespace).map_err(underivable)?;
            keys.push(HotKey { namespace, secret, public_key: public_key.to_vec() });
        }
        Ok(Self { entropy: phrase.entropy(), keys })
    }

    /// Each for its own purpose, by the client's key or by the Vault, in a batch with those of other wallets.
    async fn seal(
        self,
        serving: &SigningContext,
        wallet: &WalletId,
        client_key: Option<&ClientKey>,
    ) -> Result<HotWallet, Stop> {
        let custody = serving.custody_id();
        let mut secrets = vec![(entropy_context(custody, wallet.as_str()), self.entropy.as_slice())];
        for HotKey { namespace, secret, .. } in &self.keys {
            secrets.push((hot_key_context(custody, wallet.as_str(), namespace), secret.as_slice()));
        }
        let sealed = match client_key {
            None => serving.sealer.seal(&secrets).await?,
            Some(key) => secrets.iter().map(|(context, secret)| key.seal(*context, secret, &mut OsRng)).collect(),
        };
        let verifier = client_key.map(|key| key.verifier(entropy_context(custody, wallet.as_str())).to_vec());
        let mut sealed = sealed.into_iter();
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
        Ok(HotWallet { wallet: wallet.to_string(), entropy, keys, attestation, verifier })
    }
}
