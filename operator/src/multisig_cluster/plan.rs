//! What differs on each member from what is wanted there. Pure.

use std::collections::BTreeMap;

use custody::{
    Role,
    config::{Credentials, MemberConfig},
    identity::Identity,
    trust::MemberTrust,
};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::ConfigMap};
use kube::{Resource, core::ApiResource};
use multisig_api::{conditions::reason, labels, place::Place};
use serde::Serialize;
use serde_json::Value;

use super::{
    difference::{is_there, stamp},
    objects::{
        config::{config, proposed_before},
        credentials::credentials,
        disruption_budget::disruption_budget,
        ownership::{is_delegated, is_ours},
        service::service,
        shape::Shape,
        stateful_set::stateful_set,
    },
    observe::{Objects, Seen},
    validate::{Valid, ValidMember, Wiring, guard},
};
use crate::{conditions::Finding, document::Document, members::identity::verify, places::Places};

/// An object to apply on a member.
#[derive(Debug, Clone)]
pub struct Write {
    /// Its kind.
    pub resource: ApiResource,
    /// Its name.
    pub name: String,
    /// What is wanted of it.
    pub body: Value,
}

/// What is applied on a member, or why nothing is.
pub type MemberPlan = Result<Vec<Write>, Finding>;

/// What differs on each member. `minted` are the credentials so far, `identities` those that are believed.
pub fn plan(
    gate: &Result<&Wiring, Finding>,
    valid: &Valid<'_>,
    seen: &Places<Seen>,
    minted: &BTreeMap<Role, Credentials>,
    identities: &BTreeMap<Place, Identity>,
) -> Places<MemberPlan> {
    valid.members.map(|place, member| {
        let wiring = gate.as_ref().map_err(Clone::clone)?;
        let member = member.as_ref().map_err(Clone::clone)?;
        guard(member)?;
        let (trust, objects) = readable(member, &seen[place])?;
        trusted(wiring, member, place, trust)?;
        let others = valid.members.iter().map(|(other, _)| other).filter(|other| *other != place);
        let peers = others.map(|other| (other.role(), identities.get(&other))).collect();
        let wanted = wanted(wiring, member, place, trust, objects, minted.get(&place.role()), peers)?;
        adoptable(wiring, place, objects)?;
        Ok(wanted.into_iter().filter(Wanted::differs).map(Wanted::into_write).collect())
    })
}

/// What is on the member, if it could be read and is the data centre's own word.
fn readable<'a>(member: &ValidMember<'_>, seen: &'a Seen) -> Result<(&'a MemberTrust, &'a Objects), Finding> {
    // Lost is not gone: what is there may well be in order.
    let unseen = |finding: &Finding| match finding.reason {
        reason::UNREACHABLE => Finding::unknown(finding.reason, finding.message.clone()),
        _ => finding.clone(),
    };
    let identity = seen.identity.as_ref().map_err(unseen)?;
    let verdict = verify(member.spec, identity);
    match &identity.trust {
        Document::Read(trust) if verdict.is_good() => Ok((trust, seen.objects.as_ref().map_err(unseen)?)),
        _ => Err(verdict),
    }
}

/// Whether the data centre's admin has decided the same as the hub wants.
fn trusted(wiring: &Wiring, member: &ValidMember<'_>, place: Place, trust: &MemberTrust) -> Result<(), Finding> {
    if trust.role != place.role() {
        let why = format!("MemberCluster {} was prepared for {}, not for {place}", member.name, trust.role);
        return Err(Finding::bad(reason::ROLE_MISMATCH, why));
    }
    if let Some(custody) = &trust.custody {
        if custody.id != wiring.custody {
            let why =
                format!("the member trust is for custody {}, but spec.custody.id is {}", custody.id, wiring.custody);
            return Err(Finding::bad(reason::MANIFEST_MISMATCH, why));
        }
        if custody.manifest_digest != wiring.manifest_digest {
            let why = format!(
                "the member trust pins the manifest {}, but the hub has {}; deliver the approved manifest, or run \
                 `multisig member prepare` with this one",
                custody.manifest_digest, wiring.manifest_digest
            );
            return Err(Finding::bad(reason::MANIFEST_MISMATCH, why));
        }
    }
    // An empty list is possible only without a guard.
    if !trust.images.is_empty() && !trust.images.iter().any(|image| image == member.image_digest) {
        let why = format!(
            "the data centre admin has not allowed the image {}; run `multisig member prepare` there with its digest",
            member.image_digest
        );
        return Err(Finding::bad(reason::IMAGE_NOT_ALLOWED, why));
    }
    Ok(())
}

/// An object as it should be, and as it is.
struct Wanted {
    resource: ApiResource,
    name: String,
    body: Value,
    live: Option<Value>,
}

