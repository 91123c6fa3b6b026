//! A signer without broker and API server, for tests that kill it: the whole pipeline over its own store and Vault,
//! spoken to by whoever embeds it. It is unlocked as in reality, by others who know its history. Compiled only with the
//! feature `fault-points`, which no image is built with.

use std::sync::Arc;

use clock::now_ms;
use custody::{
    Role,
    identity::PeerKeys,
    phrase::{Phrase, PhraseError},
    trust::MemberTrust,
};
use protocol::ops::{Attestation, EchoHead, Request, Response};
use rand_core::{OsRng, RngCore};
use sealing::Sealer;
use signer::{
    fault,
    identity::{self, IdentityError, Keys},
    pipeline::{Asker, Lock, Signer, SigningContext, digest, seal_cool_keys, vouchers},
    store::{Ledger, Store, StoreError},
};
use workload::{
    documents::{self, Documents, Unready},
    place::Place,
};

use crate::{
    agent::{
        rotation::Rotation,
        verified::{Verified, verify},
    },
    metrics::Metrics,
};

/// Why there is no signer, or not what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The own keys did not open.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The Vault did not do it.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The phrase has no key for a family of chains.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// The documents are not complete.
    #[error("{}", .0.message)]
    Unready(Unready),
    /// Another cool key is there.
    #[error("another cool key is stored already")]
    OtherCoolKey,
    /// Who was asked does not know this signer's history.
    #[error("{0}")]
    Locked(String),
}

/// The signer with what the agent would hold for it.
pub struct EmbeddedSigner {
    signer: Signer,
    store: Arc<Store>,
    sealer: Arc<Sealer>,
    keys: Arc<Keys>,
    rotation: tokio::sync::Mutex<Rotation>,
}

impl EmbeddedSigner {
    /// Opens the store and the own keys in `place`; serves nothing yet. `trust` needs its Vault only.
    pub async fn open(place: &Place, trust: &MemberTrust) -> Result<Self, EmbeddedError> {
        let store = Arc::new(Store::open(&place.data_dir)?);
        let sealer = place.sealer(&trust.vault)?;
        let keys = Arc::new(identity::open_or_make(&store, &sealer, &mut OsRng).await?);
        identity::authenticate(&store, &sealer, trust.role, now_ms(), &mut OsRng).await?;
        let mut instance = [0; 16];
        OsRng.fill_bytes(&mut instance);
        let signer = Signer::new(store.clone(), instance, Arc::new(now_ms));
        let rotation = tokio::sync::Mutex::new(Rotation::new(&Metrics::new()));
        Ok(Self { signer, store, sealer, keys, rotation })
    }

    /// The public halves of the own keys, for the others' member trusts.
    pub fn public(&self) -> &PeerKeys {
        self.keys.own().public()
    }

    /// Seals and keeps the keys of the manifest's cool phrase.
    pub async fn keep_cool(&self, trust: &MemberTrust, phrase: &Phrase) -> Result<(), EmbeddedError> {
        let custody =
            trust.custody.as_ref().ok_or_else(|| EmbeddedError::Locked("no custody is pinned".to_owned()))?.id;
        let kept = seal_cool_keys::<EmbeddedError>(&self.sealer, custody, &phrase.keys()).await?;
        if self.store.keep_cool_keys(kept).await? { Ok(()) } else { Err(EmbeddedError::OtherCoolKey) }
    }

