//! Turns what was read into values that can't be wrong, or into findings that say what to do. Pure.

use custody::{
    CustodyId,
    config::{HubLimits, Limit, NatsConfig},
    local_policy::{MAX_SECONDS, Rolling},
    manifest::SignedManifest,
};
use multisig_api::{
    MultisigCluster,
    conditions::reason,
    member_cluster::{ClaimedBy, Guard, MemberClusterSpec},
    multisig_cluster::{
        ChainSpec, DATA_CENTER, Profile, TWO_OF_THREE,
        place::ResourcesSpec,
        policy::{LimitSpec, RollingSpec},
    },
    place::Place,
};
use zeroize::Zeroizing;

use super::dereference::{Dereferenced, MemberReferences};
use crate::{
    calls::CallError,
    conditions::Finding,
    document::Document,
    places::{PlaceSpec, Places},
};

/// What is valid, each part by itself, so that one mistake hides no other.
pub struct Valid<'a> {
    /// What every place is told.
    pub wiring: Result<Wiring, Finding>,
    /// The member of each place.
    pub members: Places<Result<ValidMember<'a>, Finding>>,
}

/// What every place is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// The custody.
    pub custody: CustodyId,
    /// The signed manifest, byte for byte.
    pub manifest: String,
    /// SHA-256 of its payload, lower-case hex.
    pub manifest_digest: String,
    /// The broker.
    pub nats: NatsConfig,
    /// The hub's limits.
    pub policy: HubLimits,
}

/// A member that this cluster may use, and what runs there.
#[derive(Debug, Clone)]
pub struct ValidMember<'a> {
    /// Name of the MemberCluster.
    pub name: &'a str,
    /// Its pins.
    pub spec: &'a MemberClusterSpec,
    /// Its kubeconfig, not sanitised yet.
    pub kubeconfig: &'a Zeroizing<Vec<u8>>,
    /// Image by digest.
    pub image: &'a str,
    /// The digest alone, `sha256:...`.
    pub image_digest: &'a str,
    /// CPU and memory.
    pub resources: Option<&'a ResourcesSpec>,
    /// Version that its Vault key should have.
    pub vault_key_generation: Option<u64>,
}

/// Validates all of it.
pub fn validate<'a>(
    cluster: &'a MultisigCluster,
    places: &Places<PlaceSpec<'a>>,
    references: &'a Dereferenced,
) -> Valid<'a> {
    Valid {
        wiring: wiring(cluster, references),
        members: references.members.map(|place, references| member(cluster, place, places[place], references)),
    }
}

/// The custody that the spec names. The API server admits no other text.
pub fn custody(cluster: &MultisigCluster) -> Result<CustodyId, CallError> {
    let malformed = |error: custody::ids::NameError| CallError::Malformed(error.to_string());
    cluster.spec.custody.id.parse().map_err(malformed)
}

fn wiring(cluster: &MultisigCluster, references: &Dereferenced) -> Result<Wiring, Finding> {
    let spec = &cluster.spec;
    refuse_what_is_not_supported(cluster)?;
    let custody: CustodyId = spec.custody.id.parse().map_err(|error| refused(&error))?;
    let text = references.manifest.as_deref().ok_or_else(|| {
        let reference = &spec.custody.manifest_ref;
        missing(
            "ConfigMap",
            &reference.name,
            &reference.key,
            "store the signed manifest under it, in UTF-8: kubectl files any other encoding under binaryData",
        )
    })?;
    let manifest = SignedManifest::parse(text.as_bytes())
        .and_then(|manifest| manifest.verify())
        .map_err(|error| Finding::bad(reason::MANIFEST_REFUSED, error.to_string()))?;
    if manifest.custody_id() != custody {
        return Err(Finding::bad(
            reason::MANIFEST_MISMATCH,
            format!(
                "the manifest belongs to custody {}, but spec.custody.id is {custody}; use the manifest of this custody",
                manifest.custody_id()
            ),
        ));
    }
    for chain in spec.chains.iter().map(caip2) {
        let chain = chain?;
        if manifest.safe_destinations(&chain).is_empty() {
            return Err(Finding::bad(
                reason::MANIFEST_MISMATCH,
                format!(
                    "the manifest has no safe destination on {chain}; add one in a new revision or remove the chain"
                ),
            ));
        }
    }
    let ca_bundle = references.ca_bundle.clone().ok_or_else(|| {
        let reference = &spec.nats.ca_bundle_ref;
        missing(
            "ConfigMap",
            &reference.name,
            &reference.key,
            "store the broker's root certificates (PEM) under it, in UTF-8",
        )
    })?;
    Ok(Wiring {
        custody,
        manifest: text.to_owned(),
        manifest_digest: manifest.digest(),
        nats: NatsConfig { urls: spec.nats.urls.clone(), ca_bundle },
        policy: policy(cluster)?,
    })
}

