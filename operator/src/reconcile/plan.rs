//! Steps 3 and 4: whether anything may be written at all, and then what differs on each member. Pure.

use std::collections::BTreeMap;

use custody::{
    Role,
    config::{Credentials, MemberConfig},
    identity::Identity,
    trust::{MemberTrust, Profile},
};
use k8s_openapi::{NamespaceResourceScope, api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, core::ApiResource};
use multisig_api::{MultisigCluster, conditions::reason, labels};
use serde::Serialize;
use serde_json::Value;

use super::{
    difference::{is_there, stamp},
    objects::{Shape, placeholder_data},
    validate::{Valid, ValidMember, Wiring, guard},
};
use crate::{
    conditions::Finding,
    members::{self, Document, Objects, Seen},
    signers::{Pair, Signer},
};

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

/// Whether anything may be written to any member and anything minted: the wiring if so, else what stands against it.
pub fn gate<'a>(
    cluster: &MultisigCluster,
    valid: &'a Valid<'_>,
    separated: &Finding,
    seen: &Pair<Seen>,
) -> Result<&'a Wiring, Finding> {
    if cluster.spec.paused {
        return Err(Finding::bad(
            reason::PAUSED,
            "spec.paused is set: nothing is written to members and nothing is minted; set it to false to go on",
        ));
    }
    let wiring = valid.wiring.as_ref().map_err(Clone::clone)?;
    if !separated.is_good() {
        let why = format!("nothing is written to any member while Separated is not True: {}", separated.message);
        return Err(Finding { reason: reason::NOT_SEPARATED, message: why, ..separated.clone() });
    }
    let wanted = Profile::from(cluster.spec.profile);
    for (signer, seen) in seen.each() {
        let trust = seen.identity.as_ref().ok().and_then(|identity| identity.trust.read());
        if let Some(trust) = trust.filter(|trust| trust.profile != wanted) {
            return Err(Finding::bad(
                reason::PROFILE_MISMATCH,
                format!(
                    "spec.profile is {wanted:?}, {signer}'s member trust says {:?}; both data centres and this object \
                     must say the same",
                    trust.profile
                ),
            ));
        }
    }
    Ok(wiring)
}

