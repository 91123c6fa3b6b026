//! The ceremonies' outcome, and what admin and hub write down for a signer of it.

use std::collections::BTreeMap;

use chain::KeyRole;
use custody::{
    CustodyId, Role,
    config::{Credentials, HubLimits, MemberConfig, NatsConfig},
    identity::PeerKeys,
    local_policy::{AssetLimits, LocalPolicy},
    manifest::{self, Manifest, PublicHalf, SignedManifest, VerifiedManifest},
    phrase::Phrase,
    trust::{CustodyTrust, KeyProtection, MemberTrust, Profile, SHAPE_VERSION, VaultTrust},
};
use data_encoding::BASE64URL_NOPAD;
use protocol::envelope::OwnKeys;
use rand_core::OsRng;
use serde_json::json;

/// The one chain of the local policy, CAIP-2.
pub const CHAIN: &str = "eip155:31337";
/// The one safe destination.
pub const SAFE: &str = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
/// The contract of USDT.
pub const TOKEN: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";

/// Phrases and the manifest that both stations signed.
pub struct Custody {
    /// The cool phrase.
    pub cool: Phrase,
    /// The cold phrase.
    pub cold: Phrase,
    /// The manifest.
    pub signed: SignedManifest,
}

/// Everything that a signer reads, complete and consistent.
pub struct Documents {
    /// By the admin.
    pub trust: MemberTrust,
    /// By the hub.
    pub config: MemberConfig,
    /// By the stations.
    pub manifest: SignedManifest,
    /// By the hub.
    pub credentials: Credentials,
}

impl Custody {
    /// Another one each time.
    #[expect(clippy::new_without_default, reason = "it is never the same")]
    pub fn new() -> Self {
        Self::on(&[CHAIN])
    }

    /// With a safe destination on each of these chains.
    pub fn on(chains: &[&str]) -> Self {
        let (cool, cold) = (Phrase::generate(&mut OsRng), Phrase::generate(&mut OsRng));
        let half = |role, phrase: &Phrase| PublicHalf::from_keys(role, &phrase.keys()).unwrap();
        let mut signed = SignedManifest::new(Manifest {
            version: manifest::VERSION,
            custody_id: CustodyId::generate(&mut OsRng),
            revision: 1,
            cool: half(KeyRole::Cool, &cool),
            cold: half(KeyRole::Cold, &cold),
            safe_destinations: chains.iter().map(|chain| ((*chain).to_owned(), vec![SAFE.to_owned()])).collect(),
        })
        .unwrap();
        signed.sign(KeyRole::Cool, &cool.keys()).unwrap();
        signed.sign(KeyRole::Cold, &cold.keys()).unwrap();
        Self { cool, cold, signed }
    }

    /// The manifest, verified.
    pub fn manifest(&self) -> VerifiedManifest {
        self.signed.verify().unwrap()
    }

    /// Complete documents for a signer whose connection key is `nats_user`.
    pub fn documents(&self, role: Role, nats_user: &str) -> Documents {
        let trust = MemberTrust {
            shape_version: SHAPE_VERSION,
            profile: Profile::Development,
            role,
            data_center: "fra-1".to_owned(),
            vault: VaultTrust {
                address: "https://127.0.0.1:8200".to_owned(),
                ca_bundle: CERTIFICATE.to_owned(),
                auth_mount: "jwt-a".to_owned(),
                role: role.to_string(),
                audience: "vault-a".to_owned(),
                transit_mount: "transit-ms".to_owned(),
                key: format!("custody.{role}"),
            },
            custody: Some(CustodyTrust { id: self.manifest().custody_id(), manifest_digest: self.manifest().digest() }),
            peers: peers(role),
            local_policy: Some(local_policy()),
            keys: KeyProtection::Vault,
            images: Vec::new(),
        };
        let config = MemberConfig {
            custody_id: self.manifest().custody_id(),
            nats: NatsConfig { urls: vec!["tls://127.0.0.1:4222".to_owned()], ca_bundle: CERTIFICATE.to_owned() },
            policy: HubLimits::default(),
            vault_key_generation: None,
            proposed_peers: BTreeMap::new(),
        };
        let credentials = Credentials { generation: 1, user_jwt: user_jwt(nats_user) };
        Documents { trust, config, manifest: self.signed.clone(), credentials }
    }
}

/// Approved keys of everybody else.
pub fn peers(own: Role) -> BTreeMap<Role, Vec<PeerKeys>> {
    let all = [(Role::Keeper, 10), (Role::Cooler, 20), (Role::App, 30)];
    let keys = |n| OwnKeys::from_seeds(&[n; 32], &[n + 1; 32]).public().clone();
    all.into_iter().filter(|(role, _)| *role != own).map(|(role, n)| (role, vec![keys(n)])).collect()
}

/// 1 ETH and 1000 units of a token with 6 decimals.
pub fn local_policy() -> LocalPolicy {
    LocalPolicy::new(vec![
        AssetLimits::new(CHAIN, "ETH", "native", 18, "1000000000000000000"),
        AssetLimits::new(CHAIN, "USDT", TOKEN, 6, "1000000000"),
    ])
}

/// A JWT for this user that no broker would take.
pub fn user_jwt(nats_user: &str) -> String {
    let claims = json!({"sub": nats_user}).to_string();
    format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))
}
