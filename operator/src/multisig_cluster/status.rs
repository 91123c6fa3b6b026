//! What is said about it all, and when to look again. Pure; it is written only when it differs.

use std::time::Duration;

use custody::{
    Role,
    identity::Identity,
    report::{Report, WorkloadState},
};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::runtime::controller::Action;
use multisig_api::{
    MultisigCluster, MultisigClusterStatus,
    conditions::{condition, reason},
    multisig_cluster::{
        nats::app_credentials_map,
        status::{AppStatus, IdentityStatus, NatsStatus, PlaceStatus},
    },
    place::Place,
};

use super::{
    account::AccountOutcome,
    apply::Effects,
    observe::{Objects, Seen, is_ready},
    recipients::Recipients,
};
use crate::{
    conditions::{Finding, Status, Transition, find, merge},
    document::Document,
    nats::account::Issued,
    places::{Places, last_seen},
    schedule,
};

/// Everything that was found out in a pass.
pub struct Found<'a> {
    /// Whether the places are apart.
    pub separated: Finding,
    /// kube-system UID of each member, where it is verified now.
    pub verified: Places<Option<String>>,
    /// Data centre of each member, as its MemberCluster names it.
    pub data_centers: Places<Option<String>>,
    /// What was seen there.
    pub seen: &'a Places<Seen>,
    /// What came of the writes.
    pub effects: Effects,
    /// Who has credentials for what.
    pub recipients: &'a Recipients,
    /// The account.
    pub account: &'a AccountOutcome,
}

/// The status after this pass, and what changed in its conditions.
pub fn status(
    cluster: &MultisigCluster,
    found: &Found<'_>,
    now: Timestamp,
) -> (MultisigClusterStatus, Vec<Transition>) {
    let previous = cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let generation = cluster.metadata.generation;
    let (conditions, transitions) = merge(previous, &findings(found), generation, now);
    let mut status = MultisigClusterStatus {
        observed_generation: generation,
        app: app(cluster, found),
        nats: found.account.record.as_ref().map(|record| NatsStatus { account: record.account.clone() }),
        conditions,
        ..MultisigClusterStatus::default()
    };
    for (place, seen) in found.seen.iter() {
        status.set_place(place, place_status(cluster, found, place, seen));
    }
    (status, transitions)
}

fn findings(found: &Found<'_>) -> Vec<(&'static str, Finding)> {
    let Effects { synced, nats, app: _ } = &found.effects;
    let reachable = found.seen.map(|_, seen| reachable(seen));
    let available = found.seen.map(|_, seen| available(seen));
    let vault = found.seen.map(|_, seen| vault(seen));
    let signing = found.seen.map(|place, seen| signing(seen, &available[place]));
    let signers = |(place, _): &(Place, &Finding)| place.signs();

    let synced = Finding::worst(each(synced.iter()), "every object on every member is up to date");
    let vault = Finding::worst(each(vault.iter()), "every workload has opened its keys with its own Vault");
    let signing = Finding::worst(each(signing.iter().filter(signers)), "every signer is serving");
    let pods = each(available.iter().filter(signers));
    let payments = Finding::worst(pods.chain([signing.clone()]), "payments can be signed");
    let credentials = credentials(found);
    // In the order in which people should look at them.
    let telling = [found.separated.clone()].into_iter().chain(each(reachable.iter()));
    let telling = telling.chain([synced.clone(), nats.clone(), signing.clone(), vault.clone(), credentials.clone()]);
    let telling = telling.chain([payments.clone()]).chain(each(available.iter()));
    let ready = Finding::worst(telling, "the places are separated, connected and serving");

    let of_place = |(place, reachable): (Place, &Finding)| {
        let available = (condition::available(place), available[place].clone());
        [(condition::reachable(place), reachable.clone()), available]
    };
    let separated = [(condition::SEPARATED, found.separated.clone())];
    let of_all = [
        (condition::VAULT_CONFIGURED, vault),
        (condition::NATS_CONFIGURED, nats.clone()),
        (condition::CREDENTIALS_CURRENT, credentials),
        (condition::SYNCED, synced),
        (condition::SIGNING_ALLOWED, signing),
        (condition::AVAILABLE, payments),
        (condition::READY, ready),
    ];
    separated.into_iter().chain(reachable.iter().flat_map(of_place)).chain(of_all).collect()
}

