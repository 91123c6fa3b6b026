//! The configuration file: what App's owner decides, and thereby all that App believes. Read once, at the start.

mod backups;
mod chain;
mod error;
mod relayer;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use chain_adapters::Adapters;
use custody::{
    CustodyId, Role,
    identity::PeerKeys,
    manifest::{SignedManifest, VerifiedManifest},
    trust::{CustodyTrust, MAX_KEYS_PER_PEER},
};
use rustls::ServerConfig;
use serde::Deserialize;

use self::{
    backups::BackupConfig,
    chain::{ChainConfig, ChainSettings},
    error::invalid,
    relayer::RelayerConfig,
};
use crate::{
    callers::{Callers, CallersError},
    tls::TlsFiles,
};

pub(crate) use self::{backups::Schedule, error::ConfigError, relayer::RelayerSettings};

/// What the file says, word for word.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// Address and port of the HTTP API.
    listen: SocketAddr,
    /// Address and port of `/livez`, `/readyz` and `/metrics`, which know no callers.
    health_listen: SocketAddr,
    /// Who may call the API: a line of `app token` for each. Read again when it changes, and at SIGHUP.
    callers_file: PathBuf,
    /// The API over TLS. Absent: somebody else ends TLS in front of it.
    tls: Option<TlsConfig>,
    /// Where the database is.
    data_dir: PathBuf,
    /// What `app identity` made.
    identity_dir: PathBuf,
    /// The custody's identity.
    custody_id: CustodyId,
    /// The signed manifest.
    manifest_file: PathBuf,
    /// SHA-256 of the manifest's payload, lower-case hex: no other manifest is believed.
    manifest_digest: String,
    /// The signers' public keys: no other signer is believed.
    signers: SignerConfig,
    nats: NatsConfig,
    /// Credentials JSON, delivered by the operator; may come later.
    credentials_file: PathBuf,
    chain: ChainConfig,
    /// 64 hex digits: the key that pays gas.
    relayer_key_file: PathBuf,
    /// How far it goes; everything in it may be left out.
    #[serde(default)]
    relayer: RelayerConfig,
    /// As in Keeper's member trust: true for ClientKey. App then keeps a key per wallet, and sends it to Keeper with
    /// each request.
    #[serde(default)]
    client_keys: bool,
    /// Backups that App makes by itself.
    backups: Option<BackupConfig>,
}

/// PEM files; read again when they change, and at SIGHUP.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TlsConfig {
    /// The server's chain, its own certificate first.
    certificate_file: PathBuf,
    key_file: PathBuf,
    /// Authorities whose certificates callers may show in the place of a token.
    client_ca_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignerConfig {
    keeper: Vec<PeerKeys>,
    cooler: Vec<PeerKeys>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NatsConfig {
    /// `tls://host:port`.
    urls: Vec<String>,
    /// PEM of the only roots accepted for the broker.
    ca_file: PathBuf,
}

/// The configuration, validated, with the documents it names.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) health_listen: SocketAddr,
    pub(crate) access: AccessFiles,
    pub(crate) callers: Callers,
    /// The certificates as they were read.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    pub(crate) data_dir: PathBuf,
    pub(crate) identity_dir: PathBuf,
    pub(crate) manifest: VerifiedManifest,
    /// Keeper's and Cooler's keys.
    pub(crate) signers: BTreeMap<Role, Vec<PeerKeys>>,
    pub(crate) nats_urls: Vec<String>,
    /// PEM.
    pub(crate) nats_ca: String,
    pub(crate) credentials_file: PathBuf,
    pub(crate) chain: ChainSettings,
    pub(crate) relayer: RelayerSettings,
    /// Whether Keeper seals by client keys.
    pub(crate) client_keys: bool,
    pub(crate) backups: Option<Schedule>,
}

/// Where it is written who may call, and by which certificates.
#[derive(Debug, Clone)]
pub(crate) struct AccessFiles {
    pub(crate) callers: PathBuf,
    pub(crate) tls: Option<TlsFiles>,
}

