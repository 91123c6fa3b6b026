//! Which cluster answers, and whether it is the one that its admin handed over.

use custody::trust::{self, MemberTrust};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use multisig_api::{conditions::reason, member_cluster::MemberClusterSpec};

use super::client::Member;
use crate::{
    calls::CallError,
    conditions::Finding,
    document::{Document, text},
};

/// Which cluster answers, and what its data centre says of itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// UID of the namespace kube-system.
    pub cluster_uid: String,
    /// Version of the API server.
    pub version: String,
    /// `multisig-trust`.
    pub trust: Document<MemberTrust>,
}

/// Reads which cluster answers. Kubernetes' own UID comes first: where it can't be read, nothing else is tried.
pub async fn identify(member: &Member, namespace: &str) -> Result<Identity, CallError> {
    let namespaces: Api<Namespace> = Api::all(member.client());
    let cluster_uid = member.call(namespaces.get("kube-system")).await?.metadata.uid.unwrap_or_default();
    let client = member.client();
    let trust = async {
        match member.get::<ConfigMap>(namespace, trust::CONFIG_MAP).await {
            // In another cluster than the pinned one the hub has no rights: the UID says more than that.
            Err(CallError::Forbidden(status)) => Ok(Document::Refused(status.message)),
            Err(error) => Err(error),
            Ok(map) => Ok(Document::parse(text(map.as_ref(), trust::KEY), |text| MemberTrust::parse(text.as_bytes()))),
        }
    };
    let (version, trust) = futures::try_join!(member.call(client.apiserver_version()), trust)?;
    Ok(Identity { cluster_uid, version: version.git_version, trust })
}

/// Compares what answers with the pins, and with what the data centre says of itself.
pub fn verify(spec: &MemberClusterSpec, identity: &Identity) -> Finding {
    if identity.cluster_uid != spec.cluster_uid {
        return Finding::bad(
            reason::CLUSTER_UID_MISMATCH,
            format!(
                "the cluster that answers has the UID {}, but {} is pinned; correct the kubeconfig, or pin the UID \
                 that `multisig member prepare` printed",
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
                    "ConfigMap multisig-trust does not exist in namespace {}; the data centre admin must run \
                     `multisig member prepare`",
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
                "its member trust names the data centre '{}', but dataCenter is '{}'; create a MemberCluster with the \
                 name that `multisig member prepare` printed",
                trust.data_center, spec.data_center
            ),
        );
    }
    Finding::good(format!("this is cluster {} in data centre {}", spec.cluster_uid, spec.data_center))
}

/// Whether two names mean one data centre: people vary case and blanks.
pub fn same_place(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixtures;

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
