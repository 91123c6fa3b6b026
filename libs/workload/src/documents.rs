//! From the text of the ConfigMaps to documents, each checked by itself and against what the admin has pinned. Pure;
//! whatever is missing, unknown or contradictory is named in plain words with what to do.

use chain::hex;
use custody::{
    Role,
    config::{CONFIG_KEY, CREDENTIALS_KEY, Credentials, MANIFEST_KEY, MemberConfig, config_map, credentials_map},
    manifest::{SignedManifest, VerifiedManifest},
    report::WorkloadState,
    trust::{self, MemberTrust},
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// The documents as they were read; absent is a ConfigMap or key that is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents {
    /// `trust.json`.
    pub trust: Option<String>,
    /// `config.json`.
    pub config: Option<String>,
    /// `manifest.json`.
    pub manifest: Option<String>,
    /// `credentials.json`.
    pub credentials: Option<String>,
}

/// Why there is nothing to serve with: a state, and one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// What is waited for.
    pub state: WorkloadState,
    /// For people.
    pub message: String,
}

impl Unready {
    /// In this state, for this reason.
    pub fn new(state: WorkloadState, message: impl Into<String>) -> Self {
        Self { state, message: message.into() }
    }

    /// Something of the admin or the hub is missing or contradictory.
    pub fn trust(message: impl Into<String>) -> Self {
        Self::new(WorkloadState::AwaitingTrust, message)
    }
}

/// The member trust of this workload. Its Vault part alone is enough to start with.
pub fn trust(role: Role, documents: &Documents) -> Result<MemberTrust, Unready> {
    let absent = format!("ConfigMap {} has no {}; run `multisig member prepare`", trust::CONFIG_MAP, trust::KEY);
    let text = documents.trust.as_deref().ok_or_else(|| Unready::trust(absent))?;
    let parsed = MemberTrust::parse(text.as_bytes()).map_err(|error| Unready::trust(error.to_string()))?;
    if parsed.role != role {
        let message = format!(
            "{} was written for {}, but this is {role}; run `multisig member prepare` with its own plan",
            trust::KEY,
            parsed.role
        );
        return Err(Unready::trust(message));
    }
    Ok(parsed)
}

/// The manifest, signed at both stations and the one that this data centre's admin pinned.
pub fn manifest(trust: &MemberTrust, documents: &Documents) -> Result<VerifiedManifest, Unready> {
    let unpinned = "the member trust pins no custody; run `multisig member prepare` with the signed manifest";
    let pin = trust.custody.as_ref().ok_or_else(|| Unready::trust(unpinned))?;
    let map = config_map(trust.role);
    let absent = format!("ConfigMap {map} has no {MANIFEST_KEY}; the hub writes it from spec.custody.manifestRef");
    let text = documents.manifest.as_deref().ok_or_else(|| Unready::trust(absent))?;
    let refused = |error: custody::manifest::ManifestError| Unready::trust(format!("{MANIFEST_KEY}: {error}"));
    let verified = SignedManifest::parse(text.as_bytes()).and_then(|signed| signed.verify()).map_err(refused)?;
    verified.require(pin).map_err(refused)?;
    Ok(verified)
}

/// The hub's configuration, if it is for the custody that is pinned here.
pub fn config(trust: &MemberTrust, documents: &Documents) -> Result<MemberConfig, Unready> {
    let map = config_map(trust.role);
    let absent = format!("ConfigMap {map} has no {CONFIG_KEY}; the hub writes it when the MultisigCluster is applied");
    let text = documents.config.as_deref().ok_or_else(|| Unready::trust(absent))?;
    let config: MemberConfig = parse(CONFIG_KEY, &map, text).map_err(Unready::trust)?;
    if trust.custody.as_ref().is_some_and(|pin| pin.id != config.custody_id) {
        let message = format!(
            "the hub configures custody {}, which is not the one pinned here; correct spec.custody or run \
             `multisig member prepare` with the right manifest",
            config.custody_id
        );
        return Err(Unready::trust(message));
    }
    if config.nats.urls.is_empty() || !config.nats.urls.iter().all(|url| url.starts_with("tls://")) {
        return Err(Unready::trust(format!("{CONFIG_KEY}: nats.urls must be tls://host:port; correct spec.nats.urls")));
    }
    Ok(config)
}

/// The hub's credentials, if they are for this workload's present key.
pub fn credentials(role: Role, documents: &Documents, nats_user: &str) -> Result<Credentials, Unready> {
    let unready = |message: String| Unready::new(WorkloadState::AwaitingCredentials, message);
    let map = credentials_map(role);
    let absent = || format!("ConfigMap {map} has no {CREDENTIALS_KEY} yet; the hub mints it for {nats_user}");
    let text = documents.credentials.as_deref().ok_or_else(|| unready(absent()))?;
    let credentials: Credentials = parse(CREDENTIALS_KEY, &map, text).map_err(unready)?;
    match subject(&credentials.user_jwt) {
        Some(subject) if subject == nats_user => Ok(credentials),
        Some(other) => {
            Err(unready(format!("the NATS credentials are for {other}; the hub mints new ones for {nats_user}")))
        }
        None => Err(unready(format!("the user JWT in {map} is malformed; delete the key, the hub writes it again"))),
    }
}

/// `sub` of a JWT, believed by nobody: the broker checks the signature.
fn subject(jwt: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let claims = BASE64URL_NOPAD.decode(jwt.split('.').nth(1)?.as_bytes()).ok()?;
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.sub)
}

fn parse<T: DeserializeOwned>(key: &str, map: &str, text: &str) -> Result<T, String> {
    // A ConfigMap made from a file keeps its byte-order mark.
    let unmarked = text_file::unmarked(text.as_bytes()).unwrap_or(text.as_bytes());
    serde_json::from_slice(unmarked).map_err(|error| {
        format!("malformed {key} in ConfigMap {map}: {error}; hub and signer must run versions that fit")
    })
}

/// SHA-256 of a document as it was read, lower-case hex.
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}
