//! A place more in the collection is counted by every step, without an edit in any of them.

use std::collections::BTreeMap;

use custody::{Role, config::MemberConfig};
use k8s_openapi::jiff::Timestamp;
use multisig_api::{
    MultisigCluster, MultisigClusterStatus,
    conditions::{condition, reason},
    place::Place,
};

use super::fixtures;
use crate::{
    conditions::{Finding, Status, find},
    multisig_cluster::{
        account::AccountOutcome,
        apply::Effects,
        dereference::Dereferenced,
        gate::gate,
        observe::Seen,
        plan::{MemberPlan, plan},
        recipients::recipients,
        separation::{candidates, judge},
        status::{Found, status},
        validate::{distinct_domains, validate},
    },
    places::{self, PlaceSpec, Places},
};

const ALL: [Place; 3] = [Place::Keeper, Place::Cooler, Place::Sentinel];

/// A custody whose sentinel has a place too.
struct World {
    cluster: MultisigCluster,
    references: Dereferenced,
    seen: Places<Seen>,
    account: AccountOutcome,
}

impl World {
    fn new() -> Self {
        let references = Dereferenced { members: all(fixtures::references), ..fixtures::dereferenced() };
        Self { cluster: fixtures::cluster(), references, seen: all(fixtures::seen_at), account: Default::default() }
    }

    /// Everybody serves.
    fn serving() -> Self {
        let mut world = Self::new();
        let mut record = fixtures::record();
        for place in ALL {
            fixtures::serve(&mut world.seen[place], place, &mut record);
        }
        world.account.record = Some(record);
        world
    }

    fn places(&self) -> Places<PlaceSpec<'_>> {
        let keeper = places::configured(&self.cluster)[Place::Keeper];
        all(|place| PlaceSpec { member: fixtures::member_of(place), ..keeper })
    }

    fn separated(&self) -> Finding {
        let candidates = candidates(&self.cluster, &self.places(), &self.references, &self.seen);
        judge(&candidates, &distinct_domains(&self.cluster))
    }

    fn plan(&self) -> Places<MemberPlan> {
        let valid = validate(&self.cluster, &self.places(), &self.references);
        let separated = self.separated();
        let gate = gate(&self.cluster, &valid, &separated, &self.seen);
        let recipients = recipients(&self.cluster, &self.references, &self.seen, fixtures::custody());
        plan(&gate, &valid, &self.seen, &BTreeMap::new(), &recipients.identities)
    }

    fn status(&self) -> MultisigClusterStatus {
        let recipients = recipients(&self.cluster, &self.references, &self.seen, fixtures::custody());
        let candidates = candidates(&self.cluster, &self.places(), &self.references, &self.seen);
        let found = Found {
            separated: self.separated(),
            verified: candidates.map(|_, candidate| candidate.verified_now()),
            data_centers: candidates.map(|_, candidate| candidate.spec.map(|spec| spec.data_center.clone())),
            seen: &self.seen,
            effects: Effects { synced: all(|_| Finding::good("synced")), nats: Finding::good("current"), app: None },
            recipients: &recipients,
            account: &self.account,
        };
        status(&self.cluster, &found, Timestamp::from_second(1000).unwrap()).0
    }

    fn condition(&self, kind: &str) -> (String, String, String) {
        let conditions = self.status().conditions;
        let found = find(&conditions, kind).unwrap();
        (found.status.clone(), found.reason.clone(), found.message.clone())
    }
}

fn all<T>(make: impl Fn(Place) -> T) -> Places<T> {
    ALL.into_iter().map(|place| (place, make(place))).collect()
}

#[test]
fn every_two_of_three_places_are_compared() {
    let good = World::new().separated();
    assert_eq!(good.status, Status::True);
    assert!(ALL.iter().all(|place| good.message.contains(&format!("{place} is in data centre"))), "{}", good.message);
    for twin in [Place::Keeper, Place::Cooler] {
        let mut world = World::new();
        let of_twin = fixtures::member(fixtures::member_of(twin)).spec.data_center;
        let crate::document::Document::Read(member) = &mut world.references.members[Place::Sentinel].member else {
            panic!("the fixture has a member for the sentinel");
        };
        member.spec.data_center = of_twin;
        let refused = world.separated();
        assert_eq!((refused.status, refused.reason), (Status::False, reason::SAME_DATA_CENTER));
        assert!(refused.message.starts_with(&format!("{twin} and sentinel are both in")), "{}", refused.message);
    }
}

#[test]
fn while_the_third_is_not_verified_nothing_is_written_anywhere() {
    let mut world = World::new();
    world.seen[Place::Sentinel] = Seen::nothing(Finding::bad(reason::UNREACHABLE, "no answer"));
    assert_eq!(world.separated().reason, reason::NOT_VERIFIED);
    for (place, plan) in world.plan().iter() {
        assert_eq!(plan.as_ref().unwrap_err().reason, reason::NOT_SEPARATED, "{place}");
    }
}

#[test]
fn the_third_gets_its_own_objects_and_everybody_the_two_others_as_peers() {
    let mut world = World::serving();
    let plans = world.plan();
    for (place, plan) in plans.iter() {
        let writes = plan.as_ref().unwrap();
        assert!(writes.iter().any(|write| write.name == format!("{place}-config")), "{place}");
        fixtures::apply(world.seen[place].objects.as_mut().unwrap(), writes);
        let config = world.seen[place].objects.as_ref().unwrap().config.as_ref().unwrap().data.clone().unwrap();
        let config: MemberConfig = serde_json::from_str(&config[custody::config::CONFIG_KEY]).unwrap();
        let others: Vec<Role> = ALL.iter().filter(|other| **other != place).map(|other| other.role()).collect();
        assert!(config.proposed_peers.keys().eq(&others), "{place}");
    }
}

#[test]
fn the_third_has_conditions_of_its_own_and_counts_for_ready_but_not_for_payments() {
    let mut world = World::serving();
    let kinds: Vec<_> = world.status().conditions.into_iter().map(|condition| condition.type_).collect();
    assert_eq!(kinds, condition::MULTISIG_CLUSTER);
    assert_eq!(world.condition(condition::READY).0, "True");
    world.seen[Place::Sentinel].objects.as_mut().unwrap().stateful_set = None;
    assert_eq!(world.condition(condition::SENTINEL_AVAILABLE).1, reason::NOT_CREATED);
    assert_eq!(world.condition(condition::AVAILABLE).0, "True", "payments need no sentinel's signature");
    let (status, reason, message) = world.condition(condition::READY);
    assert_eq!((status.as_str(), reason.as_str()), ("False", reason::NOT_CREATED));
    assert!(message.starts_with("sentinel: "), "{message}");
    world.account.record.as_mut().unwrap().issued.remove(&Role::Sentinel);
    assert!(world.condition(condition::CREDENTIALS_CURRENT).2.starts_with("sentinel: "));
}
