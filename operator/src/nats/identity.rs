//! Nothing is minted for a public key whose owner has not proven that it holds the private one. Pure.

use custody::{CustodyId, Role, identity::Identity};
use data_encoding::HEXLOWER;
use multisig_api::conditions::reason;
use nkeys::{KeyPair, KeyPairType};

use crate::conditions::Finding;

/// Checks both proofs of a reported identity, and that it is one of this role in this custody.
pub fn verify(identity: &Identity, role: Role, custody: CustodyId) -> Result<(), Finding> {
    let refused = |why: String| {
        Err(Finding::bad(
            reason::IDENTITY_REFUSED,
            format!("{why}; no credentials are minted for it: the data centre admin should check the workload's log"),
        ))
    };
    if identity.role != role {
        return refused(format!("the report of {role} contains an identity of {}", identity.role));
    }
    if let Some(other) = identity.custody_id.filter(|other| *other != custody) {
        return refused(format!("the keys were generated for custody {other}, not for {custody}"));
    }
    if let Err(error) = custody::identity::verify(identity) {
        return refused(error.to_string());
    }
    let statement =
        custody::identity::statement(identity.role, identity.custody_id, &identity.nats_user, &identity.keys);
    let proven = KeyPair::from_public_key(&identity.nats_user)
        .ok()
        .filter(|key| key.key_pair_type() == KeyPairType::User)
        .zip(HEXLOWER.decode(identity.nats_proof.as_bytes()).ok())
        .is_some_and(|(key, proof)| key.verify(&statement, &proof).is_ok());
    if proven { Ok(()) } else { refused("the NATS proof does not prove possession of the NATS user key".to_owned()) }
}

#[cfg(test)]
mod tests {
    use multisig_api::place::Place;

    use super::*;
    use crate::tests::fixtures;

    #[test]
    fn only_a_proven_identity_of_this_role_and_custody_is_believed() {
        let custody = fixtures::custody();
        let good = fixtures::reported(Place::Keeper, 1);
        assert_eq!(verify(&good, Role::Keeper, custody), Ok(()));
        assert!(verify(&good, Role::Cooler, custody).is_err());
        let other: CustodyId = "ffffffffffffffffffffffffffffffff".parse().unwrap();
        assert!(verify(&good, Role::Keeper, other).is_err());

        let stranger = fixtures::reported(Place::Keeper, 2);
        let stolen = [
            Identity { nats_user: stranger.nats_user.clone(), ..good.clone() },
            Identity { nats_proof: stranger.nats_proof.clone(), ..good.clone() },
            Identity { message_proof: stranger.message_proof.clone(), ..good.clone() },
            Identity { keys: stranger.keys.clone(), ..good.clone() },
            Identity { nats_proof: "zz".to_owned(), ..good.clone() },
            Identity { nats_user: "nonsense".to_owned(), ..good.clone() },
        ];
        for identity in stolen {
            assert_eq!(verify(&identity, Role::Keeper, custody).unwrap_err().reason, reason::IDENTITY_REFUSED);
        }
    }
}