    /// Serves with these documents, once somebody has vouched for it.
    pub async fn serve(&self, role: Role, documents: &Documents) -> Result<(), EmbeddedError> {
        let trust = documents::trust(role, documents).map_err(EmbeddedError::Unready)?;
        let local_policy = trust.local_policy.clone();
        let remember = move |ledger: &Ledger<'_>| {
            local_policy.iter().try_for_each(|local_policy| ledger.see_local_policy(local_policy))?;
            ledger.held_local_policies()
        };
        let held = self.store.decide(self.signer.now_ms(), remember).await?;
        let verified = verify(&trust, documents, &held).map_err(EmbeddedError::Unready)?;
        let Verified { peers, manifest, policy, rules, protection, observed, .. } = verified;
        let (keys, sealer, trust_digest) = (self.keys.clone(), self.sealer.clone(), [7; 32]);
        let serving =
            SigningContext { role, keys, peers, manifest, policy, rules, sealer, protection, observed, trust_digest };
        self.signer.serve(Some(Arc::new(serving)));
        while self.signer.count_windows().await? {}
        Ok(())
    }

    fn serving(&self) -> Result<Arc<SigningContext>, EmbeddedError> {
        self.signer.serving().ok_or_else(|| EmbeddedError::Locked("there is nothing to serve with yet".to_owned()))
    }

    /// Whom to show the head to.
    pub fn vouchers(&self) -> Result<Vec<Role>, EmbeddedError> {
        Ok(vouchers(&*self.serving()?))
    }

    /// What to show to one of them.
    pub async fn head(&self, voucher: Role) -> Result<EchoHead, EmbeddedError> {
        let open = !self.signer.is_locked();
        self.signer.own_head(&*self.serving()?, voucher, open).await?.map_err(EmbeddedError::Locked)
    }

    /// What each of them held before. Opens the lock if all is in this signer's chain and nobody is missing, or if the
    /// admin has accepted the chain since it was locked; closes it if anything is not. Where it serves, some may be away.
    pub async fn vouched(&self, answers: &[(Role, Option<Attestation>)]) -> Result<(), EmbeddedError> {
        let (serving, since) = (self.serving()?, self.signer.locked_since_ms());
        let mut judged = Vec::new();
        for voucher in vouchers(&serving) {
            let Some((_, held)) = answers.iter().find(|(role, _)| *role == voucher) else {
                if self.signer.is_locked() {
                    return Err(EmbeddedError::Locked(format!("{voucher} was not asked")));
                }
                continue;
            };
            judged.push(self.signer.vouched(&serving, voucher, held.as_ref()).await?);
        }
        let own = self.keys.own().message_key().verifying_key();
        if self.signer.is_locked() && self.store.look(since, move |ledger| ledger.accepted_since(&own, since)).await? {
            return Ok(self.signer.accept(since).await?);
        }
        judged.into_iter().collect::<Result<Vec<bool>, String>>().map_err(EmbeddedError::Locked)?;
        self.signer.set_lock(Lock::Open);
        Ok(())
    }

    /// What the admin's `unlock` writes: the chain is accepted as it is, whatever others know.
    pub async fn accept(&self) -> Result<(), EmbeddedError> {
        let (serving, own) = (self.serving()?, self.keys.own().clone());
        let (custody, role) = (serving.manifest.custody_id(), serving.role);
        let accept = move |ledger: &Ledger<'_>| ledger.accept_chain(own.message_key(), custody, role);
        Ok(self.store.decide(now_ms(), accept).await?)
    }

    /// From now on the process ends at this point, as if `MULTISIG_FAULT` had named it at its start.
    pub fn arm(&self, fault: &str) {
        fault::arm(fault);
    }

    /// As if the request had come by the broker.
    pub async fn answer(&self, asker: Asker, request: Request) -> Response {
        let digest = digest(&request);
        self.signer.answer(asker, request, digest).await
    }

    /// One step of the rotation to a generation of the Vault's key; how many secrets are left below it.
    pub async fn rotate(&self, generation: u64) -> Result<u64, EmbeddedError> {
        let (custody, key) = (self.serving()?.manifest.custody_id(), self.sealer.vault().key().await?);
        let mut rotation = self.rotation.lock().await;
        rotation.step(&self.store, &self.sealer, custody, Some(generation), key).await;
        let latest = self.sealer.vault().key().await?.latest_version.max(generation);
        Ok(self.store.sealed_versions(latest).await?.below)
    }
}