impl Wanted {
    fn new<K>(wanted: &K, live: Option<&K>, stamped: bool) -> Self
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize,
    {
        let json = |object: &K| serde_json::to_value(object).unwrap_or_default();
        let body = json(wanted);
        Self {
            resource: ApiResource::erase::<K>(&()),
            name: wanted.meta().name.clone().unwrap_or_default(),
            body: if stamped { stamp(body) } else { body },
            live: live.map(json),
        }
    }

    fn differs(&self) -> bool {
        self.live.as_ref().is_none_or(|live| !is_there(&self.body, live))
    }

    fn into_write(self) -> Write {
        Write { resource: self.resource, name: self.name, body: self.body }
    }
}

fn wanted(
    wiring: &Wiring,
    member: &ValidMember<'_>,
    place: Place,
    trust: &MemberTrust,
    objects: &Objects,
    minted: Option<&Credentials>,
    peers: Vec<(Role, Option<&Identity>)>,
) -> Result<Vec<Wanted>, Finding> {
    let shape = Shape {
        place,
        custody: wiring.custody,
        namespace: &member.spec.namespace,
        image: member.image,
        vault_audience: &trust.vault.audience,
        resources: member.resources,
    };
    let live = placeholder(custody::config::config_map(place.role()), objects.config.as_ref())?;
    let empty = placeholder(custody::config::credentials_map(place.role()), objects.credentials.as_ref())?;
    let told = told(wiring, member, peers, live);
    let mut wanted = vec![
        Wanted::new(&config(place, shape.namespace, &told, &wiring.manifest), Some(live), false),
        Wanted::new(&service(&shape), objects.service.as_ref(), true),
        Wanted::new(&stateful_set(&shape), objects.stateful_set.as_ref(), true),
        Wanted::new(&disruption_budget(&shape), objects.disruption_budget.as_ref(), true),
    ];
    if let Some(minted) = minted {
        wanted.push(Wanted::new(&credentials(place, shape.namespace, minted), Some(empty), false));
    }
    Ok(wanted)
}

/// What a workload is told. A peer that can't be seen now stays proposed as it was before.
fn told(
    wiring: &Wiring,
    member: &ValidMember<'_>,
    peers: Vec<(Role, Option<&Identity>)>,
    live: &ConfigMap,
) -> MemberConfig {
    let mut before = proposed_before(live);
    let proposed = |(role, seen): (Role, Option<&Identity>)| Some((role, seen.cloned().or(before.remove(&role))?));
    MemberConfig {
        custody_id: wiring.custody,
        nats: wiring.nats.clone(),
        policy: wiring.policy.clone(),
        vault_key_generation: member.vault_key_generation,
        proposed_peers: peers.into_iter().filter_map(proposed).collect(),
    }
}

/// A ConfigMap of the admin's whose data are the hub's.
fn placeholder(name: String, live: Option<&ConfigMap>) -> Result<&ConfigMap, Finding> {
    live.filter(|map| is_delegated(&map.metadata)).ok_or_else(|| {
        let why = format!(
            "ConfigMap {name} does not exist or lacks the label {}={}; the data centre admin must run `multisig \
             member prepare`",
            labels::DELEGATED,
            labels::DELEGATED_HUB
        );
        Finding::bad(reason::PLACEHOLDER_MISSING, why)
    })
}

