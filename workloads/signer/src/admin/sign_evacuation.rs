//! Evacuation: cool's signatures for its own data centre's admin, also while locked and frozen.

use audit::{Decision, Entry};
use chain::{KeyRole, WalletDesc};
use chain_adapters::Adapters;
use clock::now_ms;
use custody::{CustodyId, Role, WalletId};
use evacuation::{Bundle, VerifiedBundle};
use signer::{
    pipeline::cool_key_context,
    store::{Ledger, SealedKey, Store, StoreError},
};
use workload::place::Place;
use zeroize::Zeroizing;

use super::session::{AdminError, admin_entry, documents};

/// `cooler evac sign`: cool's signature on every step of a plan. Each step is recomputed from the manifest and its own
/// bytes, goes to a safe destination, and is recorded before it is signed.
pub(crate) async fn sign_evacuation(place: &Place, plan: &[u8]) -> Result<Bundle, AdminError> {
    let plan = Bundle::parse(plan)?;
    let store = Store::open(&place.data_dir)?;
    let (trust, manifest) = documents(place, Role::Cooler, &store).await?;
    let mut verified = plan.verify(&manifest, &Adapters::all())?;
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
    record_evacuation(&store, &verified, manifest.custody_id()).await?;
    verified.sign(KeyRole::Cool, |namespace| {
        let known = secrets.iter().find(|(known, _)| known == namespace);
        known.map(|(_, secret)| secret.clone()).ok_or(AdminError::NoCoolKey)
    })?;
    Ok(verified.bundle().clone())
}

/// All digests and their audit records on disk, before the first is signed. A sweep that reverted because the balance
/// moved is signed again under another digest.
async fn record_evacuation(store: &Store, verified: &VerifiedBundle, custody: CustodyId) -> Result<(), StoreError> {
    let steps: Vec<([u8; 32], WalletId, WalletDesc)> =
        verified.steps().iter().map(|step| (*step.id(), step.step().wallet.clone(), step.wallet().clone())).collect();
    let record = move |ledger: &Ledger<'_>| {
        for (digest, wallet, desc) in steps {
            if ledger.record_evacuation(&digest, desc.chain.as_str(), &desc.address)? {
                ledger.append(Entry {
                    decision: Decision::Signed,
                    wallet: wallet.to_string(),
                    chain: desc.chain.to_string(),
                    digest: digest.to_vec(),
                    ..admin_entry(Role::Cooler, Some(custody), audit::EVACUATION_SIGN, ledger.now_ms())
                })?;
            }
        }
        Ok(())
    };
    store.decide(now_ms(), record).await
}