fn refuse_what_is_not_supported(cluster: &MultisigCluster) -> Result<(), Finding> {
    let spec = &cluster.spec;
    if spec.custody.scheme != TWO_OF_THREE {
        let why = format!("scheme {} is refused: only {TWO_OF_THREE} is supported", spec.custody.scheme);
        return Err(Finding::bad(reason::SPEC_REFUSED, why));
    }
    if spec.profile == Profile::Production {
        return Err(Finding::bad(
            reason::GUARD_MISSING,
            "profile Production requires admission policies on every member and a sentinel, which this version does \
             not have yet; use profile Development",
        ));
    }
    if spec.sentinel.is_some() {
        return Err(Finding::bad(reason::NOT_SUPPORTED, "this version runs no Sentinel; remove spec.sentinel"));
    }
    Ok(())
}

fn policy(cluster: &MultisigCluster) -> Result<HubLimits, Finding> {
    let limits = cluster.spec.policy.iter().flat_map(|policy| &policy.limits);
    let limit = |limit: &LimitSpec| {
        let chain = cluster.spec.chains.iter().find(|chain| chain.name == limit.chain);
        let chain = chain.ok_or_else(|| {
            refused(&format!("policy.limits names the chain {}, which is not in chains", limit.chain))
        })?;
        Ok(Limit {
            chain: caip2(chain)?,
            asset: limit.asset.clone(),
            per_transaction: amount("perTransaction", &limit.per_transaction, &limit.asset)?,
            per_wallet: rolling("perWallet", limit.per_wallet.as_ref(), &limit.asset)?,
            total: rolling("total", limit.total.as_ref(), &limit.asset)?,
        })
    };
    Ok(HubLimits { limits: limits.map(limit).collect::<Result<_, Finding>>()? })
}

fn rolling(field: &str, limit: Option<&RollingSpec>, asset: &str) -> Result<Option<Rolling>, Finding> {
    let Some(limit) = limit else { return Ok(None) };
    let seconds = u64::try_from(limit.window_seconds).ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
    let window_seconds = seconds.ok_or_else(|| {
        let found = limit.window_seconds;
        refused(&format!("policy.limits: {field}.windowSeconds of {asset} is {found}; it must be 1 to {MAX_SECONDS}"))
    })?;
    Ok(Some(Rolling { amount: amount(&format!("{field}.amount"), &limit.amount, asset)?, window_seconds }))
}

fn amount(field: &str, text: &str, asset: &str) -> Result<String, Finding> {
    if text.parse::<chain::Amount>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(refused(&format!(
        "policy.limits: {field} of {asset} is '{text}'; it must be a whole number of the smallest unit below 2^256"
    )))
}

fn caip2(chain: &ChainSpec) -> Result<String, Finding> {
    chain.caip2().ok_or_else(|| refused(&format!("chain {} lacks the field that its type needs", chain.name)))
}

fn member<'a>(
    cluster: &MultisigCluster,
    place: Place,
    spec: PlaceSpec<'a>,
    references: &'a MemberReferences,
) -> Result<ValidMember<'a>, Finding> {
    let PlaceSpec { member: name, image, resources, vault_key_generation } = spec;
    let member = match &references.member {
        Document::Read(member) => member,
        Document::Refused(why) => return Err(refused(why)),
        Document::Missing => {
            let why = format!("MemberCluster {name} does not exist; create it or correct {place}.memberRef");
            return Err(Finding::bad(reason::REFERENCE_MISSING, why));
        }
    };
    let claim = member.status.as_ref().and_then(|status| status.claimed_by.as_ref());
    let own = ClaimedBy { name: cluster.metadata.name.clone().unwrap_or_default(), role: place.role() };
    match claim {
        Some(claim) if *claim == own => {}
        Some(claim) => {
            let why = format!(
                "MemberCluster {name} is already used by MultisigCluster {} as {}; a member serves one role of one \
                 custody",
                claim.name, claim.role
            );
            return Err(Finding::bad(reason::MEMBER_CLAIMED, why));
        }
        None => {
            let why = format!("MemberCluster {name} has not been probed yet");
            return Err(Finding::unknown(reason::AWAITING_CLAIM, why));
        }
    }
    let reference = &member.spec.kubeconfig_secret_ref;
    let kubeconfig = references.kubeconfig.as_ref().ok_or_else(|| {
        let what_to_do = "store the kubeconfig that `multisig member prepare` printed under it";
        missing("Secret", &reference.name, &reference.key, what_to_do)
    })?;
    let image_digest = image
        .split_once('@')
        .map(|(_, digest)| digest)
        .filter(|digest| digest.starts_with("sha256:"))
        .ok_or_else(|| refused(&format!("{place}.image has no @sha256: digest")))?;
    Ok(ValidMember {
        name,
        spec: &member.spec,
        kubeconfig,
        image,
        image_digest,
        resources,
        vault_key_generation: vault_key_generation.and_then(|generation| u64::try_from(generation).ok()),
    })
}