/// Each finding, saying which place it is about.
fn each<'a>(findings: impl Iterator<Item = (Place, &'a Finding)>) -> impl Iterator<Item = Finding> {
    findings.map(|(place, finding)| finding.clone().about(place))
}

fn reachable(seen: &Seen) -> Finding {
    match &seen.identity {
        // It answered, but not what was asked.
        Err(finding) if finding.reason != reason::FORBIDDEN => finding.clone(),
        Ok(_) | Err(_) => Finding::good("the API server answers"),
    }
}

fn available(seen: &Seen) -> Finding {
    let Objects { stateful_set, pod, .. } = match seen_objects(seen) {
        Ok(objects) => objects,
        Err(unknown) => return unknown,
    };
    match stateful_set {
        None => Finding::bad(reason::NOT_CREATED, "the StatefulSet does not exist yet"),
        Some(stateful_set) if is_ready(stateful_set) => Finding::good("the pod is ready"),
        Some(_) => {
            let detail = pod.as_ref().and_then(pod_trouble).map(|detail| format!(": {detail}")).unwrap_or_default();
            Finding::bad(reason::POD_NOT_READY, format!("the pod is not ready{detail}"))
        }
    }
}

/// Why a pod doesn't run, in Kubernetes' own words.
fn pod_trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        return Some(format!("it can't be scheduled: {}", condition.message.as_deref().unwrap_or_default()));
    }
    let waiting =
        status.container_statuses.iter().flatten().find_map(|container| container.state.as_ref()?.waiting.as_ref())?;
    let parts = [waiting.reason.as_deref(), waiting.message.as_deref()];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
}

fn vault(seen: &Seen) -> Finding {
    let report = match report(seen) {
        Ok(report) => report,
        Err(unknown) => return unknown,
    };
    match (report.state, report.vault_key_version) {
        (WorkloadState::Starting, _) => Finding::bad(reason::VAULT_UNAVAILABLE, report.message.clone()),
        (_, None) => {
            Finding::unknown(reason::NO_REPORT, format!("the workload has not used its Vault yet: {}", report.message))
        }
        (_, Some(_)) => Finding::good("the workload has opened its keys"),
    }
}

fn signing(seen: &Seen, available: &Finding) -> Finding {
    let report = match report(seen) {
        Ok(report) => report,
        // Without a report the pod says more.
        Err(_) if !available.is_good() => return available.clone(),
        Err(unknown) => return unknown,
    };
    let reason = match report.state {
        // A report may be older than the pod's trouble.
        WorkloadState::Serving if !available.is_good() => return available.clone(),
        WorkloadState::Serving => return Finding::good("the workload is serving"),
        WorkloadState::Starting => reason::STARTING,
        WorkloadState::AwaitingTrust => reason::AWAITING_TRUST,
        WorkloadState::AwaitingCredentials => reason::AWAITING_CREDENTIALS,
        WorkloadState::AwaitingCoolKey => reason::AWAITING_COOL_KEY,
        WorkloadState::Locked => reason::LOCKED,
        WorkloadState::Frozen => reason::FROZEN,
        WorkloadState::Disconnected => reason::DISCONNECTED,
    };
    Finding::bad(reason, report.message.clone())
}

fn credentials(found: &Found<'_>) -> Finding {
    let places = found.seen.map(|place, seen| credentials_of(found, place.role(), seen));
    let problems = [found.recipients.problems.get(&Role::App), found.account.problems.get(&Role::App)];
    let app = problems.into_iter().flatten().chain(&found.effects.app).next();
    let app = app.map(|problem| problem.clone().about(Role::App));
    Finding::worst(each(places.iter()).chain(app), "every workload has credentials for its current key")
}