/// What differs on each member. `credentials` are those already minted, `peers` the identities already believed.
pub fn plan(
    gate: &Result<&Wiring, Finding>,
    valid: &Valid<'_>,
    seen: &Pair<Seen>,
    credentials: &BTreeMap<Role, Credentials>,
    peers: &Pair<Option<Identity>>,
) -> Pair<MemberPlan> {
    Pair::from_fn(|signer| {
        let wiring = gate.as_ref().map_err(Clone::clone)?;
        let member = valid.members.get(signer).as_ref().map_err(Clone::clone)?;
        guard(member)?;
        let (trust, objects) = readable(member, seen.get(signer))?;
        trusted(wiring, member, signer, trust)?;
        let peer = peers.get(signer.other()).clone();
        let wanted = wanted(wiring, member, signer, trust, objects, credentials.get(&signer.role()), peer)?;
        adoptable(wiring, signer, objects)?;
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
    let verdict = members::verify(member.spec, identity);
    match &identity.trust {
        Document::Read(trust) if verdict.is_good() => Ok((trust, seen.objects.as_ref().map_err(unseen)?)),
        _ => Err(verdict),
    }
}

/// Whether the data centre's admin has decided the same as the hub wants.
fn trusted(wiring: &Wiring, member: &ValidMember<'_>, signer: Signer, trust: &MemberTrust) -> Result<(), Finding> {
    if trust.role != signer.role() {
        let why = format!("MemberCluster {} was prepared for {}, not for {signer}", member.name, trust.role);
        return Err(Finding::bad(reason::ROLE_MISMATCH, why));
    }
    if let Some(custody) = &trust.custody {
        if custody.id != wiring.custody {
            let why = format!("the member trust serves custody {}, spec.custody.id is {}", custody.id, wiring.custody);
            return Err(Finding::bad(reason::MANIFEST_MISMATCH, why));
        }
        if custody.manifest_digest != wiring.manifest_digest {
            let why = format!(
                "the member trust pins the manifest {}, the hub has {}; deliver the manifest that was approved, or \
                 run `multisig member prepare` with this one",
                custody.manifest_digest, wiring.manifest_digest
            );
            return Err(Finding::bad(reason::MANIFEST_MISMATCH, why));
        }
    }
    // An empty list is possible only without a guard.
    if !trust.images.is_empty() && !trust.images.iter().any(|image| image == member.image_digest) {
        let why = format!(
            "the data centre's admin has not allowed the image {}; run `multisig member prepare` with its digest there",
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
    signer: Signer,
    trust: &MemberTrust,
    objects: &Objects,
    credentials: Option<&Credentials>,
    peer: Option<Identity>,
) -> Result<Vec<Wanted>, Finding> {
    let (role, namespace) = (signer.role(), member.spec.namespace.as_str());
    let shape = Shape {
        signer,
        custody: wiring.custody,
        namespace,
        image: member.image,
        vault_audience: &trust.vault.audience,
        resources: member.resources,
    };
    let config_name = custody::config::config_map(role);
    let credentials_name = custody::config::credentials_map(role);
    let (config_placeholder, credentials_placeholder) =
        (shell(&config_name, objects.config.as_ref())?, shell(&credentials_name, objects.credentials.as_ref())?);
    let data = config_data(wiring, member, signer, config_placeholder, peer);
    let mut wanted = vec![
        Wanted::new(&placeholder_data(&config_name, namespace, data), Some(config_placeholder), false),
        Wanted::new(&shape.service(), objects.service.as_ref(), true),
        Wanted::new(&shape.stateful_set(), objects.stateful_set.as_ref(), true),
        Wanted::new(&shape.disruption_budget(), objects.disruption_budget.as_ref(), true),
    ];
    if let Some(credentials) = credentials {
        let data = BTreeMap::from([(custody::config::CREDENTIALS_KEY.to_owned(), json(credentials))]);
        wanted.push(Wanted::new(
            &placeholder_data(&credentials_name, namespace, data),
            Some(credentials_placeholder),
            false,
        ));
    }
    Ok(wanted)
}

/// What the signer is told. While the other's identity can't be seen, the one proposed before stays.
fn config_data(
    wiring: &Wiring,
    member: &ValidMember<'_>,
    signer: Signer,
    live: &ConfigMap,
    peer: Option<Identity>,
) -> BTreeMap<String, String> {
    let other = signer.other().role();
    let proposed_before = || {
        let text = live.data.as_ref()?.get(custody::config::CONFIG_KEY)?;
        serde_json::from_str::<MemberConfig>(text).ok()?.proposed_peers.remove(&other)
    };
    let config = MemberConfig {
        custody_id: wiring.custody,
        nats: wiring.nats.clone(),
        policy: wiring.policy.clone(),
        vault_key_generation: member.vault_key_generation,
        proposed_peers: peer.or_else(proposed_before).map(|peer| (other, peer)).into_iter().collect(),
    };
    BTreeMap::from([
        (custody::config::CONFIG_KEY.to_owned(), json(&config)),
        (custody::config::MANIFEST_KEY.to_owned(), wiring.manifest.clone()),
    ])
}

/// A ConfigMap of the admin's whose data are the hub's.
fn shell<'a>(name: &str, live: Option<&'a ConfigMap>) -> Result<&'a ConfigMap, Finding> {
    let delegated = |map: &&ConfigMap| label(&map.metadata, labels::DELEGATED) == Some(labels::DELEGATED_HUB);
    live.filter(delegated).ok_or_else(|| {
        let why = format!(
            "ConfigMap {name} is not there or has no label {}={}: the data centre's admin runs `multisig member prepare`",
            labels::DELEGATED,
            labels::DELEGATED_HUB
        );
        Finding::bad(reason::PLACEHOLDER_MISSING, why)
    })
}

/// Objects with our names must be ours, of this custody; nothing else is ever overwritten.
fn adoptable(wiring: &Wiring, signer: Signer, objects: &Objects) -> Result<(), Finding> {
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
                "{kind} {signer} exists and is not this custody's; it is left alone: its owner removes it, or the \
                 member is prepared in another namespace"
            ),
        )),
    }
}

/// Whether the operator made an object for this custody.
pub fn is_ours(metadata: &ObjectMeta, custody: &str) -> bool {
    label(metadata, labels::MANAGED_BY) == Some(labels::MANAGER) && label(metadata, labels::CUSTODY) == Some(custody)
}

