//! Whether keeper and cooler are proven to be apart. While they are not, nothing is written to any member. Pure.

use multisig_api::{conditions::reason, member_cluster::MemberClusterSpec};

use crate::{
    conditions::Finding,
    members::{self, Identity, same_place},
    signers::Pair,
};

/// What is known of one place.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// Name of the MemberCluster.
    pub member: &'a str,
    /// Its pins; absent when there is no such MemberCluster.
    pub spec: Option<&'a MemberClusterSpec>,
    /// What answered now, or why it could not be asked.
    pub seen: Result<&'a Identity, &'a Finding>,
    /// Whether it was verified before, under the same pin.
    pub verified_before: bool,
}

impl Place<'_> {
    /// Whether what answers now is the pinned cluster in the data centre that it should be in.
    pub fn verified_now(&self) -> bool {
        self.spec.zip(self.seen.ok()).is_some_and(|(spec, identity)| members::verify(spec, identity).is_good())
    }
}

/// Judges both places; `distinct` names failure domains that must differ too.
pub fn judge<'a>(places: &Pair<Place<'_>>, distinct: impl Iterator<Item = &'a str>) -> Finding {
    let (keeper, cooler) = (&places.keeper, &places.cooler);
    if keeper.member == cooler.member {
        return Finding::bad(
            reason::SAME_MEMBER,
            format!("keeper and cooler both name MemberCluster {}; they need two", keeper.member),
        );
    }
    let (Some(keeper_spec), Some(cooler_spec)) = (keeper.spec, cooler.spec) else {
        let missing = if keeper.spec.is_none() { keeper.member } else { cooler.member };
        return Finding::unknown(
            reason::NOT_VERIFIED,
            format!("MemberCluster {missing} does not exist or can't be read"),
        );
    };
    contradiction_of_specs(keeper_spec, cooler_spec, distinct)
        .or_else(|| contradiction_of_identities(places, keeper_spec, cooler_spec))
        .or_else(|| never_verified(places))
        .unwrap_or_else(|| {
            Finding::good(format!(
                "keeper is in {} (cluster {}), cooler in {} (cluster {})",
                keeper_spec.data_center, keeper_spec.cluster_uid, cooler_spec.data_center, cooler_spec.cluster_uid
            ))
        })
}

fn contradiction_of_specs<'a>(
    keeper: &MemberClusterSpec,
    cooler: &MemberClusterSpec,
    mut distinct: impl Iterator<Item = &'a str>,
) -> Option<Finding> {
    if same_place(&keeper.data_center, &cooler.data_center) {
        let why = format!("keeper and cooler are both in data centre {}; they need two", keeper.data_center);
        return Some(Finding::bad(reason::SAME_DATA_CENTER, why));
    }
    if keeper.cluster_uid == cooler.cluster_uid {
        return Some(same_cluster(&keeper.cluster_uid));
    }
    distinct.find_map(|key| {
        let why = match (keeper.failure_domains.get(key), cooler.failure_domains.get(key)) {
            (Some(one), Some(other)) if !same_place(one, other) => return None,
            (Some(one), Some(_)) => format!("keeper and cooler share {key} {one}"),
            (None, _) => format!("keeper's MemberCluster has no failure domain {key}"),
            (_, None) => format!("cooler's MemberCluster has no failure domain {key}"),
        };
        Some(Finding::bad(reason::SHARED_FAILURE_DOMAIN, format!("{why}, but separation.distinct names it")))
    })
}

fn contradiction_of_identities(
    places: &Pair<Place<'_>>,
    keeper_spec: &MemberClusterSpec,
    cooler_spec: &MemberClusterSpec,
) -> Option<Finding> {
    let pins = [keeper_spec, cooler_spec].map(|spec| spec.cluster_uid.as_str());
    let live = places.each().map(|(_, place)| place.seen.ok().map(|identity| identity.cluster_uid.as_str()));
    if live[0].is_some() && live[0] == live[1] {
        return live[0].map(same_cluster);
    }
    for (mine, other) in [(0, 1), (1, 0)] {
        // It is not its own pin but the other's: the kubeconfigs lead to one cluster.
        if live[mine].is_some_and(|uid| uid != pins[mine] && uid == pins[other]) {
            return live[mine].map(same_cluster);
        }
    }
    places.each().into_iter().find_map(|(signer, place)| {
        let verdict = members::verify(place.spec?, place.seen.ok()?);
        let contradicts = [reason::CLUSTER_UID_MISMATCH, reason::DATA_CENTER_MISMATCH].contains(&verdict.reason);
        contradicts.then(|| verdict.about(signer))
    })
}

fn never_verified(places: &Pair<Place<'_>>) -> Option<Finding> {
    places.each().into_iter().find_map(|(signer, place)| {
        if place.verified_now() || place.verified_before {
            return None;
        }
        let why = match (place.seen, place.spec) {
            (Ok(identity), Some(spec)) => members::verify(spec, identity).message,
            (Err(finding), _) => finding.message.clone(),
            (Ok(_), None) => String::new(),
        };
        Some(Finding::unknown(reason::NOT_VERIFIED, format!("{signer}'s place has never been verified: {why}")))
    })
}

