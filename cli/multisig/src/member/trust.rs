//! What becomes of the member trust: decided here without a client, so that every rule is a test.

use custody::{
    CustodyId, Role, TrustError,
    identity::{Identity, IdentityError, fingerprint},
    trust::{MAX_KEYS_PER_PEER, MemberTrust},
};
use nkeys::KeyPair;

use super::plan::Plan;

/// Why a decision about trust was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecisionError {
    #[error("this namespace belongs to {present}, but the plan says {wanted}; use another namespace")]
    OtherRole { present: Role, wanted: Role },
    #[error(
        "this member serves custody {present}, but the manifest is for {wanted}; each custody needs its own members"
    )]
    OtherCustody { present: CustodyId, wanted: CustodyId },
    #[error("{0} runs here itself; approve its peers instead")]
    OwnRole(Role),
    #[error("this is the identity of {found}, not of {wanted}; use the identity that {wanted} reported")]
    OtherRoleKeys { found: Role, wanted: Role },
    #[error("this identity was made for custody {found}, but this member serves {present}; do not approve it")]
    ForeignCustody { found: CustodyId, present: CustodyId },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("this identity is malformed ({0}); get it again from its owner")]
    NoKey(String),
    #[error(
        "you gave fingerprint {told}, but the keys that arrived have {found}; do not approve: verify it again out of band, \
         and find out who changed the keys"
    )]
    OtherFingerprint { told: String, found: String },
    #[error("{0} already has two approved keys; use --replace to withdraw both")]
    TooManyKeys(Role),
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// The member trust after `prepare`: what the plan names is set, what it does not name stays, peers always stay.
pub(crate) fn merge(present: Option<&MemberTrust>, plan: &Plan) -> Result<MemberTrust, DecisionError> {
    let wanted = plan.trust();
    let Some(present) = present else { return Ok(wanted) };
    if present.role != wanted.role {
        return Err(DecisionError::OtherRole { present: present.role, wanted: wanted.role });
    }
    if let (Some(present), Some(wanted)) = (&present.custody, &wanted.custody)
        && present.id != wanted.id
    {
        return Err(DecisionError::OtherCustody { present: present.id, wanted: wanted.id });
    }
    Ok(MemberTrust {
        custody: wanted.custody.or_else(|| present.custody.clone()),
        peers: present.peers.clone(),
        local_policy: wanted.local_policy.or_else(|| present.local_policy.clone()),
        keys: plan.keys.unwrap_or(present.keys),
        images: plan.images.clone().unwrap_or_else(|| present.images.clone()),
        ..wanted
    })
}

/// Names of the parts in which two member trusts differ, for the progress line.
pub(crate) fn differences(before: &MemberTrust, after: &MemberTrust) -> Vec<&'static str> {
    let parts = [
        ("shapeVersion", before.shape_version != after.shape_version),
        ("profile", before.profile != after.profile),
        ("dataCenter", before.data_center != after.data_center),
        ("vault", before.vault != after.vault),
        ("custody", before.custody != after.custody),
        ("peers", before.peers != after.peers),
        ("localPolicy", before.local_policy != after.local_policy),
        ("keys", before.keys != after.keys),
        ("images", before.images != after.images),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}

/// Checks the proofs of both keys and the kinds of all three: nothing that arrives through the hub is believed.
pub(crate) fn check_identity(identity: &Identity) -> Result<(), DecisionError> {
    custody::identity::verify(identity)?;
    identity.keys.validate().map_err(DecisionError::NoKey)?;
    let user = KeyPair::from_public_key(&identity.nats_user)
        .ok()
        .filter(|_| identity.nats_user.starts_with('U'))
        .ok_or_else(|| DecisionError::NoKey("natsUser is not a U... key".to_owned()))?;
    let statement =
        custody::identity::statement(identity.role, identity.custody_id, &identity.nats_user, &identity.keys);
    let proof = data_encoding::HEXLOWER
        .decode(identity.nats_proof.as_bytes())
        .map_err(|_| IdentityError::Malformed("NATS proof"))?;
    user.verify(&statement, &proof).map_err(|_| IdentityError::NotProven("NATS proof").into())
}

