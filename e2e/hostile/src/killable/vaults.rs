//! The Vault of both data centres, which knows their signers as one cluster's service accounts.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use custody::{Role, trust::VaultTrust};
use data_encoding::BASE64URL_NOPAD;
use harness::{Options, vault::Vault};
use serde_json::{Value, json};
use vault::{Admin, Connection, Jwks, SetupPlan};
use zeroize::Zeroizing;

use crate::world::now_ms;

const ISSUER: &str = "https://kubernetes.default.svc";

/// The server, and the key by which the cluster signs tokens.
pub(super) struct Vaults {
    server: Vault,
    cluster: EcdsaKeyPair,
}

impl Vaults {
    /// Not set up for anybody.
    pub(super) async fn start() -> Result<Self> {
        let cluster = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Self { server: Vault::start(Options::default()).await?, cluster })
    }

    /// As `multisig member prepare` does.
    pub(super) async fn set_up(&self, role: Role) -> Result<()> {
        let (x, y) = self.cluster.public_key().as_ref().get(1..).context("no point")?.split_at(32);
        let key = json!({"kty": "EC", "crv": "P-256", "x": BASE64URL_NOPAD.encode(x), "y": BASE64URL_NOPAD.encode(y)});
        let plan = SetupPlan {
            transit_mount: "transit-ms".to_owned(),
            auth_mount: "jwt-a".to_owned(),
            jwks: Jwks::parse(&json!({"keys": [key]}).to_string())?,
            issuer: ISSUER.to_owned(),
            audience: "vault-a".to_owned(),
            namespace: "custody".to_owned(),
            service_account: role.to_string(),
            role: role.to_string(),
            policy: "multisig-workload".to_owned(),
        };
        let connection = Connection::new(&self.server.address(), self.server.ca_pem())?;
        let token = Zeroizing::new(self.server.root_token().to_owned());
        vault::setup(&Admin::new(connection, &token)?, &plan).await?;
        Ok(())
    }

    /// Where it is and how a signer logs in.
    pub(super) fn trust(&self, role: Role) -> VaultTrust {
        let (address, ca_bundle) = (self.server.address(), self.server.ca_pem().to_owned());
        VaultTrust { address, ca_bundle, ..custodies::vault(role) }
    }

    /// A fresh token, as the kubelet projects it.
    pub(super) fn project_token(&self, role: Role, file: &Path) -> Result<()> {
        let now = now_ms() / 1000;
        let claims = json!({
            "aud": ["vault-a"], "iss": ISSUER, "iat": now, "nbf": now, "exp": now + 3600,
            "sub": format!("system:serviceaccount:custody:{role}"),
            "kubernetes.io": {"namespace": "custody", "serviceaccount": {"name": role.as_str(), "uid": "1"}},
        });
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(json!({"alg": "ES256"})), part(claims));
        let signature = self.cluster.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(fs::write(file, format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref())))?)
    }
}
