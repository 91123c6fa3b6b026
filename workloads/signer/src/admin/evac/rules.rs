//! May this plan be signed here?

use clock::now_ms;
use custody::manifest::{SignedManifest, VerifiedManifest};
use evacuation::stream::{OwnerPair, PlanHeader};
use workload::place::Place;

use super::{AdminError, Station};

/// The admin's manifest is the one that is pinned: all revisions have the same keys.
pub(super) fn same_manifest(name: &str, given: &SignedManifest, pinned: &VerifiedManifest) -> Result<(), AdminError> {
    if given.digest() == pinned.digest() {
        return Ok(());
    }
    let (theirs, own) = (given.unverified().revision, pinned.manifest().revision);
    Err(AdminError::Refused(format!(
        "{name} is not the manifest that is pinned here: it has revision {theirs} and digest {}, the pinned one revision {own} and \
         digest {}; nothing was signed",
        given.digest(),
        pinned.digest()
    )))
}

impl Station<'_> {
    /// Refuses a plan that others sign, one of another revision of the manifest, and one that needs no paper where the local
    /// policy wants some.
    pub(super) async fn require(&self, place: &Place, plan: &PlanHeader) -> Result<(), AdminError> {
        plan.require_owner(self.owner())?;
        self.same_revision(plan)?;
        if plan.owners == OwnerPair::HotAndCool {
            self.record_by(&*place.sealer(&self.trust.vault)?).await?;
            self.without_paper().await?;
        }
        Ok(())
    }

    fn same_revision(&self, plan: &PlanHeader) -> Result<(), AdminError> {
        let (theirs, own) = (plan.revision, self.manifest.manifest().revision);
        if plan.custody_id != self.custody() || theirs == own {
            // What else differs is found when the plan is verified.
            return Ok(());
        }
        Err(AdminError::Refused(format!(
            "the plan was made with revision {theirs} of the manifest, and revision {own} is pinned here: its destinations may \
             not be trusted any more; make the plan again with the pinned one"
        )))
    }

    /// By the present local policy and those before it that still hold; the present one is noted as the process does, so that
    /// the one before it holds on from now.
    async fn without_paper(&self) -> Result<(), AdminError> {
        let Some(present) = self.trust.local_policy.clone() else {
            return Ok(policy::without_paper(None, &[])?);
        };
        let noted = present.clone();
        let held = self.store.decide(now_ms(), move |ledger| {
            ledger.see_local_policy(&noted)?;
            ledger.held_local_policies()
        });
        Ok(policy::without_paper(Some(&present), &held.await?)?)
    }
}
