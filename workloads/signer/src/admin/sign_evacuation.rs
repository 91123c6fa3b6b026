//! Evacuation: cool's signatures for its own data centre's admin, also while locked and frozen.

use std::io::{BufRead, Write};

use audit::{Decision, Entry};
use chain::KeyRole;
use chain_adapters::Adapters;
use clock::now_ms;
use custody::{CustodyId, Role, WalletId, manifest::VerifiedManifest};
use evacuation::{
    Bundle, VerifiedStep,
    stream::{LadderStep, OpenedPlan, SignatureWriter, SignedChunk, StreamError, Summary, is_stream},
};
use signer::{
    pipeline::cool_key_context,
    store::{Evacuating, SealedKey, Store},
};
use workload::place::Place;
use zeroize::Zeroizing;

use super::session::{AdminError, admin_entry, documents};
use crate::input;

/// `cooler evac sign`: cool's signature on every step of a plan. Each step is recomputed from the manifest, goes to a safe
/// destination, and is recorded before it is signed. What is written is the bundle, or the signature file of a plan of
/// version 2, of which one chunk is held at a time. A run that was stopped is run again: what was recorded is passed over,
/// and the same signatures come out.
pub(crate) async fn sign_evacuation(
    place: &Place,
    mut plan: impl BufRead,
    mut output: impl Write,
) -> Result<Option<Summary>, AdminError> {
    let begun = plan.fill_buf().map_err(AdminError::Input)?;
    let streamed = is_stream(begun);
    let store = Store::open(&place.data_dir)?;
    if streamed {
        return Station::open(place, &store).await?.sign_ladders(plan, output).await.map(Some);
    }
    // Held as a whole.
    let bundle = Bundle::parse(&input::whole(plan, input::LARGEST).map_err(AdminError::Input)?)?;
    let signed = Station::open(place, &store).await?.sign_bundle(bundle).await?;
    output.write_all(signed.to_json().as_bytes()).and_then(|()| output.flush()).map_err(AdminError::Output)?;
    Ok(None)
}

/// The cool key, opened, and the documents to sign by.
struct Station<'a> {
    store: &'a Store,
    manifest: VerifiedManifest,
    /// By chain namespace.
    secrets: Vec<(String, Zeroizing<[u8; 32]>)>,
}

impl<'a> Station<'a> {
    async fn open(place: &Place, store: &'a Store) -> Result<Self, AdminError> {
        let (trust, manifest) = documents(place, Role::Cooler, store).await?;
        let sealer = place.sealer(&trust.vault)?;
        let mut secrets = Vec::new();
        for SealedKey { namespace, secret, .. } in store.cool_keys().await? {
            let context = cool_key_context(manifest.custody_id(), &namespace);
            let opened = sealer.open(context, secret).await?;
            let secret = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| AdminError::NoCoolKey)?;
            secrets.push((namespace, Zeroizing::new(secret)));
        }
        if secrets.is_empty() {
            return Err(AdminError::NoCoolKey);
        }
        Ok(Self { store, manifest, secrets })
    }

    fn secret(&self, namespace: &str) -> Result<&Zeroizing<[u8; 32]>, AdminError> {
        let known = self.secrets.iter().find(|(known, _)| known == namespace);
        known.map(|(_, secret)| secret).ok_or(AdminError::NoCoolKey)
    }

    async fn sign_bundle(&self, plan: Bundle) -> Result<Bundle, AdminError> {
        let mut verified = plan.verify(&self.manifest, &Adapters::all())?;
        let custody = self.manifest.custody_id();
        let steps = verified.steps().iter().map(|step| step_of_bundle(step, custody)).collect();
        self.store.record_evacuations(now_ms(), steps).await?;
        verified.sign(KeyRole::Cool, |namespace| self.secret(namespace).cloned())?;
        Ok(verified.bundle().clone())
    }

    async fn sign_ladders(&self, input: impl BufRead, output: impl Write) -> Result<Summary, AdminError> {
        let mut plan = OpenedPlan::open(input)?.verify(&self.manifest, &Adapters::all())?;
        let secret = self.secret(plan.header().chain.namespace())?;
        let custody = self.manifest.custody_id();
        let mut file = SignatureWriter::begin(output, KeyRole::Cool, plan.header_digest())?;
        while let Some(chunk) = plan.next_chunk()? {
            let steps = chunk.steps()?.iter().map(|step| step_of_ladder(step, custody)).collect();
            self.store.record_evacuations(now_ms(), steps).await?;
            file.chunk(SignedChunk::sign(&chunk, KeyRole::Cool, secret)?)?;
        }
        file.finish(plan.digest())?;
        Ok(plan.summary().clone())
    }
}

/// A sweep that reverted because the balance moved is signed again under another digest.
fn step_of_bundle(step: &VerifiedStep, custody: CustodyId) -> Evacuating {
    let wallet = step.wallet();
    about_to_be_signed(&step.step().wallet, wallet.chain.as_str(), &wallet.address, *step.id(), custody)
}

fn step_of_ladder(step: &LadderStep<'_>, custody: CustodyId) -> Evacuating {
    let wallet = step.wallet().described();
    about_to_be_signed(&step.wallet().planned().id, wallet.chain.as_str(), &wallet.address, *step.id(), custody)
}

fn about_to_be_signed(
    wallet: &WalletId,
    chain: &str,
    address: &str,
    digest: [u8; 32],
    custody: CustodyId,
) -> Evacuating {
    let entry = Entry {
        decision: Decision::Signed,
        wallet: wallet.to_string(),
        chain: chain.to_owned(),
        digest: digest.to_vec(),
        ..admin_entry(Role::Cooler, Some(custody), audit::EVACUATION_SIGN, 0)
    };
    Evacuating { digest, address: address.to_owned(), entry }
}

impl From<StreamError> for AdminError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Evacuation(error) => AdminError::Evacuation(error),
            other => AdminError::Plan(other),
        }
    }
}