fn credentials_of(found: &Found<'_>, role: Role, seen: &Seen) -> Finding {
    if let Some(problem) = found.recipients.problems.get(&role).or(found.account.problems.get(&role)) {
        return problem.clone();
    }
    let report = match report(seen) {
        Ok(report) => report,
        Err(unknown) => return unknown,
    };
    let Some(identity) = &report.identity else {
        return Finding::bad(reason::AWAITING_IDENTITY, "the workload has not reported its public keys yet");
    };
    let Some(Issued { user, generation, .. }) = issued(found, role) else {
        return Finding::bad(reason::AWAITING_IDENTITY, "no credentials have been minted yet");
    };
    if *user == identity.nats_user && report.credentials_generation == Some(*generation) {
        Finding::good("the workload uses its newest credentials")
    } else {
        Finding::bad(
            reason::AWAITING_USE,
            format!("the workload does not use credentials of generation {generation} yet"),
        )
    }
}

fn place_status(cluster: &MultisigCluster, found: &Found<'_>, place: Place, seen: &Seen) -> PlaceStatus {
    let before = last_seen(cluster, place).cloned().unwrap_or_default();
    let PlaceStatus { cluster_uid, data_center, image, identity, credential_generation, .. } = before;
    let PlaceStatus { policy_digest, signing, message, vault_key_version, rewrap_left, .. } = before;
    let same_place = found.data_centers[place] == data_center;
    let objects = seen.objects.as_ref().ok();
    let report = objects.and_then(|objects| objects.report.read());
    PlaceStatus {
        // What was verified stays verified while it can't be seen, unless another place is meant now.
        cluster_uid: found.verified[place].clone().or(cluster_uid.filter(|_| same_place)),
        data_center: found.data_centers[place].clone(),
        image: objects.map_or(image, |objects| objects.stateful_set.as_ref().and_then(image_of)),
        identity: found.recipients.identities.get(&place).map(identity_status).or(identity),
        credential_generation: issued(found, place.role())
            .and_then(|issued| i64::try_from(issued.generation).ok())
            .or(credential_generation),
        policy_digest: report.map_or(policy_digest, |report| report.digests.policy.clone()),
        signing: report.map_or(signing, |report| Some(format!("{:?}", report.state))),
        message: report.map_or(message, |report| Some(report.message.clone())),
        vault_key_version: report.map_or(vault_key_version, |report| number(report.vault_key_version)),
        rewrap_left: report.map_or(rewrap_left, |report| number(report.rewrap_left)),
    }
}

/// JSON of the API server has no larger numbers; a signer that reports one is not worth a failure.
fn number(reported: Option<u64>) -> Option<i64> {
    reported.and_then(|number| i64::try_from(number).ok())
}

fn app(cluster: &MultisigCluster, found: &Found<'_>) -> Option<AppStatus> {
    let issued = issued(found, Role::App)?;
    Some(AppStatus {
        nats_user: issued.user.clone(),
        credential_generation: i64::try_from(issued.generation).ok()?,
        credentials_config_map: app_credentials_map(cluster.metadata.name.as_deref().unwrap_or_default()),
    })
}

fn issued<'a>(found: &'a Found<'_>, role: Role) -> Option<&'a Issued> {
    found.account.record.as_ref()?.issued.get(&role)
}

fn image_of(stateful_set: &k8s_openapi::api::apps::v1::StatefulSet) -> Option<String> {
    stateful_set.spec.as_ref()?.template.spec.as_ref()?.containers.first()?.image.clone()
}

fn identity_status(identity: &Identity) -> IdentityStatus {
    IdentityStatus {
        nats_user: identity.nats_user.clone(),
        message_key: identity.keys.message_key.clone(),
        xkey: identity.keys.xkey.clone(),
        fingerprint: custody::identity::fingerprint(identity.role, &identity.keys),
    }
}

fn report(seen: &Seen) -> Result<&Report, Finding> {
    match &seen_objects(seen)?.report {
        Document::Read(report) => Ok(report),
        Document::Missing => Err(Finding::unknown(reason::NO_REPORT, "the workload has not reported yet")),
        Document::Refused(why) => {
            Err(Finding::unknown(reason::NO_REPORT, format!("this version can't read the workload's report: {why}")))
        }
    }
}

fn seen_objects(seen: &Seen) -> Result<&Objects, Finding> {
    seen.objects.as_ref().map_err(|finding| Finding::unknown(reason::NOT_OBSERVED, finding.message.clone()))
}

