//! Who should have NATS credentials, by what was reported with proof. Pure.

use std::collections::BTreeMap;

use custody::{
    CustodyId, Role,
    config::{CREDENTIALS_KEY, Credentials},
    identity::Identity,
    report::Report,
};
use k8s_openapi::api::core::v1::ConfigMap;
use multisig_api::{MultisigCluster, conditions::reason};
use nkeys::{KeyPair, KeyPairType};

use super::{dereference::Dereferenced, signer_status};
use crate::{
    conditions::Finding,
    members::Seen,
    nats::{account::Wanted, identity::verify},
    signers::{Pair, Signer},
};

/// The parties as they are known now.
pub struct Parties {
    /// Identities that are believed; absent while unseen, unmade or refused.
    pub identities: Pair<Option<Identity>>,
    /// Who should have credentials.
    pub wanted: BTreeMap<Role, Wanted>,
    /// Newest generation that was ever delivered, as far as anybody remembers.
    pub delivered: BTreeMap<Role, u64>,
    /// Identities that are refused.
    pub problems: BTreeMap<Role, Finding>,
}

/// Gathers them.
pub fn parties(cluster: &MultisigCluster, references: &Dereferenced, seen: &Pair<Seen>, custody: CustodyId) -> Parties {
    let mut parties = Parties {
        identities: Pair::default(),
        wanted: BTreeMap::new(),
        delivered: BTreeMap::new(),
        problems: BTreeMap::new(),
    };
    for (signer, seen) in seen.each() {
        let role = signer.role();
        let objects = seen.objects.as_ref().ok();
        let delivered = generation(objects.and_then(|objects| objects.credentials.as_ref()));
        let remembered = signer_status(cluster, signer).and_then(|status| status.credential_generation);
        remember(&mut parties.delivered, role, delivered, remembered);
        let Some(report) = objects.and_then(|objects| objects.report.read()) else { continue };
        let Some(identity) = &report.identity else { continue };
        match verify(identity, signer, custody) {
            Ok(()) => believe(&mut parties, signer, identity, report),
            Err(finding) => {
                parties.problems.insert(role, finding);
            }
        }
    }
    app(cluster, references, &mut parties);
    parties
}

fn believe(parties: &mut Parties, signer: Signer, identity: &Identity, report: &Report) {
    let wanted = Wanted::Key { user: identity.nats_user.clone(), used: report.credentials_generation };
    parties.wanted.insert(signer.role(), wanted);
    match signer {
        Signer::Keeper => parties.identities.keeper = Some(identity.clone()),
        Signer::Cooler => parties.identities.cooler = Some(identity.clone()),
    }
}

fn app(cluster: &MultisigCluster, references: &Dereferenced, parties: &mut Parties) {
    let status = cluster.status.as_ref().and_then(|status| status.app.as_ref());
    let remembered = status.map(|app| app.credential_generation);
    remember(&mut parties.delivered, Role::App, generation(references.app_credentials.as_ref()), remembered);
    let Some(external) = cluster.spec.app.as_ref().and_then(|app| app.external.as_ref()) else {
        parties.wanted.insert(Role::App, Wanted::Nobody);
        return;
    };
    let user = &external.nats_user;
    match KeyPair::from_public_key(user) {
        Ok(key) if key.key_pair_type() == KeyPairType::User => {
            parties.wanted.insert(Role::App, Wanted::Unreported { user: user.clone() });
        }
        _ => {
            let why =
                format!("app.external.natsUser '{user}' is no public NKey of a user; take it from `app identity`");
            parties.problems.insert(Role::App, Finding::bad(reason::IDENTITY_REFUSED, why));
        }
    }
}

fn remember(delivered: &mut BTreeMap<Role, u64>, role: Role, seen: Option<u64>, remembered: Option<i64>) {
    let remembered = remembered.and_then(|generation| u64::try_from(generation).ok());
    if let Some(newest) = seen.max(remembered) {
        delivered.insert(role, newest);
    }
}

fn generation(map: Option<&ConfigMap>) -> Option<u64> {
    let text = map?.data.as_ref()?.get(CREDENTIALS_KEY)?;
    Some(serde_json::from_str::<Credentials>(text).ok()?.generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn of(cluster: &MultisigCluster, seen: &Pair<Seen>) -> Parties {
        parties(cluster, &fixtures::dereferenced(), seen, fixtures::custody())
    }

    #[test]
    fn only_what_was_reported_with_proof_is_minted_for() {
        let cluster = fixtures::cluster();
        let mut seen = Pair::from_fn(fixtures::seen);
        assert!(of(&cluster, &seen).wanted.keys().eq([&Role::App]), "nothing reported, nothing minted");
        let identity = fixtures::signer_identity(Signer::Keeper, 1);
        fixtures::report(&mut seen.keeper, Some(identity.clone()), Some(4));
        let forged = Identity { role: Role::Cooler, ..identity.clone() };
        fixtures::report(&mut seen.cooler, Some(forged), None);
        let parties = of(&cluster, &seen);
        let expected = Wanted::Key { user: identity.nats_user.clone(), used: Some(4) };
        assert_eq!(parties.wanted.get(&Role::Keeper), Some(&expected));
        assert_eq!(parties.identities.keeper, Some(identity));
        assert!(!parties.wanted.contains_key(&Role::Cooler));
        assert_eq!(parties.problems[&Role::Cooler].reason, reason::IDENTITY_REFUSED);
    }

    #[test]
    fn an_app_is_minted_for_while_the_spec_names_it() {
        let mut cluster = fixtures::cluster();
        let seen = Pair::from_fn(fixtures::seen);
        assert!(matches!(of(&cluster, &seen).wanted[&Role::App], Wanted::Unreported { .. }));
        cluster.spec.app.as_mut().unwrap().external.as_mut().unwrap().nats_user = format!("U{}", "A".repeat(55));
        let refused = of(&cluster, &seen);
        assert!(!refused.wanted.contains_key(&Role::App) && refused.problems.contains_key(&Role::App));
        cluster.spec.app = None;
        assert_eq!(of(&cluster, &seen).wanted[&Role::App], Wanted::Nobody);
    }

    #[test]
    fn the_newest_generation_is_remembered_from_wherever_it_is_known() {
        let mut cluster = fixtures::cluster();
        let mut seen = Pair::from_fn(fixtures::seen);
        let keeper = seen.keeper.objects.as_mut().unwrap();
        let text = serde_json::to_string(&fixtures::credentials(7)).unwrap();
        keeper.credentials.as_mut().unwrap().data = Some([(CREDENTIALS_KEY.to_owned(), text)].into());
        assert_eq!(of(&cluster, &seen).delivered, BTreeMap::from([(Role::Keeper, 7)]));
        cluster.status = Some(fixtures::status_with_generation(9));
        assert_eq!(of(&cluster, &seen).delivered, BTreeMap::from([(Role::Keeper, 9)]));
    }
}
