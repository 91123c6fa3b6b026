//! Deletion. Power goes first: every NATS user is revoked at the broker, which needs no member. Then the workloads go
//! where they can be reached. Volumes, seeds, Vault keys and ConfigMaps stay. The object stays until all of that is
//! proven, or until somebody says that a place will never be reached again.

use custody::config::NatsConfig;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{apps::v1::StatefulSet, core::v1::Service, policy::v1::PodDisruptionBudget},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Preconditions},
    runtime::controller::Action,
};
use multisig_api::{
    MultisigCluster, MultisigClusterStatus,
    conditions::{condition, reason},
    labels,
    member_cluster::{ClaimedBy, MemberClusterSpec},
    place::Place,
};
use rand_core::{OsRng, RngCore};
use serde::de::DeserializeOwned;

use super::{
    account::{hold, operator, store_record},
    dereference::{Dereferenced, MemberReferences, dereference},
    objects::ownership::is_ours,
    pass::{Error, KIND, Pass},
    status::requeue,
    validate::custody,
};
use crate::{
    calls::CallError,
    conditions::{Finding, merge},
    document::Document,
    hub,
    members::{client::Member, identity::identify},
    nats::account::{self, Record},
    places::{self, PlaceSpec, Places, last_seen},
};

/// One pass over a MultisigCluster that is being deleted.
pub async fn cleanup(pass: Pass<'_>) -> Result<Action, Error> {
    let Pass { cluster, context, now } = pass;
    if !cluster.finalizers().iter().any(|finalizer| finalizer == labels::FINALIZER) {
        forget(pass);
        return Ok(Action::await_change());
    }
    let places = places::configured(cluster);
    let found = dereference(cluster, &places, context).await?;
    let nats = end_account(pass, &found).await?;
    let removed = found.members.map(|place, references| remove(pass, place, places[place], references)).join().await;
    if nats.is_good() && removed.iter().all(|(_, removed)| removed.is_good()) {
        hub::set_finalizer(context, cluster, labels::FINALIZER, false).await?;
        forget(pass);
        return Ok(Action::await_change());
    }
    let after = say(pass, nats, &removed).await?;
    Ok(requeue(&after, now, OsRng.next_u32()))
}

/// Nothing of it is kept in memory.
fn forget(Pass { cluster, context, .. }: Pass<'_>) {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    context.brokers.forget(&cluster.uid().unwrap_or_default());
    context.metrics.forget(KIND, &namespace, &name, &condition::MULTISIG_CLUSTER);
}

/// Says what the deletion is waiting for; everything else stays as it was seen last.
async fn say(pass: Pass<'_>, nats: Finding, removed: &Places<Finding>) -> Result<MultisigClusterStatus, CallError> {
    let Pass { cluster, context, now } = pass;
    let of_places = removed.iter().map(|(place, removed)| removed.clone().about(place));
    let awaited = Finding::worst([nats.clone()].into_iter().chain(of_places), "").message;
    let ready = Finding::bad(reason::DELETING, format!("deletion is waiting for: {awaited}"));
    let of_places = removed.iter().map(|(place, removed)| (condition::reachable(place), removed.clone()));
    let findings: Vec<_> = of_places.chain([(condition::NATS_CONFIGURED, nats), (condition::READY, ready)]).collect();
    let before = cluster.status.clone().unwrap_or_default();
    let (changed, transitions) = merge(&before.conditions, &findings, cluster.metadata.generation, now);
    let mut conditions = before.conditions.clone();
    conditions.retain(|old| changed.iter().all(|new| new.type_ != old.type_));
    conditions.extend(changed);
    let order = |kind: &str| condition::MULTISIG_CLUSTER.iter().position(|known| *known == kind);
    conditions.sort_by_key(|condition| order(&condition.type_));
    let after = MultisigClusterStatus { conditions, observed_generation: cluster.metadata.generation, ..before };
    if hub::write_status(context, cluster, cluster.status.as_ref(), &after).await? {
        let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
        hub::log_transitions(KIND, &namespace, &name, &transitions);
        hub::publish_transitions(context, &cluster.object_ref(&()), &transitions).await;
    }
    Ok(after)
}

async fn end_account(pass: Pass<'_>, found: &Dereferenced) -> Result<Finding, Error> {
    let Pass { cluster, now, .. } = pass;
    let known = cluster.status.as_ref().and_then(|status| status.nats.as_ref()).map(|nats| nats.account.clone());
    let abandoned = abandoned(cluster, labels::ABANDON_ACCOUNT);
    let kept = match &found.account {
        Document::Missing => return Ok(Finding::good("there is no account")),
        Document::Refused(why) if known.as_ref().is_none_or(|account| !abandoned.contains(account)) => {
            let why = format!("the account's keys can't be used: {why}; {}", abandon_account(known.as_deref()));
            return Ok(Finding::bad(reason::ACCOUNT_STATE_REFUSED, why));
        }
        Document::Refused(_) => return Ok(Finding::good("the account is abandoned")),
        Document::Read(kept) => kept,
    };
    let Record { account, token, .. } = &kept.record;
    if token.is_empty() {
        return Ok(Finding::good("the account was never pushed to a broker"));
    }
    if abandoned.contains(account) {
        return Ok(Finding::good("the account is abandoned"));
    }
    let advice = |mut finding: Finding| {
        finding.message = format!("{}; {}", finding.message, abandon_account(Some(account)));
        finding
    };
    let operator = match operator(found) {
        Ok(operator) => operator,
        Err(finding) => return Ok(advice(finding)),
    };
    let ended = account::end(&kept.record, &operator.key(), custody(cluster)?, now.as_second())?;
    let mut version = kept.resource_version.clone();
    if ended != kept.record {
        version = store_record(pass, version, &ended).await?;
    }
    let ca_bundle = found.ca_bundle.clone().unwrap_or_default();
    let nats = NatsConfig { urls: cluster.spec.nats.urls.clone(), ca_bundle };
    Ok(match hold(pass, &nats, operator, &ended, version).await? {
        Ok(_) => Finding::good("every NATS user is revoked"),
        Err(error) => advice(Finding::from(error)),
    })
}

