//! MemberCluster: probes the member, decides who may use it, says what was found.

mod claim;

use std::{sync::Arc, time::Duration};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{Api, Resource, ResourceExt, api::ListParams, core::DeserializeGuard, runtime::controller::Action};
use multisig_api::{
    MemberCluster, MemberClusterStatus, MultisigCluster,
    conditions::{condition, reason},
    labels,
    member_cluster::{CredentialStatus, Guard, MemberClusterSpec},
};

use crate::{
    calls::{CallError, within},
    conditions::{Finding, Status, find, merge},
    context::Context,
    hub,
    members::{
        client::Member,
        identity::{Identity, identify, verify},
        kubeconfig::Credential,
    },
    schedule, secret,
};
use claim::claim;

/// The kind, in metrics and logs.
pub const KIND: &str = "MemberCluster";

/// How far the probe came.
enum Probe {
    /// No usable kubeconfig.
    NoKubeconfig(Finding),
    /// The kubeconfig is fine, the call is not.
    Failed(Credential, CallError),
    /// It answered.
    Identified(Credential, Box<Identity>),
}

/// One pass over a MemberCluster.
pub async fn reconcile(object: &MemberCluster, context: &Context, now: Timestamp) -> Result<Action, CallError> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let before = object.status.as_ref();
    let (clusters, unreadable) = clusters(context, &namespace).await?;
    let present = before.and_then(|status| status.claimed_by.as_ref());
    let claimed_by = claim(&name, present, &clusters, &unreadable);
    let deleting = object.meta().deletion_timestamp.is_some();
    if deleting && claimed_by.is_none() {
        context.members.forget(&namespace, &name);
        context.metrics.forget(KIND, &namespace, &name, &condition::MEMBER_CLUSTER);
        hub::set_finalizer(context, object, labels::CLAIMED_FINALIZER, false).await?;
        return Ok(Action::await_change());
    }
    if !deleting {
        hub::set_finalizer(context, object, labels::CLAIMED_FINALIZER, claimed_by.is_some()).await?;
    }
    let probe = probe(object, context, &namespace, &name).await?;
    let findings = findings(&object.spec, &probe, now);
    let previous = before.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let (conditions, transitions) = merge(previous, &findings, object.metadata.generation, now);
    let (credential, identity) = match probe {
        Probe::NoKubeconfig(_) => (None, None),
        Probe::Failed(credential, _) => (Some(credential), None),
        Probe::Identified(credential, identity) => (Some(credential), Some(identity)),
    };
    let after = MemberClusterStatus {
        observed_generation: object.metadata.generation,
        // What was seen last stays while nothing can be seen.
        cluster_uid: identity
            .as_ref()
            .map(|seen| seen.cluster_uid.clone())
            .or(before.and_then(|status| status.cluster_uid.clone())),
        version: identity
            .as_ref()
            .map(|seen| seen.version.clone())
            .or(before.and_then(|status| status.version.clone())),
        credential: credential.map(|credential| CredentialStatus { expires_at: credential.expires_at.map(Time) }),
        claimed_by,
        conditions,
    };
    context.metrics.conditions(KIND, &namespace, &name, &after.conditions);
    if hub::write_status(context, object, before, &after).await? {
        hub::log_transitions(KIND, &namespace, &name, &transitions);
        hub::publish_transitions(context, &object.object_ref(&()), &transitions).await;
    }
    Ok(Action::requeue(next_probe(&after)))
}

/// A member that answers is probed at a steady pace, a lost one more often at first.
fn next_probe(status: &MemberClusterStatus) -> Duration {
    let reachable = find(&status.conditions, condition::REACHABLE);
    if reachable.is_some_and(|reachable| reachable.status == Status::True.as_str()) {
        schedule::PROBE
    } else {
        schedule::poll(Duration::ZERO)
    }
}

async fn clusters(context: &Context, namespace: &str) -> Result<(Vec<MultisigCluster>, Vec<String>), CallError> {
    let api: Api<DeserializeGuard<MultisigCluster>> = Api::namespaced(context.hub.clone(), namespace);
    let (mut clusters, mut unreadable) = (Vec::new(), Vec::new());
    for DeserializeGuard(cluster) in within(api.list(&ListParams::default())).await? {
        match cluster {
            Ok(cluster) => clusters.push(cluster),
            Err(invalid) => unreadable.extend(invalid.metadata.name),
        }
    }
    Ok((clusters, unreadable))
}