/// When to look again, if nothing happens before; `random` spreads many clusters over time.
pub fn requeue(status: &MultisigClusterStatus, now: Timestamp, random: u32) -> Action {
    let ready = find(&status.conditions, condition::READY);
    Action::requeue(match ready {
        Some(ready) if ready.status == Status::True.as_str() => schedule::jittered(schedule::READY, random),
        Some(ready) => {
            let since = now.as_second() - ready.last_transition_time.0.as_second();
            schedule::poll(Duration::from_secs(since.try_into().unwrap_or(0)))
        }
        None => schedule::poll(Duration::ZERO),
    })
}

#[cfg(test)]
mod tests {
    use super::super::recipients::recipients;
    use super::*;
    use crate::tests::fixtures;

    struct Bench {
        cluster: MultisigCluster,
        seen: Places<Seen>,
        recipients: Recipients,
        account: AccountOutcome,
        separated: Finding,
        synced: Places<Finding>,
        nats: Finding,
    }

    impl Bench {
        /// Everything in order.
        fn new() -> Self {
            let mut seen = fixtures::seen();
            let mut record = fixtures::record();
            for place in [Place::Keeper, Place::Cooler] {
                fixtures::serve(&mut seen[place], place, &mut record);
            }
            let cluster = fixtures::cluster();
            let recipients = recipients(&cluster, &fixtures::dereferenced(), &seen, fixtures::custody());
            Self {
                cluster,
                seen,
                recipients,
                account: AccountOutcome { record: Some(record), ..AccountOutcome::default() },
                separated: Finding::good("apart"),
                synced: fixtures::seen().map(|_, _| Finding::good("synced")),
                nats: Finding::good("held"),
            }
        }

        fn status(&self) -> MultisigClusterStatus {
            let found = Found {
                separated: self.separated.clone(),
                verified: self.seen.map(|_, seen| seen.identity.as_ref().ok().map(|seen| seen.cluster_uid.clone())),
                data_centers: self.seen.map(|place, _| Some(fixtures::member_of(place).to_owned())),
                seen: &self.seen,
                effects: Effects { synced: self.synced.clone(), nats: self.nats.clone(), app: None },
                recipients: &self.recipients,
                account: &self.account,
            };
            status(&self.cluster, &found, Timestamp::from_second(1000).unwrap()).0
        }

        fn table(&self) -> String {
            let line = |condition: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
                format!("{}={} {}: {}", condition.type_, condition.status, condition.reason, condition.message)
            };
            self.status().conditions.iter().map(line).collect::<Vec<_>>().join("\n")
        }

        fn ready(&self) -> (String, String) {
            let conditions = self.status().conditions;
            let ready = conditions.last().unwrap();
            (ready.status.clone(), ready.reason.clone())
        }

