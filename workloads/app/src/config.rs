//! The configuration file: what App's owner decides, and thereby all that App believes. Read once, at the start.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chain::{Access, Amount, Asset, ChainId, ChainRules, Finality, LEAST_TIP, RelayLimits};
use chain_adapters::Adapters;
use custody::{
    CustodyId, Role,
    identity::PeerKeys,
    manifest::{ManifestError, SignedManifest, VerifiedManifest},
    trust::{CustodyTrust, MAX_KEYS_PER_PEER},
};
use rustls::ServerConfig;
use serde::Deserialize;

use crate::{
    callers::{Callers, CallersError},
    domain::{Assets, Symbol},
    http::{TlsError, TlsFiles},
};

/// Wei.
const GWEI: u128 = 1_000_000_000;

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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BackupConfig {
    /// The key that they are sealed to, `X...`; its private half is on paper.
    to: String,
    /// A folder on another volume than the database.
    dir: PathBuf,
    every_minutes: u32,
    /// How many are kept.
    keep: usize,
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChainConfig {
    /// CAIP-2, for example `eip155:1`.
    id: ChainId,
    /// URLs of nodes, in the order in which they are asked; may hold a provider's API key, so they are never shown.
    nodes: Vec<String>,
    /// So many nodes must say the same before it ends a payment. Two where two or more are named, if it is left out.
    agree: Option<usize>,
    finality: FinalityConfig,
    /// Seconds: a node whose newest block is older is behind, and its word ends no payment. Left out only where blocks
    /// are made when there is something to put into them, as development nodes do.
    head_age: Option<u64>,
    /// The least tip offered, in the fee's smallest unit (EVM: wei per gas).
    least_tip: Option<u64>,
    assets: Vec<AssetConfig>,
}

/// What is left out is as [`RelayLimits::DEFAULT`] says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RelayerConfig {
    /// Files with further keys that pay gas. Each holds a float of its own, and has its own transactions under way.
    #[serde(default)]
    more_key_files: Vec<PathBuf>,
    /// The most that a transaction offers for a gas, gwei (10^-9 coins). 500.
    max_fee_per_gas: Option<u64>,
    /// The most gas that a transaction may use. 1,000,000.
    max_gas: Option<u64>,
    /// A transaction that so many blocks left out is made dearer. 3.
    replace_after_blocks: Option<u64>,
    /// A float below this is told, wei. 0.05 coins.
    least_float: Option<Amount>,
}

/// When a payment's block is taken to stay.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum FinalityConfig {
    /// So many blocks follow it.
    Depth(u64),
    /// The chain calls it final (EVM: the tag `finalized`).
    Tagged,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssetConfig {
    /// Its name in the API and in the signers' local policies.
    symbol: String,
    /// `native`, or the contract's address.
    asset: String,
    /// Of the smallest unit, for people who read the file.
    #[expect(dead_code, reason = "App counts in the smallest unit")]
    decimals: u8,
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

/// When backups are made by themselves, and where they are kept.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// A valid XKey.
    pub(crate) to: String,
    pub(crate) dir: PathBuf,
    pub(crate) every: Duration,
    /// At least one.
    pub(crate) keep: usize,
}

/// Where it is written who may call, and by which certificates.
#[derive(Debug, Clone)]
pub(crate) struct AccessFiles {
    pub(crate) callers: PathBuf,
    pub(crate) tls: Option<TlsFiles>,
}

/// The chain that this App pays on.
pub(crate) struct ChainSettings {
    pub(crate) rules: Arc<dyn ChainRules>,
    pub(crate) access: Access,
    pub(crate) assets: Assets,
}

/// Who pays for gas, and how far they go.
pub(crate) struct RelayerSettings {
    /// At least one.
    pub(crate) key_files: Vec<PathBuf>,
    pub(crate) limits: RelayLimits,
}

/// Why App doesn't start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("can't read {}: {error}; check the path in the configuration and the file's owner", path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("{}: {error}", path.display())]
    Encoding { path: PathBuf, error: std::io::Error },
    #[error("malformed configuration {}: {error}", path.display())]
    Malformed { path: PathBuf, error: serde_json::Error },
    #[error("invalid configuration: {0}")]
    Invalid(String),
    #[error("{}: {error}", path.display())]
    Manifest { path: PathBuf, error: ManifestError },
    #[error(transparent)]
    Callers(#[from] CallersError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ConfigError {
    /// `path` can't be read.
    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            std::io::ErrorKind::InvalidData => Self::Encoding { path, error },
            _ => Self::Read { path, error },
        }
    }
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

