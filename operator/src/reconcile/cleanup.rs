//! Deletion. Power goes first: every NATS user is revoked at the broker, which needs no member. Then the workloads go
//! where they can be reached. Volumes, seeds, Vault keys and ConfigMaps stay. The object stays until all of that is
//! proven, or until somebody says that a place will never be reached again.

use custody::config::NatsConfig;
use kube::{Resource, ResourceExt, runtime::controller::Action};
use multisig_api::{
    MultisigCluster, MultisigClusterStatus,
    conditions::{condition, reason},
    labels,
    member_cluster::{ClaimedBy, MemberClusterSpec},
};

use super::{
    Error, KIND, Pass, apply,
    dereference::{Dereferenced, MemberReferences, dereference},
    requeue, signer_spec, signer_status,
};
use crate::{
    calls::CallError,
    conditions::{Finding, merge},
    hub,
    members::{Document, identify},
    nats::account::{self, Record},
    signers::Signer,
};

/// One pass over a MultisigCluster that is being deleted.
pub async fn cleanup(pass: Pass<'_>) -> Result<Action, Error> {
    let Pass { cluster, context, now } = pass;
    if !cluster.finalizers().iter().any(|finalizer| finalizer == labels::FINALIZER) {
        forget(pass);
        return Ok(Action::await_change());
    }
    let found = dereference(cluster, context).await?;
    let nats = end_account(pass, &found).await?;
    let (keeper, cooler) = futures::join!(
        remove(pass, Signer::Keeper, &found.members.keeper),
        remove(pass, Signer::Cooler, &found.members.cooler),
    );
    if nats.is_good() && keeper.is_good() && cooler.is_good() {
        hub::set_finalizer(context, cluster, labels::FINALIZER, false).await?;
        forget(pass);
        return Ok(Action::await_change());
    }
    let after = say(pass, [nats, keeper, cooler]).await?;
    Ok(requeue(&after, now))
}

/// Nothing of it is kept in memory.
fn forget(Pass { cluster, context, .. }: Pass<'_>) {
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    context.brokers.forget(&cluster.uid().unwrap_or_default());
    context.metrics.forget(KIND, &namespace, &name, &condition::MULTISIG_CLUSTER);
}

/// Says what is still awaited; everything else stays as it was seen last.
async fn say(pass: Pass<'_>, [nats, keeper, cooler]: [Finding; 3]) -> Result<MultisigClusterStatus, CallError> {
    let Pass { cluster, context, now } = pass;
    let parts = [nats.clone(), keeper.clone().about(Signer::Keeper), cooler.clone().about(Signer::Cooler)];
    let awaited = Finding::worst(parts, "").message;
    let ready = Finding::bad(reason::DELETING, format!("being deleted, waiting for: {awaited}"));
    let findings = [
        (condition::KEEPER_REACHABLE, keeper),
        (condition::COOLER_REACHABLE, cooler),
        (condition::NATS_CONFIGURED, nats),
        (condition::READY, ready),
    ];
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
        return Ok(Finding::good("the account was never pushed"));
    }
    if abandoned.contains(account) {
        return Ok(Finding::good("the account is abandoned"));
    }
    let advice = |mut finding: Finding| {
        finding.message = format!("{}; {}", finding.message, abandon_account(Some(account)));
        finding
    };
    let operator = match apply::operator(found) {
        Ok(operator) => operator,
        Err(finding) => return Ok(advice(finding)),
    };
    let custody = cluster
        .spec
        .custody
        .id
        .parse()
        .map_err(|error: custody::ids::NameError| CallError::Malformed(error.to_string()))?;
    let ended = account::end(&kept.record, &operator.key(), custody, now.as_second())?;
    let mut version = kept.resource_version.clone();
    if ended != kept.record {
        version = apply::store_record(pass, version, &ended).await?;
    }
    let ca_bundle = found.ca_bundle.clone().unwrap_or_default();
    let nats = NatsConfig { urls: cluster.spec.nats.urls.clone(), ca_bundle };
    Ok(match apply::hold(pass, &nats, operator, &ended, version).await? {
        Ok(_) => Finding::good("every NATS user is revoked"),
        Err(error) => advice(Finding::from(error)),
    })
}

async fn remove(pass: Pass<'_>, signer: Signer, references: &MemberReferences) -> Finding {
    let Pass { cluster, .. } = pass;
    let name = &signer_spec(cluster, signer).member_ref.name;
    let pin = match &references.member {
        Document::Read(member) => Some(&member.spec.cluster_uid),
        _ => signer_status(cluster, signer).and_then(|status| status.cluster_uid.as_ref()),
    };
    if pin.is_some_and(|pin| abandoned(cluster, labels::ABANDON_MEMBER).contains(pin)) {
        return Finding::good("the member is abandoned: what runs there is left behind");
    }
    let Document::Read(member) = &references.member else {
        let why = format!("MemberCluster {name} does not exist or can't be read");
        return Finding::bad(reason::REFERENCE_MISSING, advice(&why, pin));
    };
    let own = ClaimedBy { name: cluster.name_any(), role: signer.role() };
    if member.status.as_ref().and_then(|status| status.claimed_by.as_ref()).is_some_and(|claim| *claim != own) {
        return Finding::good("the member serves another custody: nothing there is ours");
    }
    let Some(kubeconfig) = &references.kubeconfig else {
        let why = format!("the kubeconfig of MemberCluster {name} does not exist");
        return Finding::bad(reason::REFERENCE_MISSING, advice(&why, pin));
    };
    match remove_from(pass, signer, name, &member.spec, kubeconfig).await {
        Ok(finding) => finding,
        Err(mut finding) => {
            finding.message = advice(&finding.message, pin);
            finding
        }
    }
}

async fn remove_from(
    Pass { cluster, context, .. }: Pass<'_>,
    signer: Signer,
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
        let why = format!("the cluster that answers is {}, not the pinned {}", identity.cluster_uid, spec.cluster_uid);
        return Err(Finding::bad(reason::CLUSTER_UID_MISMATCH, why));
    }
    let custody = &cluster.spec.custody.id;
    if apply::delete_workload(&member, &spec.namespace, signer, custody).await.map_err(finding)? {
        Ok(Finding::good("the workload is gone; volume, keys and ConfigMaps stay"))
    } else {
        Ok(Finding::bad(reason::DELETING, "the workload is still being deleted"))
    }
}

fn advice(why: &str, pin: Option<&String>) -> String {
    let pin = pin.map_or("UID", String::as_str);
    let annotation = labels::ABANDON_MEMBER;
    format!("{why}; if it will never be reached again, annotate this object with {annotation}={pin}")
}

fn abandon_account(account: Option<&str>) -> String {
    let (annotation, account) = (labels::ABANDON_ACCOUNT, account.unwrap_or("ACCOUNT"));
    format!("if the broker will never be reached again, annotate this object with {annotation}={account}")
}

/// What an annotation gives up, comma separated.
fn abandoned(cluster: &MultisigCluster, annotation: &str) -> Vec<String> {
    let text = cluster.annotations().get(annotation).map(String::as_str).unwrap_or_default();
    text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    #[test]
    fn an_annotation_gives_up_exactly_what_it_names() {
        let mut cluster = fixtures::cluster();
        assert!(abandoned(&cluster, labels::ABANDON_MEMBER).is_empty());
        cluster.annotations_mut().insert(labels::ABANDON_MEMBER.to_owned(), " a, b ,".to_owned());
        assert_eq!(abandoned(&cluster, labels::ABANDON_MEMBER), ["a", "b"]);
        assert!(abandoned(&cluster, labels::ABANDON_ACCOUNT).is_empty());
    }
}