/// Whether a member that must be guarded can't be.
pub fn guard(member: &ValidMember<'_>) -> Result<(), Finding> {
    match member.spec.guard {
        Guard::Optional => Ok(()),
        Guard::Required => Err(Finding::bad(
            reason::GUARD_MISSING,
            format!(
                "guard of MemberCluster {} is Required, but this version can't prove a guard; use guard: Optional with \
                 profile Development",
                member.name
            ),
        )),
    }
}

/// Failure domains that must differ, besides the data centre.
pub fn distinct_domains(cluster: &MultisigCluster) -> Vec<&str> {
    cluster.spec.separation.distinct.iter().map(String::as_str).filter(|key| *key != DATA_CENTER).collect()
}

fn refused(why: &impl ToString) -> Finding {
    Finding::bad(reason::SPEC_REFUSED, why.to_string())
}

fn missing(kind: &str, name: &str, key: &str, what_to_do: &str) -> Finding {
    Finding::bad(reason::REFERENCE_MISSING, format!("{kind} {name} has no key {key}; {what_to_do}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{places, tests::fixtures};

    fn check<'a>(cluster: &'a MultisigCluster, references: &'a Dereferenced) -> Valid<'a> {
        validate(cluster, &places::configured(cluster), references)
    }

    fn reason_of(change: impl Fn(&mut MultisigCluster, &mut Dereferenced)) -> &'static str {
        let (mut cluster, mut references) = (fixtures::cluster(), fixtures::dereferenced());
        change(&mut cluster, &mut references);
        check(&cluster, &references).wiring.map_or_else(|finding| finding.reason, |_| reason::AS_EXPECTED)
    }

    fn member_reason_of(change: impl Fn(&mut MultisigCluster, &mut Dereferenced)) -> &'static str {
        let (mut cluster, mut references) = (fixtures::cluster(), fixtures::dereferenced());
        change(&mut cluster, &mut references);
        match &check(&cluster, &references).members[Place::Keeper] {
            Ok(_) => reason::AS_EXPECTED,
            Err(finding) => finding.reason,
        }
    }

    #[test]
    fn a_good_cluster_is_valid() {
        let (cluster, references) = (fixtures::cluster(), fixtures::dereferenced());
        let valid = check(&cluster, &references);
        let wiring = valid.wiring.unwrap();
        assert_eq!(wiring.custody, fixtures::custody());
        assert_eq!(wiring.policy.limits[0].chain, "eip155:1");
        assert_eq!(Some(wiring.manifest), references.manifest, "the manifest travels byte for byte");
        assert!(valid.members[Place::Keeper].is_ok() && valid.members[Place::Cooler].is_ok());
    }

    #[test]
    fn what_this_version_does_not_do_is_refused() {
        assert_eq!(
            reason_of(|cluster, _| cluster.spec.custody.scheme = "ThreeOfFive".to_owned()),
            reason::SPEC_REFUSED
        );
        assert_eq!(reason_of(|cluster, _| cluster.spec.profile = Profile::Production), reason::GUARD_MISSING);
        let sentinel = |cluster: &mut MultisigCluster, _: &mut Dereferenced| {
            cluster.spec.sentinel = Some(multisig_api::multisig_cluster::place::SentinelSpec {
                member_ref: cluster.spec.keeper.member_ref.clone(),
                image: cluster.spec.keeper.image.clone(),
            });
        };
        assert_eq!(reason_of(sentinel), reason::NOT_SUPPORTED);
    }

    #[test]
    fn a_manifest_that_is_missing_malformed_half_signed_or_of_another_custody_is_refused() {
        assert_eq!(reason_of(|_, references| references.manifest = None), reason::REFERENCE_MISSING);
        assert_eq!(reason_of(|_, references| references.manifest = Some("{}".to_owned())), reason::MANIFEST_REFUSED);
        let half_signed = |_: &mut MultisigCluster, references: &mut Dereferenced| {
            references.manifest = Some(fixtures::manifest_signed_by(&[chain::KeyRole::Cool]).to_json());
        };
        assert_eq!(reason_of(half_signed), reason::MANIFEST_REFUSED);
        assert_eq!(reason_of(|cluster, _| cluster.spec.custody.id = "ff".repeat(16)), reason::MANIFEST_MISMATCH);
        let other_chain = |cluster: &mut MultisigCluster, _: &mut Dereferenced| {
            cluster.spec.chains[0].evm.as_mut().unwrap().chain_id = 5;
        };
        assert_eq!(reason_of(other_chain), reason::MANIFEST_MISMATCH);
    }

    #[test]
    fn limits_must_be_amounts_on_known_chains() {
        let limit = |change: &dyn Fn(&mut LimitSpec)| {
            reason_of(|cluster, _| change(&mut cluster.spec.policy.as_mut().unwrap().limits[0]))
        };
        assert_eq!(limit(&|limit| limit.chain = "unknown".to_owned()), reason::SPEC_REFUSED);
        assert_eq!(limit(&|limit| limit.per_transaction = "9".repeat(78)), reason::SPEC_REFUSED);
        assert_eq!(limit(&|limit| limit.per_transaction = "0".to_owned()), reason::AS_EXPECTED);
        let rolling = |amount: &str, window_seconds| Some(RollingSpec { amount: amount.to_owned(), window_seconds });
        for (amount, seconds, reason) in [
            ("5", 1, reason::AS_EXPECTED),
            ("5", 31_622_400, reason::AS_EXPECTED),
            ("5", 0, reason::SPEC_REFUSED),
            ("5", -1, reason::SPEC_REFUSED),
            ("5", 31_622_401, reason::SPEC_REFUSED),
            ("05", 60, reason::SPEC_REFUSED),
            (&"9".repeat(78), 60, reason::SPEC_REFUSED),
        ] {
            assert_eq!(limit(&|limit| limit.per_wallet = rolling(amount, seconds)), reason, "{amount} {seconds}");
            assert_eq!(limit(&|limit| limit.total = rolling(amount, seconds)), reason, "{amount} {seconds}");
        }
    }

    #[test]
    fn rolling_limits_reach_the_signers() {
        let mut cluster = fixtures::cluster();
        let limit = &mut cluster.spec.policy.as_mut().unwrap().limits[0];
        limit.per_wallet = Some(RollingSpec { amount: "5".to_owned(), window_seconds: 60 });
        let wiring = check(&cluster, &fixtures::dereferenced()).wiring.unwrap();
        let told = Rolling { amount: "5".to_owned(), window_seconds: 60 };
        assert_eq!(wiring.policy.limits[0].per_wallet, Some(told));
        assert_eq!(wiring.policy.limits[0].total, None);
    }

    #[test]
    fn a_member_must_exist_be_ours_and_have_a_kubeconfig() {
        assert_eq!(member_reason_of(|_, _| {}), reason::AS_EXPECTED);
        assert_eq!(
            member_reason_of(|_, references| references.members[Place::Keeper].member = Document::Missing),
            reason::REFERENCE_MISSING
        );
        assert_eq!(
            member_reason_of(|_, references| references.members[Place::Keeper].kubeconfig = None),
            reason::REFERENCE_MISSING
        );
        let claimed = |by: Option<ClaimedBy>| {
            move |_: &mut MultisigCluster, references: &mut Dereferenced| {
                let Document::Read(member) = &mut references.members[Place::Keeper].member else { panic!() };
                member.status.as_mut().unwrap().claimed_by = by.clone();
            }
        };
        assert_eq!(member_reason_of(claimed(None)), reason::AWAITING_CLAIM);
        let other = ClaimedBy { name: "other".to_owned(), role: custody::Role::Keeper };
        assert_eq!(member_reason_of(claimed(Some(other))), reason::MEMBER_CLAIMED);
        let other_role = ClaimedBy { name: "main".to_owned(), role: custody::Role::Cooler };
        assert_eq!(member_reason_of(claimed(Some(other_role))), reason::MEMBER_CLAIMED);
        assert_eq!(
            member_reason_of(|cluster, _| cluster.spec.keeper.image = "keeper:1".to_owned()),
            reason::SPEC_REFUSED
        );
    }

    #[test]
    fn one_mistake_hides_no_other() {
        let (mut cluster, mut references) = (fixtures::cluster(), fixtures::dereferenced());
        references.ca_bundle = None;
        cluster.spec.cooler.member_ref.name = "dc-b".to_owned();
        references.members[Place::Cooler].kubeconfig = None;
        let valid = check(&cluster, &references);
        assert!(valid.wiring.is_err() && valid.members[Place::Cooler].is_err());
        assert!(valid.members[Place::Keeper].is_ok());
    }
}