        fn keeper_report(&mut self) -> &mut Report {
            match &mut self.seen[Place::Keeper].objects.as_mut().unwrap().report {
                Document::Read(report) => report,
                _ => panic!(),
            }
        }
    }

    #[test]
    fn the_conditions_of_a_custody_that_serves() {
        insta::assert_snapshot!(Bench::new().table());
    }

    #[test]
    fn the_conditions_of_a_custody_with_a_lost_keeper() {
        let mut bench = Bench::new();
        let lost = Finding::bad(reason::UNREACHABLE, "the API server does not answer: no answer within 5 s");
        bench.seen[Place::Keeper] = Seen::nothing(lost.clone());
        bench.synced[Place::Keeper] = Finding::unknown(lost.reason, lost.message);
        insta::assert_snapshot!(bench.table());
    }

    #[test]
    fn the_conditions_of_a_custody_in_its_first_minute() {
        let mut bench = Bench::new();
        bench.seen = fixtures::seen();
        bench.recipients.identities.clear();
        bench.account = AccountOutcome::default();
        insta::assert_snapshot!(bench.table());
    }

    #[test]
    fn every_condition_of_the_list_is_there_but_those_of_a_place_that_is_not() {
        let types: Vec<_> = Bench::new().status().conditions.into_iter().map(|condition| condition.type_).collect();
        let absent = [condition::SENTINEL_REACHABLE, condition::SENTINEL_AVAILABLE];
        assert!(types.iter().eq(condition::MULTISIG_CLUSTER.iter().filter(|kind| !absent.contains(kind))));
    }

    #[test]
    fn a_signer_that_does_not_serve_is_named_with_what_it_says() {
        let states = [
            (WorkloadState::Starting, reason::STARTING),
            (WorkloadState::AwaitingTrust, reason::AWAITING_TRUST),
            (WorkloadState::AwaitingCredentials, reason::AWAITING_CREDENTIALS),
            (WorkloadState::AwaitingCoolKey, reason::AWAITING_COOL_KEY),
            (WorkloadState::Locked, reason::LOCKED),
            (WorkloadState::Frozen, reason::FROZEN),
            (WorkloadState::Disconnected, reason::DISCONNECTED),
        ];
        for (state, reason) in states {
            let mut bench = Bench::new();
            bench.keeper_report().state = state;
            bench.keeper_report().message = "do this".to_owned();
            let signing = bench.status().conditions[9].clone();
            assert_eq!((signing.status.as_str(), signing.reason.as_str()), ("False", reason));
            assert_eq!(signing.message, "keeper: do this");
            assert_eq!(bench.ready(), ("False".to_owned(), reason.to_owned()));
        }
    }

    #[test]
    fn a_report_older_than_the_pods_trouble_is_not_believed() {
        let mut bench = Bench::new();
        let status =
            bench.seen[Place::Keeper].objects.as_mut().unwrap().stateful_set.as_mut().unwrap().status.as_mut().unwrap();
        status.ready_replicas = Some(0);
        assert_eq!(bench.ready(), ("False".to_owned(), reason::POD_NOT_READY.to_owned()));
    }

    #[test]
    fn a_sealed_vault_is_told_in_the_workloads_words() {
        let mut bench = Bench::new();
        bench.keeper_report().state = WorkloadState::Starting;
        bench.keeper_report().message = "Vault is sealed".to_owned();
        let vault = bench.status().conditions[5].clone();
        assert_eq!((vault.status.as_str(), vault.message.as_str()), ("False", "keeper: Vault is sealed"));
    }

    #[test]
    fn credentials_are_current_only_in_use() {
        let mut bench = Bench::new();
        bench.keeper_report().credentials_generation = Some(0);
        assert_eq!(bench.status().conditions[7].reason, reason::AWAITING_USE);
        bench.account.problems.insert(Role::Keeper, Finding::bad(reason::IDENTITY_REFUSED, "no"));
        assert_eq!(bench.status().conditions[7].reason, reason::IDENTITY_REFUSED);
    }

    #[test]
    fn what_was_known_stays_while_nothing_can_be_seen() {
        let mut bench = Bench::new();
        let before = bench.status();
        bench.cluster.status = Some(before.clone());
        bench.seen[Place::Keeper] = Seen::nothing(Finding::bad(reason::UNREACHABLE, "no answer"));
        bench.recipients.identities.remove(&Place::Keeper);
        assert_eq!(bench.status().keeper, before.keeper);
    }

    #[test]
    fn a_rotation_of_the_vault_key_is_seen_in_its_progress() {
        let mut bench = Bench::new();
        assert_eq!(bench.status().keeper.unwrap().rewrap_left, None);
        let report = bench.keeper_report();
        (report.vault_key_version, report.rewrap_left) = (Some(2), Some(340));
        report.message = "serving; Vault key: refused".to_owned();
        let keeper = bench.status().keeper.unwrap();
        assert_eq!((keeper.vault_key_version, keeper.rewrap_left), (Some(2), Some(340)));
        assert_eq!(keeper.message.as_deref(), Some("serving; Vault key: refused"));
        assert_eq!(bench.ready().0, "True", "payments go on meanwhile");
    }

    #[test]
    fn the_same_findings_give_the_same_status() {
        let mut bench = Bench::new();
        let before = bench.status();
        bench.cluster.status = Some(before.clone());
        assert_eq!(bench.status(), before);
    }
}
