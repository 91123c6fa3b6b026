//! The configuration file: what App's owner decides, and thereby all that App believes. Read once, at the start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use chain::{Access, Amount, Asset, ChainId, ChainRules, Finality, RelayLimits};
use chain_adapters::Adapters;
use custody::{
    CustodyId, Role,
    identity::PeerKeys,
    manifest::{ManifestError, SignedManifest, VerifiedManifest},
    trust::{CustodyTrust, MAX_KEYS_PER_PEER},
};
use serde::Deserialize;

use crate::domain::{Assets, Symbol};

/// Wei.
const GWEI: u128 = 1_000_000_000;

/// What the file says, word for word.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// Address and port of the HTTP API.
    listen: SocketAddr,
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
    #[error("malformed configuration {}: {error}", path.display())]
    Malformed { path: PathBuf, error: serde_json::Error },
    #[error("invalid configuration: {0}")]
    Invalid(String),
    #[error("{}: {error}", path.display())]
    Manifest { path: PathBuf, error: ManifestError },
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
        Ok(Settings {
            listen: self.listen,
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
        let Self { nodes, agree, finality, .. } = self;
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
        Ok(Access { nodes: nodes.clone(), agree, finality })
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
                address => Some(rules.address(address).or_else(|_| {
                    invalid(format!("chain.assets: '{address}' is neither 'native' nor the address of a contract"))
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
    fs::read(path).map_err(|error| ConfigError::Read { path: path.to_owned(), error })
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Invalid(message.into()))
}
