//! Whether anything may be written at all. Pure.

use custody::trust::Profile;
use multisig_api::{MultisigCluster, conditions::reason};

use super::{
    observe::Seen,
    validate::{Valid, Wiring},
};
use crate::{conditions::Finding, places::Places};

/// Whether anything may be written to any member and anything minted: the wiring if so, else what stands against it.
pub fn gate<'a>(
    cluster: &MultisigCluster,
    valid: &'a Valid<'_>,
    separated: &Finding,
    seen: &Places<Seen>,
) -> Result<&'a Wiring, Finding> {
    if cluster.spec.paused {
        return Err(Finding::bad(
            reason::PAUSED,
            "spec.paused is true: nothing is written to members and nothing is minted; set it to false to continue",
        ));
    }
    let wiring = valid.wiring.as_ref().map_err(Clone::clone)?;
    if !separated.is_good() {
        let why = format!("nothing is written to any member unless Separated is True: {}", separated.message);
        return Err(Finding { reason: reason::NOT_SEPARATED, message: why, ..separated.clone() });
    }
    let wanted = Profile::from(cluster.spec.profile);
    for (place, seen) in seen.iter() {
        let trust = seen.identity.as_ref().ok().and_then(|identity| identity.trust.read());
        if let Some(trust) = trust.filter(|trust| trust.profile != wanted) {
            return Err(Finding::bad(
                reason::PROFILE_MISMATCH,
                format!(
                    "spec.profile is {wanted:?}, but the member trust of {place} says {:?}; this object and every data \
                     centre must have the same profile",
                    trust.profile
                ),
            ));
        }
    }
    Ok(wiring)
}