impl Settings {
    /// Reads and validates the file and the documents that it names. Nothing is written.
    pub(crate) fn load(path: &Path, adapters: &Adapters) -> Result<Self, ConfigError> {
        let config: Config = serde_json::from_slice(&read(path)?)
            .map_err(|error| ConfigError::Malformed { path: path.to_owned(), error })?;
        config.validate(adapters)
    }
}

impl Config {
    fn validate(self, adapters: &Adapters) -> Result<Settings, ConfigError> {
        let manifest = self.manifest()?;
        if self.nats.urls.is_empty() {
            return invalid("nats.urls is empty");
        }
        if let Some(url) = self.nats.urls.iter().find(|url| !url.starts_with("tls://")) {
            return invalid(format!("nats.urls: '{url}' must be tls://HOST:PORT"));
        }
        let nats_ca = String::from_utf8_lossy(&read(&self.nats.ca_file)?).into_owned();
        if !nats_ca.contains("-----BEGIN CERTIFICATE-----") {
            return invalid(format!("nats.caFile: {} contains no PEM certificate", self.nats.ca_file.display()));
        }
        let chain = self.chain.validate(adapters)?;
        let id = chain.rules.id();
        if manifest.safe_destinations(id.as_str()).is_empty() {
            return invalid(format!(
                "the manifest names no safe destination on {id}, so no payment could be cancelled; add one"
            ));
        }
        let tls = self.tls.map(|tls| TlsFiles {
            certificate: tls.certificate_file,
            key: tls.key_file,
            client_ca: tls.client_ca_file,
        });
        let access = AccessFiles { callers: self.callers_file, tls };
        let callers = access.callers()?;
        if callers.is_empty() {
            return Err(CallersError::Nobody.into());
        }
        Ok(Settings {
            listen: self.listen,
            health_listen: self.health_listen,
            callers,
            tls: access.tls.as_ref().map(TlsFiles::load).transpose()?,
            access,
            data_dir: self.data_dir,
            identity_dir: self.identity_dir,
            manifest,
            signers: self.signers.validate()?,
            nats_urls: self.nats.urls,
            nats_ca,
            credentials_file: self.credentials_file,
            chain,
            relayer: self.relayer.validate(self.relayer_key_file)?,
            client_keys: self.client_keys,
            backups: self.backups.map(BackupConfig::validate).transpose()?,
        })
    }

    fn manifest(&self) -> Result<VerifiedManifest, ConfigError> {
        let path = &self.manifest_file;
        let pin = CustodyTrust { id: self.custody_id, manifest_digest: self.manifest_digest.clone() };
        let verified = SignedManifest::parse(&read(path)?).and_then(|signed| signed.verify());
        verified
            .and_then(|manifest| manifest.require(&pin).map(|()| manifest))
            .map_err(|error| ConfigError::Manifest { path: path.clone(), error })
    }
}

impl AccessFiles {
    /// The callers' file as it is now.
    pub(crate) fn callers(&self) -> Result<Callers, CallersError> {
        let path = &self.callers;
        let text = text_file::read_to_string(path).map_err(|error| CallersError::Read { path: path.clone(), error })?;
        let callers = Callers::parse(&text)?;
        let asks = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        if callers.use_certificates() && !asks {
            return Err(CallersError::NoAuthority);
        }
        Ok(callers)
    }
}

impl SignerConfig {
    fn validate(self) -> Result<BTreeMap<Role, Vec<PeerKeys>>, ConfigError> {
        let signers = BTreeMap::from([(Role::Keeper, self.keeper), (Role::Cooler, self.cooler)]);
        let mut seen = BTreeSet::new();
        for (role, keys) in &signers {
            if !(1..=MAX_KEYS_PER_PEER).contains(&keys.len()) {
                return invalid(format!("signers.{role} must name 1 to {MAX_KEYS_PER_PEER} keys"));
            }
            for key in keys {
                key.validate().or_else(|why| invalid(format!("signers.{role}: {why}")))?;
                // One key for two signers would be one signer.
                if !seen.insert(key.message_key.clone()) || !seen.insert(key.xkey.clone()) {
                    return invalid(format!("signers.{role}: a key is listed twice"));
                }
            }
        }
        Ok(signers)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    text_file::read(path).map_err(|error| ConfigError::file(path, error))
}
