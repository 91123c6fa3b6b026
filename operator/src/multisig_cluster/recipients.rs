//! Who should have NATS credentials, by what was reported with proof. Pure.

use std::collections::BTreeMap;

use custody::{
    CustodyId, Role,
    config::{CREDENTIALS_KEY, Credentials},
    identity::Identity,
    report::Report,
};
use k8s_openapi::api::core::v1::ConfigMap;
use multisig_api::{MultisigCluster, conditions::reason, place::Place};
use nkeys::{KeyPair, KeyPairType};

use super::{dereference::Dereferenced, observe::Seen};
use crate::{
    conditions::Finding,
    document::text,
    nats::{account::Wanted, identity::verify},
    places::{Places, last_seen},
};

/// The recipients as they are known now.
pub struct Recipients {
    /// Identities that are believed; absent while unseen, unmade or refused.
    pub identities: BTreeMap<Place, Identity>,
    /// Who should have credentials.
    pub wanted: BTreeMap<Role, Wanted>,
    /// Newest generation that was ever delivered, as far as anybody remembers.
    pub delivered: BTreeMap<Role, u64>,
    /// Identities that are refused.
    pub problems: BTreeMap<Role, Finding>,
}

/// Gathers them.
pub fn recipients(
    cluster: &MultisigCluster,
    references: &Dereferenced,
    seen: &Places<Seen>,
    custody: CustodyId,
) -> Recipients {
    let mut recipients = Recipients {
        identities: BTreeMap::new(),
        wanted: BTreeMap::new(),
        delivered: BTreeMap::new(),
        problems: BTreeMap::new(),
    };
    for (place, seen) in seen.iter() {
        let role = place.role();
        let objects = seen.objects.as_ref().ok();
        let delivered = generation(objects.and_then(|objects| objects.credentials.as_ref()));
        let remembered = last_seen(cluster, place).and_then(|status| status.credential_generation);
        remember(&mut recipients.delivered, role, delivered, remembered);
        let Some(report) = objects.and_then(|objects| objects.report.read()) else { continue };
        let Some(identity) = &report.identity else { continue };
        match verify(identity, role, custody) {
            Ok(()) => believe(&mut recipients, place, identity, report),
            Err(finding) => {
                recipients.problems.insert(role, finding);
            }
        }
    }
    app(cluster, references, &mut recipients);
    recipients
}

fn believe(recipients: &mut Recipients, place: Place, identity: &Identity, report: &Report) {
    let wanted = Wanted::Key { user: identity.nats_user.clone(), used: report.credentials_generation };
    recipients.wanted.insert(place.role(), wanted);
    recipients.identities.insert(place, identity.clone());
}

fn app(cluster: &MultisigCluster, references: &Dereferenced, recipients: &mut Recipients) {
    let status = cluster.status.as_ref().and_then(|status| status.app.as_ref());
    let remembered = status.map(|app| app.credential_generation);
    remember(&mut recipients.delivered, Role::App, generation(references.app_credentials.as_ref()), remembered);
    let Some(external) = cluster.spec.app.as_ref().and_then(|app| app.external.as_ref()) else {
        recipients.wanted.insert(Role::App, Wanted::Nobody);
        return;
    };
    let user = &external.nats_user;
    match KeyPair::from_public_key(user) {
        Ok(key) if key.key_pair_type() == KeyPairType::User => {
            recipients.wanted.insert(Role::App, Wanted::Unreported { user: user.clone() });
        }
        _ => {
            let why = format!(
                "app.external.natsUser '{user}' is not a user's public NKey; use the one that `app identity` prints"
            );
            recipients.problems.insert(Role::App, Finding::bad(reason::IDENTITY_REFUSED, why));
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
    let text = text(map, CREDENTIALS_KEY)?;
    Some(serde_json::from_str::<Credentials>(text).ok()?.generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::fixtures;

    fn of(cluster: &MultisigCluster, seen: &Places<Seen>) -> Recipients {
        recipients(cluster, &fixtures::dereferenced(), seen, fixtures::custody())
    }

    #[test]
    fn only_what_was_reported_with_proof_is_minted_for() {
        let cluster = fixtures::cluster();
        let mut seen = fixtures::seen();
        assert!(of(&cluster, &seen).wanted.keys().eq([&Role::App]), "nothing reported, nothing minted");
        let identity = fixtures::reported(Place::Keeper, 1);
        fixtures::report(&mut seen[Place::Keeper], Some(identity.clone()), Some(4));
        let forged = Identity { role: Role::Cooler, ..identity.clone() };
        fixtures::report(&mut seen[Place::Cooler], Some(forged), None);
        let recipients = of(&cluster, &seen);
        let expected = Wanted::Key { user: identity.nats_user.clone(), used: Some(4) };
        assert_eq!(recipients.wanted.get(&Role::Keeper), Some(&expected));
        assert_eq!(recipients.identities.get(&Place::Keeper), Some(&identity));
        assert!(!recipients.wanted.contains_key(&Role::Cooler));
        assert_eq!(recipients.problems[&Role::Cooler].reason, reason::IDENTITY_REFUSED);
    }

    #[test]
    fn an_app_is_minted_for_while_the_spec_names_it() {
        let mut cluster = fixtures::cluster();
        let seen = fixtures::seen();
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
        let mut seen = fixtures::seen();
        let keeper = seen[Place::Keeper].objects.as_mut().unwrap();
        let text = serde_json::to_string(&fixtures::credentials(7)).unwrap();
        keeper.credentials.as_mut().unwrap().data = Some([(CREDENTIALS_KEY.to_owned(), text)].into());
        assert_eq!(of(&cluster, &seen).delivered, BTreeMap::from([(Role::Keeper, 7)]));
        cluster.status = Some(fixtures::status_with_generation(9));
        assert_eq!(of(&cluster, &seen).delivered, BTreeMap::from([(Role::Keeper, 9)]));
    }
}