async fn remove(pass: Pass<'_>, place: Place, spec: PlaceSpec<'_>, references: &MemberReferences) -> Finding {
    let Pass { cluster, .. } = pass;
    let name = spec.member;
    let pin = match &references.member {
        Document::Read(member) => Some(&member.spec.cluster_uid),
        _ => last_seen(cluster, place).and_then(|status| status.cluster_uid.as_ref()),
    };
    if pin.is_some_and(|pin| abandoned(cluster, labels::ABANDON_MEMBER).contains(pin)) {
        return Finding::good("the member is abandoned: what runs there is left behind");
    }
    let Document::Read(member) = &references.member else {
        let why = format!("MemberCluster {name} does not exist or can't be read");
        return Finding::bad(reason::REFERENCE_MISSING, advice(&why, pin));
    };
    let own = ClaimedBy { name: cluster.name_any(), role: place.role() };
    if member.status.as_ref().and_then(|status| status.claimed_by.as_ref()).is_some_and(|claim| *claim != own) {
        return Finding::good("the member serves another custody: nothing there belongs to this one");
    }
    let Some(kubeconfig) = &references.kubeconfig else {
        let why = format!("the kubeconfig of MemberCluster {name} does not exist");
        return Finding::bad(reason::REFERENCE_MISSING, advice(&why, pin));
    };
    match remove_from(pass, place, name, &member.spec, kubeconfig).await {
        Ok(finding) => finding,
        Err(mut finding) => {
            finding.message = advice(&finding.message, pin);
            finding
        }
    }
}

async fn remove_from(
    Pass { cluster, context, .. }: Pass<'_>,
    place: Place,
    name: &str,
    spec: &MemberClusterSpec,
    kubeconfig: &[u8],
) -> Result<Finding, Finding> {
    let namespace = cluster.namespace().unwrap_or_default();
    let member = context
        .members
        .connect(&namespace, name, &spec.namespace, kubeconfig)
        .await
        .map_err(|error| Finding::bad(reason::KUBECONFIG_REFUSED, error.to_string()))?;
    let finding = |error: CallError| Finding::from(&error);
    if let Some(why) = member.lost() {
        return Err(finding(CallError::Unreachable(why)));
    }
    let identity = identify(&member, &spec.namespace).await.map_err(finding)?;
    if identity.cluster_uid != spec.cluster_uid {
        let why = format!(
            "the cluster that answers has the UID {}, but {} is pinned",
            identity.cluster_uid, spec.cluster_uid
        );
        return Err(Finding::bad(reason::CLUSTER_UID_MISMATCH, why));
    }
    let custody = &cluster.spec.custody.id;
    if delete_workload(&member, &spec.namespace, place, custody).await.map_err(finding)? {
        Ok(Finding::good("the workload is deleted; volume, keys and ConfigMaps are retained"))
    } else {
        Ok(Finding::bad(reason::DELETING, "the workload is still being deleted"))
    }
}

/// Deletes a place's workload on its member, but for what is not ours; whether all of it is gone.
async fn delete_workload(member: &Member, namespace: &str, place: Place, custody: &str) -> Result<bool, CallError> {
    let stateful_set = delete::<StatefulSet>(member, namespace, place.as_str(), custody).await?;
    let service = delete::<Service>(member, namespace, place.as_str(), custody).await?;
    let budget = delete::<PodDisruptionBudget>(member, namespace, place.as_str(), custody).await?;
    Ok(stateful_set && service && budget)
}

async fn delete<K>(member: &Member, namespace: &str, name: &str, custody: &str) -> Result<bool, CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(member.client(), namespace);
    let Some(object) = member.get::<K>(namespace, name).await? else { return Ok(true) };
    if !is_ours(object.meta(), custody) {
        return Ok(true);
    }
    if object.meta().deletion_timestamp.is_none() {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
            ..DeleteParams::background()
        };
        member.call(api.delete(name, &parameters)).await?;
    }
    Ok(member.get::<K>(namespace, name).await?.is_none())
}

fn advice(why: &str, pin: Option<&String>) -> String {
    let pin = pin.map_or("UID", String::as_str);
    let annotation = labels::ABANDON_MEMBER;
    format!("{why}; if the member will never be reachable again, annotate this object with {annotation}={pin}")
}

fn abandon_account(account: Option<&str>) -> String {
    let (annotation, account) = (labels::ABANDON_ACCOUNT, account.unwrap_or("ACCOUNT"));
    format!("if the broker will never be reachable again, annotate this object with {annotation}={account}")
}

/// What an annotation gives up, comma separated.
fn abandoned(cluster: &MultisigCluster, annotation: &str) -> Vec<String> {
    let text = cluster.annotations().get(annotation).map(String::as_str).unwrap_or_default();
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixtures;

    #[test]
    fn an_annotation_gives_up_exactly_what_it_names() {
        let mut cluster = fixtures::cluster();
        assert!(abandoned(&cluster, labels::ABANDON_MEMBER).is_empty());
        cluster.annotations_mut().insert(labels::ABANDON_MEMBER.to_owned(), " a, b ,".to_owned());
        assert_eq!(abandoned(&cluster, labels::ABANDON_MEMBER), ["a", "b"]);
        assert!(abandoned(&cluster, labels::ABANDON_ACCOUNT).is_empty());
    }
}