impl BackupConfig {
    fn validate(self) -> Result<Schedule, ConfigError> {
        let Self { to, dir, every_minutes, keep } = self;
        custody::sealed_backup::recipient(&to)
            .map_or_else(|error| invalid(format!("backups.to: {error}")), |_| Ok(()))?;
        if every_minutes == 0 || keep == 0 {
            return invalid("backups.everyMinutes and backups.keep must be at least 1");
        }
        Ok(Schedule { to, dir, every: Duration::from_secs(u64::from(every_minutes) * 60), keep })
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

impl RelayerConfig {
    fn validate(self, key_file: PathBuf) -> Result<RelayerSettings, ConfigError> {
        let standard = RelayLimits::DEFAULT;
        let limits = RelayLimits {
            max_price: self.max_fee_per_gas.map_or(standard.max_price, |gwei| u128::from(gwei) * GWEI),
            max_gas: self.max_gas.unwrap_or(standard.max_gas),
            replace_after: self.replace_after_blocks.unwrap_or(standard.replace_after),
            least_float: self.least_float.unwrap_or(standard.least_float),
            ..standard
        };
        if limits.max_price == 0 || limits.max_gas == 0 || limits.replace_after == 0 {
            return invalid("relayer: maxFeePerGas, maxGas and replaceAfterBlocks must be at least 1");
        }
        let mut key_files = vec![key_file];
        key_files.extend(self.more_key_files);
        Ok(RelayerSettings { key_files, limits })
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

impl ChainConfig {
    fn access(&self) -> Result<Access, ConfigError> {
        let Self { nodes, agree, finality, head_age, least_tip, .. } = self;
        if nodes.is_empty() {
            return invalid("chain.nodes is empty: nothing can be read");
        }
        let agree = agree.unwrap_or_else(|| nodes.len().min(2));
        if !(1..=nodes.len()).contains(&agree) {
            return invalid(format!("chain.agree is {agree}; expected 1 to {}, the number of nodes", nodes.len()));
        }
        let finality = match finality {
            FinalityConfig::Depth(blocks) => Finality::Depth(*blocks),
            FinalityConfig::Tagged => Finality::Tagged,
        };
        if *head_age == Some(0) {
            return invalid("chain.headAge is 0: every node would be behind");
        }
        let head_age = head_age.map(Duration::from_secs);
        let least_tip = least_tip.map_or(LEAST_TIP, u128::from);
        Ok(Access { nodes: nodes.clone(), agree, finality, head_age, least_tip })
    }

    fn validate(self, adapters: &Adapters) -> Result<ChainSettings, ConfigError> {
        let rules = adapters.rules(&self.id).or_else(|error| invalid(format!("chain.id: {error}")))?;
        let access = self.access()?;
        chain_clients::connect(&self.id, &access, None).or_else(|error| invalid(format!("chain.nodes: {error}")))?;
        if self.assets.is_empty() {
            return invalid("chain.assets is empty: nothing could be paid");
        }
        let (mut symbols, mut contracts) = (BTreeSet::new(), BTreeSet::new());
        let mut assets = Vec::new();
        for AssetConfig { symbol, asset, .. } in self.assets {
            let contract = match asset.as_str() {
                "native" => None,
                address => Some(rules.address(address).or_else(|error| {
                    invalid(format!("chain.assets: {symbol} is neither 'native' nor a contract: {error}"))
                })?),
            };
            let taken = symbol.parse().map_or(true, |symbol: Symbol| !symbols.insert(symbol));
            if taken || !contracts.insert(contract.clone()) {
                return invalid(format!("chain.assets: '{symbol}' is empty or listed twice"));
            }
            assets.push(Asset { symbol, contract });
        }
        Ok(ChainSettings { rules, access, assets: Assets::new(assets) })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    text_file::read(path).map_err(|error| ConfigError::file(path, error))
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Invalid(message.into()))
}