/// The member trust with these keys approved. `told` is the fingerprint that the other admin gave out of band, in the
/// form of [`parse_fingerprint`].
pub(crate) fn approve(
    trust: &MemberTrust,
    peer: Role,
    identity: &Identity,
    told: &str,
    replace: bool,
) -> Result<MemberTrust, DecisionError> {
    if peer == trust.role {
        return Err(DecisionError::OwnRole(peer));
    }
    if identity.role != peer {
        return Err(DecisionError::OtherRoleKeys { found: identity.role, wanted: peer });
    }
    if let (Some(custody), Some(found)) = (&trust.custody, identity.custody_id)
        && custody.id != found
    {
        return Err(DecisionError::ForeignCustody { found, present: custody.id });
    }
    check_identity(identity)?;
    let found = fingerprint(peer, &identity.keys);
    if told != found {
        return Err(DecisionError::OtherFingerprint { told: told.to_owned(), found });
    }
    let mut trust = trust.clone();
    let keys = trust.peers.entry(peer).or_default();
    if replace {
        *keys = vec![identity.keys.clone()];
    } else if !keys.contains(&identity.keys) {
        if keys.len() >= MAX_KEYS_PER_PEER {
            return Err(DecisionError::TooManyKeys(peer));
        }
        keys.push(identity.keys.clone());
    }
    trust.validate()?;
    Ok(trust)
}

