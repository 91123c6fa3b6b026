//! Which MultisigCluster may use a member. One MemberCluster decides for itself, so no two can get it. Pure.

use custody::Role;
use multisig_api::{MultisigCluster, member_cluster::ClaimedBy};

use crate::places;

/// The present claim for as long as it is used; else the oldest MultisigCluster that names the member. What an
/// unreadable MultisigCluster names isn't known, so it keeps what it has.
pub(super) fn claim(
    member: &str,
    present: Option<&ClaimedBy>,
    clusters: &[MultisigCluster],
    unreadable: &[String],
) -> Option<ClaimedBy> {
    if let Some(present) = present.filter(|present| unreadable.contains(&present.name)) {
        return Some(present.clone());
    }
    let mut claims: Vec<_> = clusters
        .iter()
        .filter_map(|cluster| {
            let name = cluster.metadata.name.clone()?;
            let role = role_of(member, cluster)?;
            Some((cluster.metadata.creation_timestamp.clone().map(|time| time.0), ClaimedBy { name, role }))
        })
        .collect();
    claims.sort_by(|(time, claim), (other_time, other)| (time, &claim.name).cmp(&(other_time, &other.name)));
    let mut claims = claims.into_iter().map(|(_, claim)| claim);
    match present {
        Some(present) => {
            let claims: Vec<_> = claims.collect();
            claims.iter().find(|claim| claim.name == present.name).or(claims.first()).cloned()
        }
        None => claims.next(),
    }
}

fn role_of(member: &str, cluster: &MultisigCluster) -> Option<Role> {
    places::configured(cluster).iter().find(|(_, place)| place.member == member).map(|(place, _)| place.role())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixtures;

    fn cluster(name: &str, second: i64, keeper: &str, cooler: &str) -> MultisigCluster {
        let mut cluster = fixtures::cluster();
        cluster.metadata.name = Some(name.to_owned());
        cluster.metadata.creation_timestamp = Some(fixtures::time(second));
        cluster.spec.keeper.member_ref.name = keeper.to_owned();
        cluster.spec.cooler.member_ref.name = cooler.to_owned();
        cluster
    }

    fn name(claim: Option<ClaimedBy>) -> Option<String> {
        claim.map(|claim| claim.name)
    }

    #[test]
    fn the_oldest_gets_a_free_member() {
        let clusters = [cluster("young", 200, "a", "b"), cluster("old", 100, "x", "a"), cluster("other", 1, "y", "z")];
        assert_eq!(claim("a", None, &clusters, &[]), Some(ClaimedBy { name: "old".to_owned(), role: Role::Cooler }));
        assert_eq!(claim("unused", None, &clusters, &[]), None);
    }

    #[test]
    fn a_claim_lasts_while_it_is_used_even_if_an_older_one_appears() {
        let present = ClaimedBy { name: "young".to_owned(), role: Role::Keeper };
        let clusters = [cluster("young", 200, "a", "b"), cluster("old", 100, "a", "b")];
        assert_eq!(name(claim("a", Some(&present), &clusters, &[])).as_deref(), Some("young"));
        assert_eq!(name(claim("a", Some(&present), &clusters[1..], &[])).as_deref(), Some("old"));
        assert_eq!(claim("a", Some(&present), &[], &[]), None);
        let unreadable = ["young".to_owned()];
        assert_eq!(name(claim("a", Some(&present), &clusters[1..], &unreadable)).as_deref(), Some("young"));
    }
}
