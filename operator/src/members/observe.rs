//! Everything that the operator reads on a member. Reads only.

use custody::{
    report::Report,
    trust::{self, MemberTrust},
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::StatefulSet,
        core::v1::{ConfigMap, Namespace, Pod, Service},
        policy::v1::PodDisruptionBudget,
    },
};
use kube::{Api, Resource};
use multisig_api::{conditions::reason, member_cluster::MemberClusterSpec};
use serde::de::DeserializeOwned;

use super::{Member, identity::verify};
use crate::{calls::CallError, conditions::Finding, signers::Signer};

/// A document that somebody else wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document<T> {
    /// Not there.
    Missing,
    /// There, but not usable; why and what to do.
    Refused(String),
    /// Read and valid.
    Read(T),
}

impl<T> Document<T> {
    /// The document, if it is usable.
    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(document) => Some(document),
            Self::Missing | Self::Refused(_) => None,
        }
    }

    fn parse<E: std::fmt::Display>(text: Option<&String>, parse: impl FnOnce(&str) -> Result<T, E>) -> Self {
        match text.map(|text| parse(text)) {
            None => Self::Missing,
            Some(Ok(document)) => Self::Read(document),
            Some(Err(error)) => Self::Refused(error.to_string()),
        }
    }
}

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

/// The objects of a signer on its member.
#[derive(Debug, Clone)]
pub struct Objects {
    /// `<role>-config`.
    pub config: Option<ConfigMap>,
    /// `<role>-credentials`.
    pub credentials: Option<ConfigMap>,
    /// `<role>-report`.
    pub report: Document<Report>,
    /// The workload.
    pub stateful_set: Option<StatefulSet>,
    /// Its headless Service.
    pub service: Option<Service>,
    /// Its PodDisruptionBudget.
    pub disruption_budget: Option<PodDisruptionBudget>,
    /// Its pod, read only while it is not ready.
    pub pod: Option<Pod>,
}

/// What was seen of a member, as far as it went.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which cluster answered.
    pub identity: Result<Identity, Finding>,
    /// What is there; read only from the pinned cluster.
    pub objects: Result<Objects, Finding>,
}

impl Seen {
    /// Nothing was seen.
    pub fn nothing(why: Finding) -> Self {
        Self { identity: Err(why.clone()), objects: Err(why) }
    }
}

/// Looks at `signer` on its member. One that is known to be lost is not waited for.
pub async fn look(member: &Member, spec: &MemberClusterSpec, signer: Signer) -> Seen {
    if let Some(why) = member.lost() {
        return Seen::nothing(Finding::from(&CallError::Unreachable(why)));
    }
    let identity = match identify(member, &spec.namespace).await {
        Ok(identity) => identity,
        Err(error) => return Seen::nothing(Finding::from(&error)),
    };
    let verdict = verify(spec, &identity);
    let objects = if verdict.reason == reason::CLUSTER_UID_MISMATCH {
        Err(verdict)
    } else {
        objects(member, &spec.namespace, signer).await.map_err(|error| Finding::from(&error))
    };
    Seen { identity: Ok(identity), objects }
}

/// Reads which cluster answers. Kubernetes' own UID comes first: where it can't be read, nothing else is tried.
pub async fn identify(member: &Member, namespace: &str) -> Result<Identity, CallError> {
    let namespaces: Api<Namespace> = Api::all(member.client());
    let cluster_uid = member.call(namespaces.get("kube-system")).await?.metadata.uid.unwrap_or_default();
    let client = member.client();
    let trust = async {
        match get::<ConfigMap>(member, namespace, trust::CONFIG_MAP).await {
            // In another cluster than the pinned one the hub has no rights: the UID says more than that.
            Err(CallError::Forbidden(status)) => Ok(Document::Refused(status.message)),
            Err(error) => Err(error),
            Ok(map) => Ok(Document::parse(text(map.as_ref(), trust::KEY), |text| MemberTrust::parse(text.as_bytes()))),
        }
    };
    let (version, trust) = futures::try_join!(member.call(client.apiserver_version()), trust)?;
    Ok(Identity { cluster_uid, version: version.git_version, trust })
}

async fn objects(member: &Member, namespace: &str, signer: Signer) -> Result<Objects, CallError> {
    let role = signer.role();
    let names =
        [custody::config::config_map(role), custody::config::credentials_map(role), custody::report::report_map(role)];
    let (config, credentials, report, stateful_set, service, disruption_budget) = futures::try_join!(
        get::<ConfigMap>(member, namespace, &names[0]),
        get::<ConfigMap>(member, namespace, &names[1]),
        get::<ConfigMap>(member, namespace, &names[2]),
        get::<StatefulSet>(member, namespace, signer.as_str()),
        get::<Service>(member, namespace, signer.as_str()),
        get::<PodDisruptionBudget>(member, namespace, signer.as_str()),
    )?;
    let report = Document::parse(text(report.as_ref(), custody::report::REPORT_KEY), |text| serde_json::from_str(text));
    let pod = match &stateful_set {
        Some(stateful_set) if !is_ready(stateful_set) => get::<Pod>(member, namespace, &format!("{signer}-0")).await?,
        _ => None,
    };
    Ok(Objects { config, credentials, report, stateful_set, service, disruption_budget, pod })
}

/// Whether the pod of the newest StatefulSet is ready.
pub fn is_ready(stateful_set: &StatefulSet) -> bool {
    stateful_set.status.as_ref().is_some_and(|status| {
        status.ready_replicas.unwrap_or(0) >= 1
            && status.observed_generation.unwrap_or(0) >= stateful_set.metadata.generation.unwrap_or(0)
    })
}

async fn get<K>(member: &Member, namespace: &str, name: &str) -> Result<Option<K>, CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    member.call(Api::<K>::namespaced(member.client(), namespace).get_opt(name)).await
}

fn text<'a>(map: Option<&'a ConfigMap>, key: &str) -> Option<&'a String> {
    map?.data.as_ref()?.get(key)
}