/// As people write it down: any case, groups separated by blanks, hyphens or nothing.
pub(crate) fn parse_fingerprint(text: &str) -> Result<String, String> {
    let hex: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect::<String>().to_ascii_lowercase();
    if hex.len() != 40 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("expected ten groups of four hex digits, as `member fingerprint` prints them".to_owned());
    }
    Ok((0..10).map(|group| &hex[group * 4..group * 4 + 4]).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use custodies::Ceremony;
    use std::time::Duration;

    use custody::{
        local_policy::{AssetLimits, LocalPolicy},
        trust::Profile,
    };

    use super::*;
    use crate::member::plan::{Storage, VaultPlan};

    fn plan() -> Plan {
        Plan {
            role: Role::Keeper,
            namespace: "custody-keeper".into(),
            data_center: "fra-1".into(),
            profile: Profile::Development,
            vault: VaultPlan {
                address: "https://vault:8200".into(),
                ca_bundle: "-----BEGIN CERTIFICATE-----".into(),
                transit_mount: "transit".into(),
                auth_mount: "jwt-fra-1".into(),
                audience: "vault-fra-1".into(),
            },
            manifest: None,
            local_policy: None,
            keys: None,
            images: None,
            storage: Storage::default(),
            wallets: None,
            hub_token_ttl: Duration::from_secs(3600),
            egress: Vec::new(),
        }
    }

    fn local_policy(amount: &str) -> LocalPolicy {
        LocalPolicy::new(vec![AssetLimits::new("eip155:1", "ETH", "native", 18, amount)])
    }

    fn with_manifest(revision: u32) -> Plan {
        Plan {
            manifest: Some(
                Ceremony::fixed().destinations("eip155:1", &[custodies::SAFE]).revision(revision).held().manifest,
            ),
            ..plan()
        }
    }

    /// A keeper's member trust with custody, ready to approve peers.
    fn trust() -> MemberTrust {
        merge(None, &with_manifest(1)).unwrap()
    }

    #[test]
    fn the_first_member_trust_trusts_nobody() {
        let trust = merge(None, &plan()).unwrap();
        assert!(
            trust.custody.is_none()
                && trust.peers.is_empty()
                && trust.local_policy.is_none()
                && trust.images.is_empty()
        );
        assert_eq!(trust.vault.key, "custody-keeper.keeper");
        assert_eq!(trust.complete().unwrap_err().0.len(), 4);
    }

    #[test]
    fn a_second_run_changes_nothing_and_keeps_what_the_plan_does_not_name() {
        let full = Plan {
            local_policy: Some(local_policy("5")),
            images: Some(vec![format!("sha256:{}", "a".repeat(64))]),
            ..with_manifest(1)
        };
        let identity = custodies::identity(Role::Cooler, custodies::fixed_id(), 1);
        let told = fingerprint(Role::Cooler, &identity.keys);
        let trust = approve(&merge(None, &full).unwrap(), Role::Cooler, &identity, &told, false).unwrap();
        assert_eq!(merge(Some(&trust), &full).unwrap(), trust);
        assert_eq!(merge(Some(&trust), &plan()).unwrap(), trust);
        assert!(differences(&trust, &merge(Some(&trust), &plan()).unwrap()).is_empty());
    }

    #[test]
    fn what_the_plan_names_is_set_and_named() {
        let before = trust();
        let plan = Plan {
            data_center: "fra-2".into(),
            local_policy: Some(local_policy("1")),
            images: Some(Vec::new()),
            ..with_manifest(2)
        };
        let after = merge(Some(&before), &plan).unwrap();
        assert_eq!(differences(&before, &after), ["dataCenter", "custody", "localPolicy"]);
        assert_ne!(before.custody.unwrap().manifest_digest, after.custody.unwrap().manifest_digest);
    }

    #[test]
    fn a_member_keeps_its_role_and_its_custody() {
        let mut foreign = trust();
        foreign.custody.as_mut().unwrap().id = CustodyId::from_slice(&[9; 16]).unwrap();
        assert!(matches!(merge(Some(&foreign), &with_manifest(1)), Err(DecisionError::OtherCustody { .. })));
        let cooler = Plan { role: Role::Cooler, ..plan() };
        assert!(matches!(merge(Some(&trust()), &cooler), Err(DecisionError::OtherRole { .. })));
    }

    #[test]
    fn an_approval_needs_the_fingerprint_that_was_told() {
        let identity = custodies::identity(Role::Cooler, custodies::fixed_id(), 1);
        let told = fingerprint(Role::Cooler, &identity.keys);
        for spelling in [told.clone(), told.to_uppercase(), told.replace('-', " "), told.replace('-', "")] {
            assert_eq!(parse_fingerprint(&spelling).as_deref(), Ok(told.as_str()));
        }
        for bad in ["", "abcd", &told[1..], &told.replace(&told[..1], "g")] {
            assert!(parse_fingerprint(bad).is_err(), "{bad}");
        }
        let approved = approve(&trust(), Role::Cooler, &identity, &told, false).unwrap();
        assert_eq!(approved.peers[&Role::Cooler], std::slice::from_ref(&identity.keys));
        let other = fingerprint(Role::Cooler, &custodies::identity(Role::Cooler, custodies::fixed_id(), 2).keys);
        for told in [other.as_str(), ""] {
            let error = approve(&trust(), Role::Cooler, &identity, told, false).unwrap_err().to_string();
            assert!(error.contains("do not approve"), "{error}");
        }
    }

    #[test]
    fn keys_of_another_role_custody_or_without_proof_are_refused() {
        let good = custodies::identity(Role::Cooler, custodies::fixed_id(), 1);
        let told = fingerprint(Role::Cooler, &good.keys);
        let refused = |peer, identity: &Identity| approve(&trust(), peer, identity, &told, false).unwrap_err();
        assert!(matches!(refused(Role::Keeper, &good), DecisionError::OwnRole(_)));
        assert!(matches!(refused(Role::App, &good), DecisionError::OtherRoleKeys { .. }));
        let foreign = Identity { custody_id: CustodyId::from_slice(&[9; 16]).ok(), ..good.clone() };
        assert!(matches!(refused(Role::Cooler, &foreign), DecisionError::ForeignCustody { .. }));
        let unproven = Identity { message_proof: "00".repeat(64), ..good.clone() };
        assert!(matches!(refused(Role::Cooler, &unproven), DecisionError::Identity(_)));
        let unproven = Identity {
            nats_proof: custodies::identity(Role::Cooler, custodies::fixed_id(), 2).nats_proof,
            ..good.clone()
        };
        assert!(matches!(refused(Role::Cooler, &unproven), DecisionError::Identity(_)));
        let swapped =
            Identity { nats_user: custodies::identity(Role::Cooler, custodies::fixed_id(), 2).nats_user, ..good };
        assert!(matches!(refused(Role::Cooler, &swapped), DecisionError::Identity(_)));
    }

    #[test]
    fn a_peer_has_two_keys_at_most_unless_they_are_replaced() {
        let mut trust = trust();
        let approve_seed = |trust: &MemberTrust, seed, replace| {
            let identity = custodies::identity(Role::App, custodies::fixed_id(), seed);
            approve(trust, Role::App, &identity, &fingerprint(Role::App, &identity.keys), replace)
        };
        for seed in [1, 2, 2, 1] {
            trust = approve_seed(&trust, seed, false).unwrap();
        }
        assert_eq!(trust.peers[&Role::App].len(), 2);
        assert!(matches!(approve_seed(&trust, 3, false), Err(DecisionError::TooManyKeys(Role::App))));
        let replaced = approve_seed(&trust, 3, true).unwrap();
        assert_eq!(replaced.peers[&Role::App], [custodies::identity(Role::App, custodies::fixed_id(), 3).keys]);
    }
}