async fn probe(object: &MemberCluster, context: &Context, namespace: &str, name: &str) -> Result<Probe, CallError> {
    let reference = &object.spec.kubeconfig_secret_ref;
    let secrets: Api<Secret> = Api::namespaced(context.hub.clone(), namespace);
    let secret = within(secrets.get_opt(&reference.name)).await?;
    let Some(kubeconfig) = secret.and_then(|secret| {
        let [value] = secret::take(secret, [&reference.key]);
        value
    }) else {
        let message = format!(
            "Secret {} has no key {}; store the kubeconfig that `multisig member prepare` printed under it",
            reference.name, reference.key
        );
        return Ok(Probe::NoKubeconfig(Finding::bad(reason::REFERENCE_MISSING, message)));
    };
    let member: Arc<Member> = match context.members.connect(namespace, name, &object.spec.namespace, &kubeconfig).await
    {
        Ok(member) => member,
        Err(error) => {
            let message = format!("the kubeconfig in Secret {} is refused: {error}", reference.name);
            return Ok(Probe::NoKubeconfig(Finding::bad(reason::KUBECONFIG_REFUSED, message)));
        }
    };
    Ok(match identify(&member, &object.spec.namespace).await {
        Ok(identity) => {
            member.found();
            Probe::Identified(member.credential(), Box::new(identity))
        }
        Err(error) => {
            if !error.is_unreachable() {
                member.found();
            }
            Probe::Failed(member.credential(), error)
        }
    })
}

fn findings(spec: &MemberClusterSpec, probe: &Probe, now: Timestamp) -> Vec<(&'static str, Finding)> {
    let reachable = reachable(probe);
    let identity = match probe {
        Probe::Identified(_, identity) => verify(spec, identity),
        Probe::Failed(_, error @ CallError::Forbidden(_)) => Finding::from(error),
        Probe::Failed(_, error) => {
            Finding::unknown(reason::NOT_OBSERVED, format!("the member could not be queried: {error}"))
        }
        Probe::NoKubeconfig(_) => {
            Finding::unknown(reason::NOT_OBSERVED, "the member can't be queried without a kubeconfig")
        }
    };
    let guard = Finding::unknown(
        reason::NOT_INSTALLED,
        "this version installs no admission policies, so only RBAC restricts what the hub may do on the member",
    );
    let credential = credential(probe, now);
    let guard_missing = (spec.guard == Guard::Required).then(|| {
        Finding::bad(
            reason::GUARD_MISSING,
            "guard is Required, but this version can't prove a guard; use guard: Optional with profile Development",
        )
    });
    let parts = [Some(reachable.clone()), Some(credential.clone()), Some(identity.clone()), guard_missing];
    let ready = Finding::worst(parts.into_iter().flatten(), "the member is reachable and is the pinned cluster");
    vec![
        (condition::REACHABLE, reachable),
        (condition::IDENTITY_VERIFIED, identity),
        (condition::GUARD_ACTIVE, guard),
        (condition::CREDENTIAL_VALID, credential),
        (condition::READY, ready),
    ]
}

fn reachable(probe: &Probe) -> Finding {
    match probe {
        Probe::NoKubeconfig(finding) => finding.clone(),
        Probe::Failed(_, error @ CallError::Unreachable(_)) => Finding::from(error),
        Probe::Failed(..) | Probe::Identified(..) => Finding::good("the API server answers"),
    }
}

