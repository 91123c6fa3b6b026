//! Parties: message and connection keys of fixed bytes.

use std::collections::BTreeMap;

use custody::{
    CustodyId, Role,
    identity::{Identity, PeerKeys, prove, statement},
};
use data_encoding::HEXLOWER;
use nkeys::{KeyPair, KeyPairType};
use protocol::envelope::OwnKeys;

/// A role's keys; another role or seed (below 50), other keys.
pub fn own_keys(role: Role, seed: u8) -> OwnKeys {
    let seed = [byte(role, seed); 32];
    OwnKeys::from_seeds(&seed, &seed)
}

/// The keys of everybody whom `own` needs, each of seed 0: what its admin approves.
pub fn peers(own: Role) -> BTreeMap<Role, Vec<PeerKeys>> {
    let others = Role::ALL.into_iter().filter(|role| *role != own);
    others.map(|role| (role, vec![own_keys(role, 0).public().clone()])).collect()
}

/// The same keys and a connection's, with proofs, as a workload reports them.
pub fn identity(role: Role, custody_id: CustodyId, seed: u8) -> Identity {
    let keys = own_keys(role, seed);
    let user = KeyPair::new_from_raw(KeyPairType::User, [byte(role, seed); 32]).unwrap();
    let custody_id = Some(custody_id);
    let statement = statement(role, custody_id, &user.public_key(), keys.public());
    Identity {
        role,
        custody_id,
        nats_user: user.public_key(),
        message_proof: prove(keys.message_key(), &statement),
        nats_proof: HEXLOWER.encode(&user.sign(&statement).unwrap()),
        keys: keys.public().clone(),
    }
}

fn byte(role: Role, seed: u8) -> u8 {
    assert!(seed < 50, "a seed is below 50");
    role as u8 * 50 + seed + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use custody::identity::verify;

    use super::*;

    #[test]
    fn identities_prove_their_keys_and_no_two_share_one() {
        let id = CustodyId::from_slice(&[7; 16]).unwrap();
        let all = Role::ALL.into_iter().flat_map(|role| [0, 49].map(|seed| identity(role, id, seed)));
        let all: Vec<Identity> = all.collect();
        let keys: BTreeSet<&str> = all.iter().map(|identity| identity.keys.message_key.as_str()).collect();
        assert_eq!(keys.len(), all.len());
        for identity in &all {
            assert_eq!(verify(identity), Ok(()));
        }
    }

    #[test]
    fn a_signer_needs_everybody_but_itself() {
        assert_eq!(peers(Role::Keeper).into_keys().collect::<Vec<_>>(), [Role::Cooler, Role::App, Role::Sentinel]);
    }
}