/// Objects with our names must be ours, of this custody; nothing else is ever overwritten.
fn adoptable(wiring: &Wiring, place: Place, objects: &Objects) -> Result<(), Finding> {
    let metadata = [
        ("StatefulSet", objects.stateful_set.as_ref().map(Resource::meta)),
        ("Service", objects.service.as_ref().map(Resource::meta)),
        ("PodDisruptionBudget", objects.disruption_budget.as_ref().map(Resource::meta)),
    ];
    let custody = wiring.custody.to_string();
    match metadata.iter().find(|(_, metadata)| metadata.is_some_and(|metadata| !is_ours(metadata, &custody))) {
        None => Ok(()),
        Some((kind, _)) => Err(Finding::bad(
            reason::FOREIGN_OBJECT,
            format!(
                "{kind} {place} exists but does not belong to this custody, so it is left unchanged; have its owner \
                 remove it, or prepare the member in another namespace"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use custody::trust::Profile;
    use multisig_api::MultisigCluster;

    use super::super::{dereference::Dereferenced, gate::gate, validate::validate};
    use crate::{places, tests::fixtures};

    struct Bench {
        cluster: MultisigCluster,
        references: Dereferenced,
        seen: Places<Seen>,
        separated: Finding,
        credentials: BTreeMap<Role, Credentials>,
        identities: BTreeMap<Place, Identity>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                cluster: fixtures::cluster(),
                references: fixtures::dereferenced(),
                seen: fixtures::seen(),
                separated: Finding::good("apart"),
                credentials: BTreeMap::new(),
                identities: BTreeMap::new(),
            }
        }

        fn plan(&self) -> Places<MemberPlan> {
            let valid = validate(&self.cluster, &places::configured(&self.cluster), &self.references);
            let gate = gate(&self.cluster, &valid, &self.separated, &self.seen);
            plan(&gate, &valid, &self.seen, &self.credentials, &self.identities)
        }

        fn keeper(&mut self) -> &mut Objects {
            self.seen[Place::Keeper].objects.as_mut().unwrap()
        }

        fn trust(&mut self) -> &mut MemberTrust {
            match &mut self.seen[Place::Keeper].identity.as_mut().unwrap().trust {
                Document::Read(trust) => trust,
                _ => panic!(),
            }
        }

        /// Applies what is planned, as an API server would.
        fn apply(&mut self) {
            let plans = self.plan();
            for (place, plan) in plans.iter() {
                fixtures::apply(self.seen[place].objects.as_mut().unwrap(), plan.as_ref().unwrap());
            }
        }
    }

    fn names(plan: &MemberPlan) -> Vec<String> {
        plan.as_ref().unwrap().iter().map(|write| format!("{}/{}", write.resource.kind, write.name)).collect()
    }

    fn reasons(plans: &Places<MemberPlan>) -> Vec<&'static str> {
        let of = |plan: &MemberPlan| plan.as_ref().map_or_else(|finding| finding.reason, |_| reason::AS_EXPECTED);
        plans.iter().map(|(_, plan)| of(plan)).collect()
    }

    #[test]
    fn at_first_everything_but_credentials_is_applied() {
        let expected =
            ["ConfigMap/keeper-config", "Service/keeper", "StatefulSet/keeper", "PodDisruptionBudget/keeper"];
        assert_eq!(names(&Bench::new().plan()[Place::Keeper]), expected);
    }

    #[test]
    fn what_was_applied_is_not_applied_again() {
        let mut bench = Bench::new();
        bench.credentials.insert(Role::Keeper, fixtures::credentials(1));
        bench.identities.insert(Place::Cooler, fixtures::reported(Place::Cooler, 1));
        bench.apply();
        let plans = bench.plan();
        assert_eq!((names(&plans[Place::Keeper]).len(), names(&plans[Place::Cooler]).len()), (0, 0));
    }

    #[test]
    fn only_what_differs_is_applied() {
        let mut bench = Bench::new();
        bench.apply();
        bench.cluster.spec.keeper.image = fixtures::image('9');
        bench.trust().images.clear();
        assert_eq!(names(&bench.plan()[Place::Keeper]), ["StatefulSet/keeper"]);
        assert_eq!(names(&bench.plan()[Place::Cooler]), Vec::<String>::new());
        bench.apply();
        bench.credentials.insert(Role::Keeper, fixtures::credentials(1));
        assert_eq!(names(&bench.plan()[Place::Keeper]), ["ConfigMap/keeper-credentials"]);
        bench.apply();
        bench.identities.insert(Place::Cooler, fixtures::reported(Place::Cooler, 1));
        assert_eq!(names(&bench.plan()[Place::Keeper]), ["ConfigMap/keeper-config"]);
        assert_eq!(names(&bench.plan()[Place::Cooler]), Vec::<String>::new());
    }

    #[test]
    fn drift_is_repaired() {
        let mut bench = Bench::new();
        bench.apply();
        bench.keeper().stateful_set.as_mut().unwrap().spec.as_mut().unwrap().replicas = Some(0);
        assert_eq!(names(&bench.plan()[Place::Keeper]), ["StatefulSet/keeper"]);
    }

    #[test]
    fn a_proposed_peer_that_can_not_be_seen_stays_proposed() {
        let mut bench = Bench::new();
        bench.identities.insert(Place::Cooler, fixtures::reported(Place::Cooler, 1));
        bench.apply();
        bench.identities.clear();
        assert_eq!(names(&bench.plan()[Place::Keeper]), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_written_anywhere_while_the_separation_is_not_proven() {
        let mut bench = Bench::new();
        bench.separated = Finding::bad(reason::SAME_DATA_CENTER, "both in one");
        assert_eq!(reasons(&bench.plan()), [reason::NOT_SEPARATED; 2]);
        bench.separated = Finding::unknown(reason::NOT_VERIFIED, "unseen");
        let plans = bench.plan();
        assert_eq!(reasons(&plans), [reason::NOT_SEPARATED; 2]);
        assert_eq!(plans[Place::Keeper].as_ref().unwrap_err().status, crate::conditions::Status::Unknown);
    }

    #[test]
    fn a_mistake_of_the_whole_stops_both_and_one_of_a_member_only_that_one() {
        let both = |change: &dyn Fn(&mut Bench), reason: &'static str| {
            let mut bench = Bench::new();
            change(&mut bench);
            assert_eq!(reasons(&bench.plan()), [reason; 2]);
        };
        both(&|bench| bench.cluster.spec.paused = true, reason::PAUSED);
        both(&|bench| bench.trust().profile = Profile::Production, reason::PROFILE_MISMATCH);
        both(&|bench| bench.references.manifest = Some("{}".to_owned()), reason::MANIFEST_REFUSED);

        let keeper = |change: &dyn Fn(&mut Bench), reason: &'static str| {
            let mut bench = Bench::new();
            change(&mut bench);
            assert_eq!(reasons(&bench.plan()), [reason, reason::AS_EXPECTED]);
        };
        let lost = || Finding::bad(reason::UNREACHABLE, "no answer");
        keeper(&|bench| bench.seen[Place::Keeper] = Seen::nothing(lost()), reason::UNREACHABLE);
        keeper(&|bench| bench.trust().role = Role::Cooler, reason::ROLE_MISMATCH);
        keeper(&|bench| bench.trust().images = vec![format!("sha256:{}", "0".repeat(64))], reason::IMAGE_NOT_ALLOWED);
        keeper(&|bench| bench.keeper().config = None, reason::PLACEHOLDER_MISSING);
        keeper(
            &|bench| bench.keeper().credentials.as_mut().unwrap().metadata.labels = None,
            reason::PLACEHOLDER_MISSING,
        );
        let other_digest = |bench: &mut Bench| {
            bench.trust().custody.as_mut().unwrap().manifest_digest = "0".repeat(64);
        };
        keeper(&other_digest, reason::MANIFEST_MISMATCH);
        keeper(&|bench| bench.trust().custody = None, reason::AS_EXPECTED);
        let unprepared =
            |bench: &mut Bench| bench.seen[Place::Keeper].identity.as_mut().unwrap().trust = Document::Missing;
        keeper(&unprepared, reason::TRUST_MISSING);
    }

    #[test]
    fn foreign_objects_are_left_alone() {
        let mut bench = Bench::new();
        bench.keeper().service = Some(k8s_openapi::api::core::v1::Service::default());
        assert_eq!(reasons(&bench.plan()), [reason::FOREIGN_OBJECT, reason::AS_EXPECTED]);
        let mut bench = Bench::new();
        bench.apply();
        let metadata = &mut bench.keeper().stateful_set.as_mut().unwrap().metadata;
        metadata.labels.as_mut().unwrap().insert(labels::CUSTODY.to_owned(), "ff".repeat(16));
        assert_eq!(reasons(&bench.plan()), [reason::FOREIGN_OBJECT, reason::AS_EXPECTED]);
    }

    #[test]
    fn the_signer_is_told_the_manifest_byte_for_byte_and_the_peer_as_a_proposal() {
        let mut bench = Bench::new();
        bench.identities.insert(Place::Cooler, fixtures::reported(Place::Cooler, 1));
        bench.credentials.insert(Role::Keeper, fixtures::credentials(3));
        bench.apply();
        let data = bench.keeper().config.as_ref().unwrap().data.clone().unwrap();
        assert_eq!(Some(&data[custody::config::MANIFEST_KEY]), bench.references.manifest.as_ref());
        let config: MemberConfig = serde_json::from_str(&data[custody::config::CONFIG_KEY]).unwrap();
        assert_eq!(config.proposed_peers.keys().collect::<Vec<_>>(), [&Role::Cooler]);
        assert_eq!(config.policy.limits[0].per_transaction, "1000");
        assert_eq!(config.vault_key_generation, None);
        let data = bench.keeper().credentials.as_ref().unwrap().data.clone().unwrap();
        let credentials: Credentials = serde_json::from_str(&data[custody::config::CREDENTIALS_KEY]).unwrap();
        assert_eq!(credentials, fixtures::credentials(3));
    }

    #[test]
    fn the_generation_of_the_vault_key_is_asked_of_the_signer_that_it_is_meant_for() {
        let mut bench = Bench::new();
        bench.cluster.spec.keeper.vault_key_generation = Some(2);
        bench.apply();
        let asked = |seen: &Seen| {
            let data = seen.objects.as_ref().unwrap().config.as_ref().unwrap().data.clone().unwrap();
            serde_json::from_str::<MemberConfig>(&data[custody::config::CONFIG_KEY]).unwrap().vault_key_generation
        };
        assert_eq!((asked(&bench.seen[Place::Keeper]), asked(&bench.seen[Place::Cooler])), (Some(2), None));
    }
}