fn credential(probe: &Probe, now: Timestamp) -> Finding {
    let renew = "the data centre admin must create a new kubeconfig with `multisig member prepare`";
    match probe {
        Probe::NoKubeconfig(_) => Finding::unknown(reason::NOT_OBSERVED, "there is no usable kubeconfig"),
        Probe::Failed(found, _) | Probe::Identified(found, _) if found.is_expired(now) => {
            Finding::bad(reason::EXPIRED, format!("the hub's token has expired; {renew}"))
        }
        Probe::Failed(_, CallError::Unauthorized) => {
            Finding::bad(reason::UNAUTHORIZED, format!("the member refuses the hub's credential; {renew}"))
        }
        Probe::Failed(_, CallError::Unreachable(_)) => Finding::unknown(
            reason::NOT_OBSERVED,
            "the member is unreachable, so it is unknown whether it accepts the credential",
        ),
        Probe::Failed(found, _) | Probe::Identified(found, _) if found.expires_soon(now) => Finding {
            reason: reason::EXPIRES_SOON,
            ..Finding::good(format!("less than a fifth of the lifetime of the hub's token is left; {renew}"))
        },
        Probe::Failed(..) | Probe::Identified(..) => Finding::good("the member accepts the hub's credential"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{document::Document, tests::fixtures};

    fn now() -> Timestamp {
        Timestamp::from_second(1000).unwrap()
    }

    fn table(spec: &MemberClusterSpec, probe: &Probe) -> Vec<String> {
        findings(spec, probe, now())
            .into_iter()
            .map(|(condition, finding)| format!("{condition}={}/{}", finding.status.as_str(), finding.reason))
            .collect()
    }

    fn lost() -> CallError {
        CallError::Unreachable("no answer within 5 s".to_owned())
    }

    #[test]
    fn a_member_that_answers_and_is_the_pinned_one_is_ready_without_a_guard_where_that_is_allowed() {
        let mut spec = fixtures::member("dc-a").spec;
        let probe = Probe::Identified(Credential::default(), fixtures::identity("dc-a").into());
        assert_eq!(
            table(&spec, &probe),
            [
                "Reachable=True/AsExpected",
                "IdentityVerified=True/AsExpected",
                "GuardActive=Unknown/NotInstalled",
                "CredentialValid=True/AsExpected",
                "Ready=True/AsExpected"
            ]
        );
        spec.guard = Guard::Required;
        assert_eq!(table(&spec, &probe)[4], "Ready=False/GuardMissing");
    }

    #[test]
    fn a_lost_member_is_unknown_in_everything_that_can_not_be_seen() {
        let spec = fixtures::member("dc-a").spec;
        assert_eq!(
            table(&spec, &Probe::Failed(Credential::default(), lost())),
            [
                "Reachable=False/Unreachable",
                "IdentityVerified=Unknown/NotObserved",
                "GuardActive=Unknown/NotInstalled",
                "CredentialValid=Unknown/NotObserved",
                "Ready=False/Unreachable"
            ]
        );
    }

    #[test]
    fn a_credential_that_is_refused_expired_or_about_to_expire_is_named() {
        let spec = fixtures::member("dc-a").spec;
        let credential = |issued, expires| Credential {
            issued_at: Timestamp::from_second(issued).ok(),
            expires_at: Timestamp::from_second(expires).ok(),
        };
        let reason = |probe: Probe| table(&spec, &probe)[3].clone();
        assert_eq!(
            reason(Probe::Failed(Credential::default(), CallError::Unauthorized)),
            "CredentialValid=False/Unauthorized"
        );
        assert_eq!(reason(Probe::Failed(credential(0, 999), CallError::Unauthorized)), "CredentialValid=False/Expired");
        let identity = fixtures::identity("dc-a");
        assert_eq!(
            reason(Probe::Identified(credential(0, 1100), identity.clone().into())),
            "CredentialValid=True/ExpiresSoon"
        );
        assert_eq!(reason(Probe::Identified(credential(0, 9000), identity.into())), "CredentialValid=True/AsExpected");
    }

    #[test]
    fn an_unprepared_member_says_what_its_admin_does() {
        let spec = fixtures::member("dc-a").spec;
        let mut identity = fixtures::identity("dc-a");
        identity.trust = Document::Missing;
        let ready = findings(&spec, &Probe::Identified(Credential::default(), identity.into()), now()).remove(4).1;
        assert_eq!(ready.reason, reason::TRUST_MISSING);
        assert!(ready.message.contains("multisig member prepare"), "{}", ready.message);
    }

    #[test]
    fn a_missing_kubeconfig_is_the_reason_for_not_being_reachable() {
        let spec = fixtures::member("dc-a").spec;
        let probe = Probe::NoKubeconfig(Finding::bad(reason::REFERENCE_MISSING, "no Secret"));
        assert_eq!(table(&spec, &probe)[0], "Reachable=False/ReferenceMissing");
        assert_eq!(table(&spec, &probe)[4], "Ready=False/ReferenceMissing");
    }
}
