//! Evacuation: a signer's signatures for its own data centre's admin, also while locked and frozen: hot's at Keeper, cool's
//! at Cooler.
//!
//! `rules` (may this plan be signed here?) -> `keys` (whose keys are opened, and which wallets' can't be) -> `ladders` (a plan
//! of version 2, a chunk at a time) or `bundle` (version 1, all of it) -> `output`.

mod bundle;
mod keys;
mod ladders;
mod output;
mod rules;

use std::io::{BufRead, Write};

use audit::{Decision, Entry};
use chain::{KeyRole, WalletDesc};
use custody::{
    CustodyId, Role, WalletId,
    manifest::{SignedManifest, VerifiedManifest},
    trust::MemberTrust,
};
use evacuation::stream::{StreamError, is_stream};
use rand_core::OsRng;
use sealing::Sealer;
use signature_part::PartError;
use signer::{
    identity,
    store::{Evacuating, Store},
};
use workload::place::Place;

pub(crate) use self::{ladders::Signed, output::Out};

use self::keys::Keys;
use super::session::{AdminError, admin_entry, documents};
use crate::input;

/// `keeper evac sign` and `cooler evac sign`: this signer's signature on all of a plan. Each transaction is recomputed from
/// the manifest, goes to a safe destination, and is recorded before it is signed. What is written is the signature file of a
/// plan of version 2, of which one chunk is held at a time, or the bundle (`None`). A run that was stopped is run again:
/// what was recorded is passed over, and the same signatures come out.
///
/// `manifest` is what the admin goes by: it must be the pinned one, which is gone by without it too.
pub(crate) async fn sign_evacuation<W: Write>(
    place: &Place,
    role: Role,
    manifest: Option<(String, SignedManifest)>,
    mut plan: impl BufRead,
    out: Out<W>,
) -> Result<Option<Signed>, AdminError> {
    let begun = plan.fill_buf().map_err(AdminError::Input)?;
    let streamed = is_stream(begun);
    let store = Store::open(&place.data_dir)?;
    let (trust, pinned) = documents(place, role, &store).await?;
    if let Some((name, given)) = &manifest {
        rules::same_manifest(name, given, &pinned)?;
    }
    let station = Station { store: &store, role, trust, manifest: pinned };
    if streamed {
        return ladders::sign(&station, place, plan, out).await.map(Some);
    }
    if role != Role::Cooler {
        return Err(AdminError::Refused(
            "a bundle of version 1 is signed by cool and cold; for hot, make a plan with `multisig evac plan --ladder --owners \
             hot,cold`"
                .to_owned(),
        ));
    }
    // Held as a whole.
    let plan = input::whole(plan, input::LARGEST).map_err(AdminError::Input)?;
    bundle::sign(&station, place, &plan, out).await?;
    Ok(None)
}

/// Who signs, and by which documents.
struct Station<'a> {
    store: &'a Store,
    role: Role,
    trust: MemberTrust,
    manifest: VerifiedManifest,
}

impl Station<'_> {
    /// Whose key it has.
    fn owner(&self) -> KeyRole {
        if self.role == Role::Keeper { KeyRole::Hot } else { KeyRole::Cool }
    }

    /// The cool key, opened, or what opens hot keys; and the key by which what is signed is recorded.
    async fn keys(&self, place: &Place) -> Result<Keys, AdminError> {
        let (custody, sealer) = (self.manifest.custody_id(), place.sealer(&self.trust.vault)?);
        self.record_by(&sealer).await?;
        match self.owner() {
            KeyRole::Hot => Ok(Keys::hot(custody, sealer)),
            _ => Keys::cool(custody, sealer, self.store).await,
        }
    }

    /// Opens the key by which the rows of the store are written.
    async fn record_by(&self, sealer: &Sealer) -> Result<(), AdminError> {
        Ok(identity::reauthenticate(self.store, sealer, &mut OsRng).await?)
    }

    /// What is recorded of a transaction that is about to be signed. A sweep that reverted because the balance moved is
    /// signed again under another digest.
    fn about_to_sign(&self, id: &WalletId, wallet: &WalletDesc, digest: [u8; 32]) -> Evacuating {
        let entry = Entry {
            decision: Decision::Signed,
            wallet: id.to_string(),
            chain: wallet.chain.to_string(),
            digest: digest.to_vec(),
            ..admin_entry(self.role, Some(self.custody()), audit::EVACUATION_SIGN, 0)
        };
        Evacuating { digest, address: wallet.address.clone(), entry }
    }

    fn custody(&self) -> CustodyId {
        self.manifest.custody_id()
    }
}

impl From<StreamError> for AdminError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Evacuation(error) => AdminError::Evacuation(error),
            other => AdminError::Plan(other),
        }
    }
}

impl From<PartError> for AdminError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Stream(error) => error.into(),
            other => AdminError::Part(Box::new(other)),
        }
    }
}