fn label<'a>(metadata: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).expect("these documents have string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixtures,
        reconcile::{dereference::Dereferenced, validate::validate},
    };

    struct Bench {
        cluster: MultisigCluster,
        references: Dereferenced,
        seen: Pair<Seen>,
        separated: Finding,
        credentials: BTreeMap<Role, Credentials>,
        peers: Pair<Option<Identity>>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                cluster: fixtures::cluster(),
                references: fixtures::dereferenced(),
                seen: Pair::from_fn(fixtures::seen),
                separated: Finding::good("apart"),
                credentials: BTreeMap::new(),
                peers: Pair::default(),
            }
        }

        fn plan(&self) -> Pair<MemberPlan> {
            let valid = validate(&self.cluster, &self.references);
            let gate = gate(&self.cluster, &valid, &self.separated, &self.seen);
            plan(&gate, &valid, &self.seen, &self.credentials, &self.peers)
        }

        fn keeper(&mut self) -> &mut Objects {
            self.seen.keeper.objects.as_mut().unwrap()
        }

        fn trust(&mut self) -> &mut MemberTrust {
            match &mut self.seen.keeper.identity.as_mut().unwrap().trust {
                Document::Read(trust) => trust,
                _ => panic!(),
            }
        }

        /// Applies what is planned, as an API server would.
        fn apply(&mut self) {
            let plans = self.plan();
            for (signer, plan) in plans.each() {
                let seen = if signer == Signer::Keeper { &mut self.seen.keeper } else { &mut self.seen.cooler };
                fixtures::apply(seen.objects.as_mut().unwrap(), plan.as_ref().unwrap());
            }
        }
    }

    fn names(plan: &MemberPlan) -> Vec<String> {
        plan.as_ref().unwrap().iter().map(|write| format!("{}/{}", write.resource.kind, write.name)).collect()
    }

    fn reasons(plans: &Pair<MemberPlan>) -> [&'static str; 2] {
        plans.each().map(|(_, plan)| plan.as_ref().map_or_else(|finding| finding.reason, |_| reason::AS_EXPECTED))
    }

    #[test]
    fn at_first_everything_but_credentials_is_applied() {
        let expected =
            ["ConfigMap/keeper-config", "Service/keeper", "StatefulSet/keeper", "PodDisruptionBudget/keeper"];
        assert_eq!(names(&Bench::new().plan().keeper), expected);
    }

    #[test]
    fn what_was_applied_is_not_applied_again() {
        let mut bench = Bench::new();
        bench.credentials.insert(Role::Keeper, fixtures::credentials(1));
        bench.peers.cooler = Some(fixtures::signer_identity(Signer::Cooler, 1));
        bench.apply();
        let plans = bench.plan();
        assert_eq!((names(&plans.keeper).len(), names(&plans.cooler).len()), (0, 0));
    }

    #[test]
    fn only_what_differs_is_applied() {
        let mut bench = Bench::new();
        bench.apply();
        bench.cluster.spec.keeper.image = fixtures::image('9');
        bench.trust().images.clear();
        assert_eq!(names(&bench.plan().keeper), ["StatefulSet/keeper"]);
        assert_eq!(names(&bench.plan().cooler), Vec::<String>::new());
        bench.apply();
        bench.credentials.insert(Role::Keeper, fixtures::credentials(1));
        assert_eq!(names(&bench.plan().keeper), ["ConfigMap/keeper-credentials"]);
        bench.apply();
        bench.peers.cooler = Some(fixtures::signer_identity(Signer::Cooler, 1));
        assert_eq!(names(&bench.plan().keeper), ["ConfigMap/keeper-config"]);
        assert_eq!(names(&bench.plan().cooler), Vec::<String>::new());
    }

    #[test]
    fn drift_is_repaired() {
        let mut bench = Bench::new();
        bench.apply();
        bench.keeper().stateful_set.as_mut().unwrap().spec.as_mut().unwrap().replicas = Some(0);
        assert_eq!(names(&bench.plan().keeper), ["StatefulSet/keeper"]);
    }

    #[test]
    fn a_proposed_peer_that_can_not_be_seen_stays_proposed() {
        let mut bench = Bench::new();
        bench.peers.cooler = Some(fixtures::signer_identity(Signer::Cooler, 1));
        bench.apply();
        bench.peers.cooler = None;
        assert_eq!(names(&bench.plan().keeper), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_written_anywhere_while_the_separation_is_not_proven() {
        let mut bench = Bench::new();
        bench.separated = Finding::bad(reason::SAME_DATA_CENTER, "both in one");
        assert_eq!(reasons(&bench.plan()), [reason::NOT_SEPARATED; 2]);
        bench.separated = Finding::unknown(reason::NOT_VERIFIED, "unseen");
        let plans = bench.plan();
        assert_eq!(reasons(&plans), [reason::NOT_SEPARATED; 2]);
        assert_eq!(plans.keeper.unwrap_err().status, crate::conditions::Status::Unknown);
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
        keeper(&|bench| bench.seen.keeper = Seen::nothing(lost()), reason::UNREACHABLE);
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
        let unprepared = |bench: &mut Bench| bench.seen.keeper.identity.as_mut().unwrap().trust = Document::Missing;
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
        bench.peers.cooler = Some(fixtures::signer_identity(Signer::Cooler, 1));
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
        assert_eq!((asked(&bench.seen.keeper), asked(&bench.seen.cooler)), (Some(2), None));
    }
}
