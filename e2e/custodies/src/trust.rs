//! What a data centre's admin trusts, and what the hub then asks of the signer there.

use std::collections::BTreeMap;

use custody::{
    Role,
    config::{HubLimits, MemberConfig, NatsConfig},
    local_policy::{AssetLimits, LocalPolicy},
    trust::{KeyProtection, MemberTrust, Profile, SHAPE_VERSION, VaultTrust},
};

use crate::{CHAIN, ceremony::Custody, parties::peers};

/// What is taken for a certificate where nobody connects.
pub const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

impl Custody {
    /// Complete, of profile Development, with a Vault that is not there: replace what the test is about.
    pub fn trust(&self, role: Role) -> MemberTrust {
        MemberTrust {
            shape_version: SHAPE_VERSION,
            profile: Profile::Development,
            role,
            data_center: if role == Role::Keeper { "fra-1".to_owned() } else { "ams-2".to_owned() },
            vault: vault(role),
            custody: Some(self.pin()),
            peers: peers(role),
            local_policy: Some(local_policy()),
            keys: KeyProtection::Vault,
            images: Vec::new(),
        }
    }

    /// The hub's wish for a signer of this custody, with a broker that is not there.
    pub fn config(&self) -> MemberConfig {
        MemberConfig {
            custody_id: self.id(),
            nats: NatsConfig { urls: vec!["tls://127.0.0.1:4222".to_owned()], ca_bundle: CERTIFICATE.to_owned() },
            policy: HubLimits::default(),
            vault_key_generation: None,
            proposed_peers: BTreeMap::new(),
        }
    }
}

/// A Vault that is not there, with the names that `multisig member prepare` gives.
pub fn vault(role: Role) -> VaultTrust {
    VaultTrust {
        address: "https://127.0.0.1:8200".to_owned(),
        ca_bundle: CERTIFICATE.to_owned(),
        auth_mount: "jwt-a".to_owned(),
        role: role.to_string(),
        audience: "vault-a".to_owned(),
        transit_mount: "transit-ms".to_owned(),
        key: format!("custody.{role}"),
    }
}

/// At most 1 ETH in one payment.
pub fn local_policy() -> LocalPolicy {
    LocalPolicy::new(vec![eth("1000000000000000000")])
}

/// The chain's coin, at most so many wei in one payment.
pub fn eth(per_transaction: &str) -> AssetLimits {
    AssetLimits::new(CHAIN, "ETH", "native", 18, per_transaction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signers_trust_is_valid_and_complete() {
        let custody = Custody::fixed();
        for role in [Role::Keeper, Role::Cooler] {
            let trust = custody.trust(role);
            assert_eq!(trust.validate(), Ok(()));
            assert!(trust.complete().is_ok());
            assert_eq!(MemberTrust::parse(trust.to_json().as_bytes()), Ok(trust));
        }
    }
}
