//! Whether a member is the very cluster that its admin handed over. Pure.

use multisig_api::{conditions::reason, member_cluster::MemberClusterSpec};

use super::{Document, Identity};
use crate::conditions::Finding;

/// Compares what answers with the pins, and with what the data centre says of itself.
pub fn verify(spec: &MemberClusterSpec, identity: &Identity) -> Finding {
    if identity.cluster_uid != spec.cluster_uid {
        return Finding::bad(
            reason::CLUSTER_UID_MISMATCH,
            format!(
                "the cluster that answers has the UID {}, but {} is pinned: the kubeconfig leads to another cluster; \
                 correct the kubeconfig, or pin the UID that `multisig member prepare` prints there",
                identity.cluster_uid, spec.cluster_uid
            ),
        );
    }
    let trust = match &identity.trust {
        Document::Read(trust) => trust,
        Document::Missing => {
            return Finding::bad(
                reason::TRUST_MISSING,
                format!(
                    "there is no multisig-trust in namespace {}: the data centre's admin runs `multisig member prepare`",
                    spec.namespace
                ),
            );
        }
        Document::Refused(why) => return Finding::bad(reason::TRUST_REFUSED, why.clone()),
    };
    if !same_place(&trust.data_center, &spec.data_center) {
        return Finding::bad(
            reason::DATA_CENTER_MISMATCH,
            format!(
                "its own member trust says data centre '{}', this object says '{}'; make a MemberCluster with the \
                 name that `multisig member prepare` printed",
                trust.data_center, spec.data_center
            ),
        );
    }
    Finding::good(format!("it is cluster {} in data centre {}", spec.cluster_uid, spec.data_center))
}

/// Whether two names mean one data centre: people vary case and blanks.
pub fn same_place(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn pin_and_member_trust_must_agree() {
        let spec = fixtures::member("dc-a").spec;
        let identity = fixtures::identity("dc-a");
        assert!(verify(&spec, &identity).is_good());
        let reason = |change: &dyn Fn(&mut Identity)| {
            let mut changed = identity.clone();
            change(&mut changed);
            verify(&spec, &changed).reason
        };
        assert_eq!(reason(&|found| found.cluster_uid = fixtures::uid('f')), reason::CLUSTER_UID_MISMATCH);
        assert_eq!(reason(&|found| found.trust = Document::Missing), reason::TRUST_MISSING);
        assert_eq!(reason(&|found| found.trust = Document::Refused("?".to_owned())), reason::TRUST_REFUSED);
        let elsewhere = |found: &mut Identity| {
            let mut trust = found.trust.read().unwrap().clone();
            trust.data_center = "elsewhere".to_owned();
            found.trust = Document::Read(trust);
        };
        assert_eq!(reason(&elsewhere), reason::DATA_CENTER_MISMATCH);
    }

    #[test]
    fn case_and_blanks_make_no_other_place() {
        assert!(same_place(" FRA-1", "fra-1 "));
        assert!(!same_place("fra-1", "fra-2"));
    }
}
