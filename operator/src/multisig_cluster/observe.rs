//! Everything that the operator reads on the members. Reads only.

use std::sync::Arc;

use custody::report::{REPORT_KEY, Report, report_map};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Pod, Service},
    policy::v1::PodDisruptionBudget,
};
use kube::ResourceExt;
use multisig_api::{MultisigCluster, conditions::reason, member_cluster::MemberClusterSpec, place::Place};

use super::validate::{Valid, ValidMember};
use crate::{
    calls::CallError,
    conditions::Finding,
    context::Context,
    document::{Document, text},
    members::{
        client::Member,
        identity::{Identity, identify, verify},
    },
    places::Places,
};

/// The objects of a place on its member.
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

/// A member that can be written to, and where.
pub type Reached<'a> = Option<(Arc<Member>, &'a ValidMember<'a>)>;

/// Looks at every place at once.
pub async fn observe<'a>(
    cluster: &MultisigCluster,
    context: &Context,
    valid: &'a Valid<'a>,
) -> (Places<Reached<'a>>, Places<Seen>) {
    let namespace = cluster.namespace().unwrap_or_default();
    let places = valid.members.map(|place, member| reach(context, &namespace, place, member));
    places.join().await.unzip()
}

async fn reach<'a>(
    context: &Context,
    namespace: &str,
    place: Place,
    member: &'a Result<ValidMember<'a>, Finding>,
) -> (Reached<'a>, Seen) {
    let member = match member {
        Ok(member) => member,
        Err(finding) => return (None, Seen::nothing(finding.clone())),
    };
    let ValidMember { name, spec, kubeconfig, .. } = member;
    match context.members.connect(namespace, name, &spec.namespace, kubeconfig).await {
        Err(error) => {
            let why = format!("the kubeconfig of MemberCluster {name} is refused: {error}");
            (None, Seen::nothing(Finding::bad(reason::KUBECONFIG_REFUSED, why)))
        }
        Ok(reached) => {
            let seen = look(&reached, spec, place).await;
            (Some((reached, member)), seen)
        }
    }
}

/// Looks at a place on its member. One that is known to be lost is not waited for.
async fn look(member: &Member, spec: &MemberClusterSpec, place: Place) -> Seen {
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
        objects(member, &spec.namespace, place).await.map_err(|error| Finding::from(&error))
    };
    Seen { identity: Ok(identity), objects }
}

async fn objects(member: &Member, namespace: &str, place: Place) -> Result<Objects, CallError> {
    let (role, name) = (place.role(), place.as_str());
    let maps = [custody::config::config_map(role), custody::config::credentials_map(role), report_map(role)];
    let (config, credentials, report, stateful_set, service, disruption_budget) = futures::try_join!(
        member.get::<ConfigMap>(namespace, &maps[0]),
        member.get::<ConfigMap>(namespace, &maps[1]),
        member.get::<ConfigMap>(namespace, &maps[2]),
        member.get::<StatefulSet>(namespace, name),
        member.get::<Service>(namespace, name),
        member.get::<PodDisruptionBudget>(namespace, name),
    )?;
    let report = Document::parse(text(report.as_ref(), REPORT_KEY), |text| serde_json::from_str(text));
    let pod = match &stateful_set {
        Some(stateful_set) if !is_ready(stateful_set) => member.get::<Pod>(namespace, &format!("{name}-0")).await?,
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
