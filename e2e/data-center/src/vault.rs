//! A Vault as a data centre's admin sets it up, with tokens as the kubelet projects them.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use custody::{Role, trust::VaultTrust};
use data_encoding::BASE64URL_NOPAD;
use harness::Options;
use sealing::Sealer;
use serde_json::{Value, json};
use vault::{Admin, Connection, Jwks, Settings, SetupPlan, Vault};
use zeroize::Zeroizing;

const ISSUER: &str = "https://kubernetes.default.svc";

/// A Vault set up for keeper and cooler, as the kubelet and the API server of one cluster would have it.
pub struct RealVault {
    /// The server.
    pub server: harness::vault::Vault,
    cluster: EcdsaKeyPair,
    folder: tempfile::TempDir,
}

impl RealVault {
    /// Started and set up.
    pub async fn start() -> Self {
        harness::install_crypto();
        let cluster = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let server = harness::vault::Vault::start(Options::default()).await.unwrap();
        let vault = Self { server, cluster, folder: tempfile::tempdir().unwrap() };
        for role in [Role::Keeper, Role::Cooler] {
            vault.set_up(role).await;
        }
        vault
    }

    async fn set_up(&self, role: Role) {
        let (x, y) = self.cluster.public_key().as_ref()[1..].split_at(32);
        let key = json!({"kty": "EC", "crv": "P-256", "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)});
        let plan = SetupPlan {
            transit_mount: "transit-ms".to_owned(),
            auth_mount: "jwt-a".to_owned(),
            jwks: Jwks::parse(&json!({"keys": [key]}).to_string()).unwrap(),
            issuer: ISSUER.to_owned(),
            audience: "vault-a".to_owned(),
            namespace: "custody".to_owned(),
            service_account: role.to_string(),
            role: role.to_string(),
            policy: "multisig-workload".to_owned(),
        };
        let connection = Connection::new(&self.server.address(), self.server.ca_pem()).unwrap();
        let token = Zeroizing::new(self.server.root_token().to_owned());
        vault::setup(&Admin::new(connection, &token).unwrap(), &plan).await.unwrap();
    }

    /// The signer's volume; the same each time.
    pub fn data_dir(&self, role: Role) -> PathBuf {
        let data_dir = self.folder.path().join(role.as_str());
        std::fs::create_dir_all(&data_dir).unwrap();
        data_dir
    }

    /// A file with a fresh token, as the kubelet projects it.
    pub fn token_file(&self, role: Role) -> PathBuf {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "aud": ["vault-a"], "iss": ISSUER, "iat": now, "nbf": now, "exp": now + 600,
            "sub": format!("system:serviceaccount:custody:{role}"),
            "kubernetes.io": {"namespace": "custody", "serviceaccount": {"name": role.as_str(), "uid": "1"}},
        });
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(json!({"alg": "ES256"})), part(claims));
        let signature = self.cluster.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let token_file = self.folder.path().join(format!("{role}-token"));
        let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()));
        std::fs::write(&token_file, token).unwrap();
        token_file
    }

    /// How the signer finds it.
    pub fn trust(&self, role: Role) -> VaultTrust {
        VaultTrust {
            address: self.server.address(),
            ca_bundle: self.server.ca_pem().to_owned(),
            auth_mount: "jwt-a".to_owned(),
            role: role.to_string(),
            audience: "vault-a".to_owned(),
            transit_mount: "transit-ms".to_owned(),
            key: format!("custody.{role}"),
        }
    }

    /// What seals the signer's secrets.
    pub fn sealer(&self, role: Role) -> Arc<Sealer> {
        let VaultTrust { address, ca_bundle, auth_mount, role: vault_role, transit_mount, key, .. } = self.trust(role);
        let settings = Settings {
            address,
            ca_bundle,
            auth_mount,
            role: vault_role,
            transit_mount,
            key,
            token_file: self.token_file(role),
        };
        Arc::new(Sealer::new(Arc::new(Vault::new(settings).unwrap())))
    }
}
