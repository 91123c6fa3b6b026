//! Whether the places are proven to be apart. While they are not, nothing is written to any member. Pure.

use multisig_api::{MultisigCluster, conditions::reason, member_cluster::MemberClusterSpec, place::Place};

use super::{dereference::Dereferenced, observe::Seen};
use crate::{
    conditions::Finding,
    members::identity::{Identity, same_place, verify},
    places::{PlaceSpec, Places, last_seen},
};

/// What is known of the member of one place.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Name of the MemberCluster.
    pub member: &'a str,
    /// Its pins; absent when there is no such MemberCluster.
    pub spec: Option<&'a MemberClusterSpec>,
    /// What answered now, or why it could not be asked.
    pub seen: Result<&'a Identity, &'a Finding>,
    /// Whether it was verified before, under the same pin.
    pub verified_before: bool,
}

impl<'a> Candidate<'a> {
    /// The kube-system UID, if what answers now is the pinned cluster in the data centre that it should be in.
    pub fn verified_now(&self) -> Option<String> {
        let (spec, identity) = self.spec.zip(self.seen.ok())?;
        verify(spec, identity).is_good().then(|| spec.cluster_uid.clone())
    }

    /// The UID that answers now.
    fn answers(&self) -> Option<&'a str> {
        self.seen.ok().map(|identity| identity.cluster_uid.as_str())
    }
}

/// Gathers what is known of each place.
pub fn candidates<'a>(
    cluster: &MultisigCluster,
    places: &Places<PlaceSpec<'a>>,
    references: &'a Dereferenced,
    seen: &'a Places<Seen>,
) -> Places<Candidate<'a>> {
    references.members.map(|place, references| {
        let spec = references.member.read().map(|member| &member.spec);
        let before = last_seen(cluster, place).and_then(|status| status.cluster_uid.as_ref());
        Candidate {
            member: places[place].member,
            spec,
            seen: seen[place].identity.as_ref(),
            verified_before: spec.is_some_and(|spec| before == Some(&spec.cluster_uid)),
        }
    })
}

/// Judges all places, every two of them; `distinct` names failure domains that must differ too.
pub fn judge(places: &Places<Candidate<'_>>, distinct: &[&str]) -> Finding {
    let between = |contradiction: &dyn Fn(Two<'_>) -> Option<Finding>| places.pairs().find_map(contradiction);
    between(&same_member)
        .or_else(|| between(&|two| contradiction_of_specs(two, distinct)))
        .or_else(|| places.iter().find_map(|(_, candidate)| missing(candidate)))
        .or_else(|| between(&contradiction_of_identities))
        .or_else(|| places.iter().find_map(contradiction_of_pins))
        .or_else(|| places.iter().find_map(never_verified))
        .unwrap_or_else(|| Finding::good(whereabouts(places)))
}

/// Two places that are compared.
type Two<'a> = [(Place, &'a Candidate<'a>); 2];

fn same_member([(one, first), (other, second)]: Two<'_>) -> Option<Finding> {
    let why = || format!("{one} and {other} both name MemberCluster {}; each needs its own", first.member);
    (first.member == second.member).then(|| Finding::bad(reason::SAME_MEMBER, why()))
}

fn missing(candidate: &Candidate<'_>) -> Option<Finding> {
    let why = || format!("MemberCluster {} does not exist or can't be read", candidate.member);
    candidate.spec.is_none().then(|| Finding::unknown(reason::NOT_VERIFIED, why()))
}

fn contradiction_of_specs([(one, first), (other, second)]: Two<'_>, distinct: &[&str]) -> Option<Finding> {
    let (first, second) = (first.spec?, second.spec?);
    if same_place(&first.data_center, &second.data_center) {
        let why = format!("{one} and {other} are both in data centre {}; each needs its own", first.data_center);
        return Some(Finding::bad(reason::SAME_DATA_CENTER, why));
    }
    if first.cluster_uid == second.cluster_uid {
        return Some(same_cluster([one, other], &first.cluster_uid));
    }
    distinct.iter().find_map(|key| {
        let why = match (first.failure_domains.get(*key), second.failure_domains.get(*key)) {
            (Some(mine), Some(theirs)) if !same_place(mine, theirs) => return None,
            (Some(shared), Some(_)) => format!("{one} and {other} share the {key} {shared}"),
            (None, _) => format!("the MemberCluster of {one} has no failure domain {key}"),
            (_, None) => format!("the MemberCluster of {other} has no failure domain {key}"),
        };
        let why = format!("{why}, but separation.distinct contains {key}");
        Some(Finding::bad(reason::SHARED_FAILURE_DOMAIN, why))
    })
}

fn contradiction_of_identities([(one, first), (other, second)]: Two<'_>) -> Option<Finding> {
    let same = |uid| Some(same_cluster([one, other], uid));
    if let Some(uid) = first.answers()
        && second.answers() == Some(uid)
    {
        return same(uid);
    }
    for (mine, theirs) in [(first, second), (second, first)] {
        let (Some(own), Some(foreign), Some(uid)) = (mine.spec, theirs.spec, mine.answers()) else { continue };
        // It is not its own pin but the other's: the kubeconfigs lead to one cluster.
        if uid != own.cluster_uid && uid == foreign.cluster_uid {
            return same(uid);
        }
    }
    None
}

fn contradiction_of_pins((place, candidate): (Place, &Candidate<'_>)) -> Option<Finding> {
    let verdict = verify(candidate.spec?, candidate.seen.ok()?);
    let contradicts = [reason::CLUSTER_UID_MISMATCH, reason::DATA_CENTER_MISMATCH].contains(&verdict.reason);
    contradicts.then(|| verdict.about(place))
}

fn never_verified((place, candidate): (Place, &Candidate<'_>)) -> Option<Finding> {
    if candidate.verified_now().is_some() || candidate.verified_before {
        return None;
    }
    let why = match (candidate.seen, candidate.spec) {
        (Ok(identity), Some(spec)) => verify(spec, identity).message,
        (Err(finding), _) => finding.message.clone(),
        (Ok(_), None) => String::new(),
    };
    Some(Finding::unknown(reason::NOT_VERIFIED, format!("the member of {place} has never been verified: {why}")))
}

fn same_cluster([one, other]: [Place; 2], uid: &str) -> Finding {
    let why = format!("{one} and {other} are both in the cluster with the kube-system UID {uid}; each needs its own");
    Finding::bad(reason::SAME_CLUSTER, why)
}

fn whereabouts(places: &Places<Candidate<'_>>) -> String {
    let of = |(place, candidate): (Place, &Candidate<'_>)| {
        let spec = candidate.spec?;
        Some(format!("{place} is in data centre {} (cluster {})", spec.data_center, spec.cluster_uid))
    };
    places.iter().filter_map(of).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{conditions::Status, document::Document, tests::fixtures};

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
            let candidate = |at: usize| Candidate {
                member: names[at],
                spec: Some(&self.specs[at]),
                seen: self.seen[at].as_ref(),
                verified_before: self.before[at],
            };
            let places = [(Place::Keeper, candidate(0)), (Place::Cooler, candidate(1))];
            judge(&places.into_iter().collect(), &["provider"])
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
        let gone = |member| Candidate { member, spec: None, seen: case.seen[0].as_ref(), verified_before: true };
        let places = [(Place::Keeper, gone("dc-a")), (Place::Cooler, gone("dc-b"))];
        assert_eq!(judge(&places.into_iter().collect(), &[]).status, Status::Unknown);
    }
}