fn same_cluster(uid: &str) -> Finding {
    let why = format!("keeper and cooler are both in the cluster with the kube-system UID {uid}; they need two");
    Finding::bad(reason::SAME_CLUSTER, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conditions::Status, fixtures, members::Document};

    struct Case {
        specs: [MemberClusterSpec; 2],
        seen: [Result<Identity, Finding>; 2],
        before: [bool; 2],
        same_member: bool,
    }

    impl Case {
        fn new() -> Self {
            Self {
                specs: ["dc-a", "dc-b"].map(|name| fixtures::member(name).spec),
                seen: ["dc-a", "dc-b"].map(|name| Ok(fixtures::identity(name))),
                before: [false; 2],
                same_member: false,
            }
        }

        fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
            change(&mut self);
            self
        }

        fn judge(&self) -> Finding {
            let names = if self.same_member { ["dc-a", "dc-a"] } else { ["dc-a", "dc-b"] };
            let place = |at: usize| Place {
                member: names[at],
                spec: Some(&self.specs[at]),
                seen: self.seen[at].as_ref(),
                verified_before: self.before[at],
            };
            judge(&Pair { keeper: place(0), cooler: place(1) }, ["provider"].into_iter())
        }

        fn verdict(&self) -> (Status, &'static str) {
            let finding = self.judge();
            (finding.status, finding.reason)
        }
    }

    fn lost() -> Result<Identity, Finding> {
        Err(Finding::bad(reason::UNREACHABLE, "no answer"))
    }

    #[test]
    fn two_verified_places_are_separated() {
        assert_eq!(Case::new().verdict(), (Status::True, reason::AS_EXPECTED));
    }

    #[test]
    fn the_same_member_data_centre_cluster_or_failure_domain_is_refused() {
        let refused = |case: Case, reason| assert_eq!(case.verdict(), (Status::False, reason));
        refused(Case::new().with(|case| case.same_member = true), reason::SAME_MEMBER);
        refused(Case::new().with(|case| case.specs[1].data_center = " DC-A ".to_owned()), reason::SAME_DATA_CENTER);
        refused(
            Case::new().with(|case| case.specs[1].cluster_uid = case.specs[0].cluster_uid.clone()),
            reason::SAME_CLUSTER,
        );
        refused(
            Case::new().with(|case| {
                case.specs[1].failure_domains = case.specs[0].failure_domains.clone();
            }),
            reason::SHARED_FAILURE_DOMAIN,
        );
        refused(Case::new().with(|case| case.specs[0].failure_domains.clear()), reason::SHARED_FAILURE_DOMAIN);
    }

    #[test]
    fn what_the_specs_contradict_is_refused_even_if_nothing_answers() {
        let case = Case::new().with(|case| {
            case.specs[1].data_center = "dc-a".to_owned();
            case.seen = [lost(), lost()];
        });
        assert_eq!(case.verdict(), (Status::False, reason::SAME_DATA_CENTER));
    }

    #[test]
    fn kubeconfigs_that_lead_to_one_cluster_are_found_out_whatever_is_pinned() {
        let uid = |at: &str| fixtures::identity(at).cluster_uid;
        let both = Case::new().with(|case| case.seen[1].as_mut().unwrap().cluster_uid = uid("dc-a"));
        assert_eq!(both.verdict(), (Status::False, reason::SAME_CLUSTER));
        let cooler_is_keeper = Case::new().with(|case| {
            case.seen[0] = lost();
            case.seen[1].as_mut().unwrap().cluster_uid = uid("dc-a");
        });
        assert_eq!(cooler_is_keeper.verdict(), (Status::False, reason::SAME_CLUSTER));
        let stranger = Case::new().with(|case| case.seen[1].as_mut().unwrap().cluster_uid = fixtures::uid('f'));
        assert_eq!(stranger.verdict(), (Status::False, reason::CLUSTER_UID_MISMATCH));
        let relocated = Case::new().with(|case| {
            let mut trust = fixtures::trust("dc-b");
            trust.data_center = "dc-a".to_owned();
            case.seen[1].as_mut().unwrap().trust = Document::Read(trust);
        });
        assert_eq!(relocated.verdict(), (Status::False, reason::DATA_CENTER_MISMATCH));
    }

    #[test]
    fn a_place_that_was_never_verified_is_unknown_and_one_that_was_stays_separated() {
        let unseen = || Case::new().with(|case| case.seen[1] = lost());
        assert_eq!(unseen().verdict(), (Status::Unknown, reason::NOT_VERIFIED));
        assert_eq!(unseen().with(|case| case.before[1] = true).verdict(), (Status::True, reason::AS_EXPECTED));
        let unprepared = || Case::new().with(|case| case.seen[1].as_mut().unwrap().trust = Document::Missing);
        assert_eq!(unprepared().verdict(), (Status::Unknown, reason::NOT_VERIFIED));
        assert_eq!(unprepared().with(|case| case.before[1] = true).verdict(), (Status::True, reason::AS_EXPECTED));
    }

    #[test]
    fn a_missing_member_is_unknown() {
        let case = Case::new();
        let mut places =
            Pair::from_fn(|_| Place { member: "dc-a", spec: None, seen: case.seen[0].as_ref(), verified_before: true });
        places.cooler.member = "dc-b";
        assert_eq!(judge(&places, std::iter::empty()).status, Status::Unknown);
    }
}
