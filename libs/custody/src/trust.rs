//! The trust bundle: what a data centre's admin has decided, in ConfigMap `multisig-trust`. The hub may read it and
//! can never write it; a workload believes nothing else about Vault, peers, floors or images.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use data_encoding::HEXLOWER;
use nkeys::XKey;
use serde::{Deserialize, Serialize};

use crate::{CustodyId, Role, fingerprint};

/// Name of the ConfigMap in the member's namespace.
pub const CONFIG_MAP: &str = "multisig-trust";
/// Key in that ConfigMap's data; the value is [`TrustBundle`] as JSON.
pub const KEY: &str = "trust.json";
/// The shape of this document, of StatefulSets and of guard policies that this build speaks.
pub const SHAPE_VERSION: u32 = 1;
/// Keys accepted per peer: the present one and, while it is being rotated, the next.
pub const MAX_KEYS_PER_PEER: usize = 2;

/// How strictly the installation is held to the design. Both sides and the hub must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// Guard, floor and observer are required.
    Production,
    /// For trying it out: guard optional, no observer needed.
    Development,
}

/// Everything the data centre's admin decides. Written by `multisig member prepare` and `member approve` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustBundle {
    /// [`SHAPE_VERSION`] of the writer.
    pub shape_version: u32,
    /// Must equal the profile of the MultisigCluster.
    pub profile: Profile,
    /// The signer that lives here: keeper or cooler.
    pub role: Role,
    /// Must equal `MemberCluster.spec.dataCenter`.
    pub data_center: String,
    /// This data centre's own Vault. The only part that a workload needs to start.
    pub vault: VaultTrust,
    /// The custody served here; absent until the ceremonies are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custody: Option<CustodyTrust>,
    /// Approved keys per peer role, at most [`MAX_KEYS_PER_PEER`] each.
    #[serde(default)]
    pub peers: BTreeMap<Role, Vec<PeerKeys>>,
    /// The policy floor; absent means: refuse every payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Floor>,
    /// What seals the users' keys here. Keeper only; Cooler's key is always sealed by the Vault.
    #[serde(default, skip_serializing_if = "KeyProtection::is_default")]
    pub keys: KeyProtection,
    /// Image digests (`sha256:...`) that may run here.
    #[serde(default)]
    pub images: Vec<String>,
}

/// What seals the users' keys at rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyProtection {
    /// The data centre's own Vault (Transit).
    #[default]
    Vault,
    /// A key that App sends with each request: without it the database is worthless.
    ClientKey,
}

impl KeyProtection {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where the Vault is and how to log in with a projected service-account token (Vault JWT auth).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VaultTrust {
    /// `https://host:port`.
    pub address: String,
    /// PEM of the only roots accepted for that address.
    pub ca_bundle: String,
    /// Path of the JWT auth mount, one per member cluster.
    pub auth_mount: String,
    /// Role at that mount.
    pub role: String,
    /// Audience of the projected token.
    pub audience: String,
    /// Path of the Transit mount.
    pub transit_mount: String,
    /// Transit key: `<namespace>.<serviceaccount>`.
    pub key: String,
}

/// Which custody, pinned to the exact manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustodyTrust {
    /// The custody's identity.
    pub id: CustodyId,
    /// SHA-256 of the signed manifest's payload bytes, lower-case hex ([`crate::manifest::SignedManifest::digest`]).
    pub manifest_digest: String,
}

/// A peer's approved public keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeerKeys {
    /// ed25519 key that signs its messages (RFC 8032), 64 hex digits.
    pub message_key: String,
    /// X25519 key that its messages are sealed to: a NATS XKey, `X...`.
    pub xkey: String,
}

/// What no hub and no App can exceed. Amounts are in the asset's smallest unit (wei), decimal strings; times are
/// seconds of the signer's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Floor {
    /// Every asset that may move, with its limits. An asset that is not here never moves.
    pub assets: Vec<AssetFloor>,
    /// Where payments may go; absent: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destinations: Option<Destinations>,
    /// Operation kinds that are signed; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<BTreeSet<OperationKind>>,
    /// Highest fee that a signed transaction may offer, by chain; a chain that is not here: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<FeeCeiling>,
    /// Who signs intents: ed25519 public keys (RFC 8032), 64 hex digits, that App does not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intent_signers: Vec<String>,
    /// How long this floor goes on to hold after a looser one was written, seconds. A stricter one holds at once.
    #[serde(default)]
    pub loosening_delay_seconds: u64,
}

/// One asset and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssetFloor {
    /// CAIP-2 chain id, for example `eip155:1`.
    pub chain: String,
    /// Symbol that people and the hub's policy use, unique per chain.
    pub symbol: String,
    /// `native`, or the contract's address (0x hex).
    pub asset: String,
    /// Decimals of the smallest unit, for people.
    pub decimals: u8,
    /// Highest amount of one payment, decimal string in the smallest unit.
    pub per_transaction: String,
    /// Highest sum of one wallet's payments in a rolling window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_wallet: Option<Rolling>,
    /// Highest sum of all wallets' payments in a rolling window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Rolling>,
    /// Payments that wait, and can be vetoed meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_lock: Option<TimeLock>,
    /// Above this amount a payment needs an intent signed by one of [`Floor::intent_signers`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent_above: Option<String>,
}

/// A limit over time. An amount counts from its signature until its settlement is attested, and a window longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rolling {
    /// Highest sum, decimal string in the smallest unit.
    pub amount: String,
    /// Length of the window, seconds.
    pub window_seconds: u64,
}

/// Large payments wait before they are signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeLock {
    /// Payments above this amount wait, decimal string in the smallest unit.
    pub above: String,
    /// How long, seconds.
    pub delay_seconds: u64,
}

/// The destinations that payments may go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destinations {
    /// All of them.
    pub allow: Vec<Destination>,
    /// How long after it was first seen here a destination is not yet paid to, seconds.
    #[serde(default)]
    pub cooling_seconds: u64,
}

/// A destination on a chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// CAIP-2 chain id.
    pub chain: String,
    /// In the chain's display form.
    pub address: String,
}

/// The highest fee on a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeeCeiling {
    /// CAIP-2 chain id.
    pub chain: String,
    /// Highest fee of one transaction in the native coin's smallest unit, decimal string.
    pub ceiling: String,
}

/// Kinds of operation that a signer can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OperationKind {
    /// Moves one asset to one destination.
    Transfer,
    /// Uses up a nonce, moves nothing.
    Cancel,
}

impl OperationKind {
    /// All kinds.
    pub const ALL: [OperationKind; 2] = [OperationKind::Transfer, OperationKind::Cancel];
}

/// Longest window, delay and cooling time, seconds: a leap year.
pub const MAX_SECONDS: u64 = 366 * 24 * 3600;
/// Most destinations, and most intent signers, of a floor.
pub const MAX_DESTINATIONS: usize = 4096;
/// See [`MAX_DESTINATIONS`].
pub const MAX_INTENT_SIGNERS: usize = 16;

/// Why a trust bundle was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrustError {
    /// Not the JSON expected.
    #[error("malformed {KEY} in ConfigMap {CONFIG_MAP}: {0}; write it again with `multisig member prepare`")]
    Malformed(String),
    /// Written for another build.
    #[error(
        "{KEY} has shape version {0}, this build reads {SHAPE_VERSION} only; run this version's `multisig member prepare`"
    )]
    UnknownVersion(u64),
    /// Readable, but contradictory.
    #[error("invalid {KEY}: {0}")]
    Invalid(String),
}

/// What an operation needs and the bundle does not have yet, in plain words.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("the trust bundle is not complete: {}", .0.join("; "))]
pub struct Missing(pub Vec<String>);

/// A bundle with which operations may be served. There is no other way to make one than [`TrustBundle::complete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteTrust {
    bundle: TrustBundle,
    custody: CustodyTrust,
    floor: Floor,
}

impl CompleteTrust {
    /// The whole bundle.
    pub fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }

    /// The custody served here.
    pub fn custody(&self) -> &CustodyTrust {
        &self.custody
    }

    /// The policy floor.
    pub fn floor(&self) -> &Floor {
        &self.floor
    }

    /// Approved keys of a peer; empty for a role that nobody approved.
    pub fn peers(&self, role: Role) -> &[PeerKeys] {
        self.bundle.peers.get(&role).map_or(&[], Vec::as_slice)
    }
}

impl TrustBundle {
    /// Reads and validates `trust.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            shape_version: u64,
        }
        let malformed = |error: serde_json::Error| TrustError::Malformed(error.to_string());
        let Versioned { shape_version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if shape_version != u64::from(SHAPE_VERSION) {
            return Err(TrustError::UnknownVersion(shape_version));
        }
        let bundle: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        bundle.validate()?;
        Ok(bundle)
    }

    /// For the ConfigMap.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("the bundle has string keys only");
        text.push('\n');
        text
    }

    /// Whether what is there is well-formed; what is absent is for [`Self::complete`].
    pub fn validate(&self) -> Result<(), TrustError> {
        if self.shape_version != SHAPE_VERSION {
            return Err(TrustError::UnknownVersion(self.shape_version.into()));
        }
        if !matches!(self.role, Role::Keeper | Role::Cooler) {
            return invalid(format!(
                "role is {}, but only keeper and cooler live in a data centre of their own",
                self.role
            ));
        }
        if self.data_center.is_empty() {
            return invalid("dataCenter is empty");
        }
        self.vault.validate()?;
        if let Some(custody) = &self.custody {
            check_digest("custody.manifestDigest", &custody.manifest_digest)?;
        }
        self.validate_peers()?;
        if let Some(floor) = &self.floor {
            floor.validate()?;
        }
        for image in &self.images {
            let Some(hex) = image.strip_prefix("sha256:") else {
                return invalid(format!("images: '{image}' is no image digest; expected sha256: and 64 hex digits"));
            };
            check_digest("images", hex)?;
        }
        Ok(())
    }

    /// The bundle with which operations may be served, or all that is missing.
    pub fn complete(&self) -> Result<CompleteTrust, Missing> {
        let other = if self.role == Role::Keeper { Role::Cooler } else { Role::Keeper };
        let mut needed = vec![other, Role::App];
        if self.profile == Profile::Production {
            needed.push(Role::Observer);
        }
        let mut missing = Vec::new();
        if self.custody.is_none() {
            missing.push("no custody is pinned: run `multisig member prepare` with the signed manifest".to_owned());
        }
        for role in needed {
            if self.peers.get(&role).is_none_or(Vec::is_empty) {
                missing.push(format!("{role} is not approved: run `multisig member approve {role}`"));
            }
        }
        match &self.floor {
            None => missing
                .push("no policy floor: run `multisig member prepare` with the assets and their limits".to_owned()),
            Some(floor) if self.profile == Profile::Production => missing.extend(floor.missing_in_production()),
            Some(_) => {}
        }
        match (&self.custody, &self.floor) {
            (Some(custody), Some(floor)) if missing.is_empty() => {
                Ok(CompleteTrust { bundle: self.clone(), custody: custody.clone(), floor: floor.clone() })
            }
            _ => Err(Missing(missing)),
        }
    }

    /// Known roles, well-formed keys, and no key twice: a key that speaks for two roles would speak for neither.
    fn validate_peers(&self) -> Result<(), TrustError> {
        let mut seen = BTreeSet::new();
        for (role, keys) in &self.peers {
            if *role == self.role {
                return invalid(format!("peers names {role}, which is the signer itself"));
            }
            if keys.len() > MAX_KEYS_PER_PEER {
                return invalid(format!("{role} has {} keys, at most {MAX_KEYS_PER_PEER} may be approved", keys.len()));
            }
            for key in keys {
                key.validate().map_err(|why| TrustError::Invalid(format!("the keys of peer {role}: {why}")))?;
                if !seen.insert(&key.message_key) || !seen.insert(&key.xkey) {
                    return invalid(format!("a key of {role} is approved twice"));
                }
            }
        }
        Ok(())
    }
}

impl VaultTrust {
    /// Every field is there and the address is TLS.
    pub fn validate(&self) -> Result<(), TrustError> {
        let Self { address, ca_bundle, auth_mount, role, audience, transit_mount, key } = self;
        if !address.starts_with("https://") {
            return invalid(format!("vault.address is '{address}'; expected https://host:port"));
        }
        if !ca_bundle.contains("-----BEGIN CERTIFICATE-----") {
            return invalid("vault.caBundle holds no PEM certificate");
        }
        let names = [
            ("authMount", auth_mount),
            ("role", role),
            ("audience", audience),
            ("transitMount", transit_mount),
            ("key", key),
        ];
        match names.iter().find(|(_, value)| value.is_empty()) {
            Some((field, _)) => invalid(format!("vault.{field} is empty")),
            None => Ok(()),
        }
    }
}

impl PeerKeys {
    /// Whether both keys are keys of their kind.
    pub fn validate(&self) -> Result<(), String> {
        let message =
            fingerprint::message_key(self).map_err(|_| "messageKey is no ed25519 key in 64 hex digits".to_owned())?;
        if message.is_weak() {
            return Err("messageKey is a weak key".to_owned());
        }
        XKey::from_public_key(&self.xkey).map(drop).map_err(|_| "xkey is no X... key".to_owned())
    }
}

impl AssetFloor {
    /// An asset with its highest amount of one payment and no other limit.
    pub fn new(chain: &str, symbol: &str, asset: &str, decimals: u8, per_transaction: &str) -> Self {
        Self {
            chain: chain.to_owned(),
            symbol: symbol.to_owned(),
            asset: asset.to_owned(),
            decimals,
            per_transaction: per_transaction.to_owned(),
            per_wallet: None,
            total: None,
            time_lock: None,
            intent_above: None,
        }
    }

    fn validate(&self) -> Result<(), TrustError> {
        let Self { chain, symbol, asset, decimals: _, per_transaction, per_wallet, total, time_lock, intent_above } =
            self;
        check_chain(chain)?;
        if !is_symbol(symbol) {
            return invalid(format!(
                "floor: symbol {symbol:?} on {chain} must have 1 to 32 characters of a-z, A-Z, 0-9, '.', '-' and '_'"
            ));
        }
        if asset != "native" && !is_contract(asset) {
            return invalid(format!("floor: asset '{asset}' is neither native nor 0x and 40 hex digits"));
        }
        check_amount(symbol, "perTransaction", per_transaction)?;
        for (name, rolling) in [("perWallet", per_wallet), ("total", total)] {
            if let Some(Rolling { amount, window_seconds }) = rolling {
                check_amount(symbol, name, amount)?;
                check_seconds(&format!("{name}.windowSeconds of {symbol}"), *window_seconds, 1)?;
            }
        }
        if let Some(TimeLock { above, delay_seconds }) = time_lock {
            check_amount(symbol, "timeLock.above", above)?;
            check_seconds(&format!("timeLock.delaySeconds of {symbol}"), *delay_seconds, 1)?;
        }
        intent_above.iter().try_for_each(|above| check_amount(symbol, "intentAbove", above))
    }
}

impl Floor {
    /// Limits of these assets and nothing else.
    pub fn new(assets: Vec<AssetFloor>) -> Self {
        Self {
            assets,
            destinations: None,
            kinds: None,
            fees: Vec::new(),
            intent_signers: Vec::new(),
            loosening_delay_seconds: 0,
        }
    }

    /// At least one asset, all well-formed, none named twice.
    pub fn validate(&self) -> Result<(), TrustError> {
        let Self { assets, destinations, kinds, fees, intent_signers, loosening_delay_seconds } = self;
        if assets.is_empty() {
            return invalid("the floor names no asset");
        }
        let (mut symbols, mut contracts) = (BTreeSet::new(), BTreeSet::new());
        for asset in assets {
            asset.validate()?;
            let AssetFloor { chain, symbol, asset, .. } = asset;
            if !symbols.insert((chain, symbol)) || !contracts.insert((chain, asset.to_ascii_lowercase())) {
                return invalid(format!("floor: {symbol} on {chain} is named twice"));
            }
        }
        if let Some(Destinations { allow, cooling_seconds }) = destinations {
            if allow.len() > MAX_DESTINATIONS {
                return invalid(format!("floor: {} destinations, at most {MAX_DESTINATIONS} are held", allow.len()));
            }
            allow.iter().try_for_each(|destination| check_chain(&destination.chain))?;
            check_seconds("destinations.coolingSeconds", *cooling_seconds, 0)?;
        }
        if kinds.as_ref().is_some_and(BTreeSet::is_empty) {
            return invalid("floor: kinds is empty, so nothing would ever be signed; leave it out or name some");
        }
        let mut chains = BTreeSet::new();
        for FeeCeiling { chain, ceiling } in fees {
            check_chain(chain)?;
            check_amount(chain, "fees.ceiling", ceiling)?;
            if !chains.insert(chain) {
                return invalid(format!("floor: the fee on {chain} is named twice"));
            }
        }
        check_intent_signers(intent_signers)?;
        if intent_signers.is_empty() && assets.iter().any(|asset| asset.intent_above.is_some()) {
            return invalid("floor: intentAbove needs intentSigners, else nothing above it could ever be paid");
        }
        check_seconds("looseningDelaySeconds", *loosening_delay_seconds, 0)
    }

    /// What profile Production wants of a floor beyond its being there.
    fn missing_in_production(&self) -> Vec<String> {
        let unlimited = self.assets.iter().filter(|asset| asset.per_wallet.is_none() || asset.total.is_none());
        let mut missing: Vec<String> = unlimited
            .map(|AssetFloor { symbol, chain, .. }| {
                format!("the floor has no perWallet or no total limit for {symbol} on {chain}: run `multisig member prepare` with both")
            })
            .collect();
        if self.loosening_delay_seconds == 0 {
            missing
                .push("the floor has no looseningDelaySeconds: run `multisig member prepare` with a delay".to_owned());
        }
        missing
    }
}

fn check_intent_signers(signers: &[String]) -> Result<(), TrustError> {
    if signers.len() > MAX_INTENT_SIGNERS {
        return invalid(format!("floor: {} intent signers, at most {MAX_INTENT_SIGNERS} are held", signers.len()));
    }
    let mut seen = BTreeSet::new();
    for signer in signers {
        match fingerprint::ed25519_key(signer) {
            Some(key) if !key.is_weak() => {}
            _ => return invalid(format!("floor: intent signer '{signer}' is no ed25519 key in 64 hex digits")),
        }
        if !seen.insert(signer) {
            return invalid(format!("floor: intent signer '{signer}' is named twice"));
        }
    }
    Ok(())
}

fn check_chain(chain: &str) -> Result<(), TrustError> {
    match chain.split_once(':') {
        Some((namespace, reference)) if !namespace.is_empty() && !reference.is_empty() => Ok(()),
        _ => invalid(format!("floor: '{chain}' is no chain id; expected for example eip155:1")),
    }
}

fn check_amount(of: &str, field: &str, amount: &str) -> Result<(), TrustError> {
    if is_amount(amount) {
        return Ok(());
    }
    invalid(format!("floor: {field} '{amount}' of {of} is no whole number of the smallest unit below 2^256"))
}

fn check_seconds(field: &str, seconds: u64, least: u64) -> Result<(), TrustError> {
    if (least..=MAX_SECONDS).contains(&seconds) {
        return Ok(());
    }
    invalid(format!("floor: {field} is {seconds}; expected {least} to {MAX_SECONDS} seconds"))
}

/// Whether `text` may name an asset: 1 to 32 characters of `a-z`, `A-Z`, `0-9`, `.`, `-`, `_`. People read symbols on
/// terminals, which obey what they are sent.
pub fn is_symbol(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// Whether `text` is an amount: decimal digits without leading zeros, below 2^256.
pub fn is_amount(text: &str) -> bool {
    const MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    digits && canonical && (text.len() < MAX.len() || (text.len() == MAX.len() && text <= MAX))
}

fn is_contract(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn check_digest(field: &str, hex: &str) -> Result<(), TrustError> {
    match HEXLOWER.decode(hex.as_bytes()) {
        Ok(bytes) if bytes.len() == 32 => Ok(()),
        _ => invalid(format!("{field}: '{hex}' is no SHA-256 digest in 64 lower-case hex digits")),
    }
}

fn invalid<T>(why: impl fmt::Display) -> Result<T, TrustError> {
    Err(TrustError::Invalid(why.to_string()))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    use super::*;

    fn peer(byte: u8) -> PeerKeys {
        PeerKeys {
            message_key: HEXLOWER.encode(SigningKey::from_bytes(&[byte; 32]).verifying_key().as_bytes()),
            xkey: XKey::new_from_raw([byte; 32]).public_key(),
        }
    }

    fn asset(chain: &str, symbol: &str, asset: &str) -> AssetFloor {
        AssetFloor::new(chain, symbol, asset, 18, "1000")
    }

    fn bundle() -> TrustBundle {
        TrustBundle {
            shape_version: SHAPE_VERSION,
            profile: Profile::Development,
            role: Role::Keeper,
            data_center: "fra-1".into(),
            vault: VaultTrust {
                address: "https://vault:8200".into(),
                ca_bundle: "-----BEGIN CERTIFICATE-----\n".into(),
                auth_mount: "jwt-a".into(),
                role: "keeper".into(),
                audience: "vault-a".into(),
                transit_mount: "transit".into(),
                key: "custody-keeper.keeper".into(),
            },
            custody: Some(CustodyTrust {
                id: CustodyId::from_slice(&[1; 16]).unwrap(),
                manifest_digest: "ab".repeat(32),
            }),
            peers: [(Role::Cooler, vec![peer(1)]), (Role::App, vec![peer(2), peer(3)])].into(),
            floor: Some(Floor::new(vec![asset("eip155:1", "ETH", "native")])),
            keys: KeyProtection::Vault,
            images: vec![format!("sha256:{}", "cd".repeat(32))],
        }
    }

    fn refused(change: impl FnOnce(&mut TrustBundle)) -> String {
        let mut changed = bundle();
        change(&mut changed);
        TrustBundle::parse(changed.to_json().as_bytes()).unwrap_err().to_string()
    }

    fn missing(change: impl FnOnce(&mut TrustBundle)) -> String {
        let mut changed = bundle();
        change(&mut changed);
        changed.validate().unwrap();
        changed.complete().unwrap_err().to_string()
    }

    fn floor(assets: Vec<AssetFloor>) -> String {
        refused(|bundle| bundle.floor = Some(Floor::new(assets)))
    }

    #[test]
    fn a_bundle_travels_as_json() {
        assert_eq!(TrustBundle::parse(bundle().to_json().as_bytes()), Ok(bundle()));
    }

    #[test]
    fn a_complete_bundle_shows_what_operations_need() {
        let complete = bundle().complete().unwrap();
        assert_eq!(complete.custody().manifest_digest, "ab".repeat(32));
        assert_eq!(complete.peers(Role::App), [peer(2), peer(3)]);
        assert!(complete.peers(Role::Observer).is_empty());
        assert_eq!(complete.floor().assets.len(), 1);
        assert_eq!(complete.bundle(), &bundle());
    }

    #[test]
    fn the_vault_part_alone_is_a_bundle_that_names_all_it_lacks() {
        let error = missing(|bundle| {
            bundle.custody = None;
            bundle.peers.clear();
            bundle.floor = None;
        });
        for part in ["no custody is pinned", "cooler is not approved", "app is not approved", "no policy floor"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn each_missing_part_is_named() {
        assert!(missing(|bundle| bundle.custody = None).contains("custody"));
        assert!(missing(|bundle| drop(bundle.peers.remove(&Role::App))).contains("member approve app"));
        assert!(missing(|bundle| drop(bundle.peers.insert(Role::Cooler, vec![]))).contains("member approve cooler"));
        assert!(missing(|bundle| bundle.floor = None).contains("floor"));
        assert!(missing(|bundle| bundle.profile = Profile::Production).contains("member approve observer"));
    }

    #[test]
    fn a_cooler_needs_keeper_and_app() {
        let mut cooler = TrustBundle { role: Role::Cooler, ..bundle() };
        cooler.peers = [(Role::Keeper, vec![peer(1)]), (Role::App, vec![peer(2)])].into();
        cooler.validate().unwrap();
        cooler.complete().unwrap();
        cooler.peers.remove(&Role::Keeper);
        assert!(cooler.complete().unwrap_err().to_string().contains("keeper is not approved"));
    }

    #[test]
    fn another_version_and_unknown_fields_are_refused() {
        assert_eq!(TrustBundle::parse(br#"{"shapeVersion":2,"new":1}"#), Err(TrustError::UnknownVersion(2)));
        let extra = bundle().to_json().replacen('{', r#"{"extra":1,"#, 1);
        assert!(TrustBundle::parse(extra.as_bytes()).unwrap_err().to_string().contains("unknown field `extra`"));
        assert!(matches!(TrustBundle::parse(b"not json"), Err(TrustError::Malformed(_))));
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        assert!(refused(|bundle| bundle.role = Role::App).contains("only keeper and cooler"));
        assert!(refused(|bundle| bundle.data_center.clear()).contains("dataCenter"));
        assert!(refused(|bundle| bundle.vault.address = "http://vault".into()).contains("https://"));
        assert!(refused(|bundle| bundle.vault.ca_bundle.clear()).contains("caBundle"));
        assert!(refused(|bundle| bundle.vault.key.clear()).contains("vault.key"));
        assert!(refused(|bundle| bundle.images = vec!["latest".into()]).contains("'latest' is no image digest"));
        assert!(refused(|bundle| bundle.images = vec!["sha256:12".into()]).contains("SHA-256"));
        let digest = |bundle: &mut TrustBundle| bundle.custody.as_mut().unwrap().manifest_digest = "AB".repeat(32);
        assert!(refused(digest).contains("manifestDigest"));
    }

    #[test]
    fn peers_are_others_with_keys_of_their_own() {
        let peers = |role, keys: Vec<PeerKeys>| refused(|bundle| drop(bundle.peers.insert(role, keys)));
        assert!(peers(Role::Keeper, vec![peer(9)]).contains("the signer itself"));
        assert!(peers(Role::App, vec![peer(4), peer(5), peer(6)]).contains("at most 2"));
        assert!(peers(Role::App, vec![peer(1)]).contains("approved twice"), "Cooler's keys as App's");
        assert!(peers(Role::App, vec![PeerKeys { xkey: peer(1).xkey, ..peer(2) }]).contains("approved twice"));
        assert!(peers(Role::App, vec![PeerKeys { xkey: "X".into(), ..peer(2) }]).contains("xkey"));
        assert!(peers(Role::App, vec![PeerKeys { message_key: "00".into(), ..peer(2) }]).contains("messageKey"));
        let weak = PeerKeys { message_key: format!("01{}", "00".repeat(31)), ..peer(2) };
        assert!(peers(Role::App, vec![weak]).contains("weak"));
    }

    #[test]
    fn every_part_of_a_floor_is_held_to_its_range() {
        let changed = |change: fn(&mut Floor)| refused(|bundle| change(bundle.floor.as_mut().unwrap()));
        assert!(
            changed(|f| f.assets[0].per_wallet = Some(Rolling { amount: "x".into(), window_seconds: 1 }))
                .contains("perWallet")
        );
        assert!(
            changed(|f| f.assets[0].total = Some(Rolling { amount: "1".into(), window_seconds: 0 }))
                .contains("total.windowSeconds")
        );
        assert!(
            changed(|f| f.assets[0].time_lock = Some(TimeLock { above: "1".into(), delay_seconds: MAX_SECONDS + 1 }))
                .contains("timeLock")
        );
        assert!(changed(|f| f.assets[0].intent_above = Some("1".into())).contains("intentSigners"));
        assert!(changed(|f| f.intent_signers = vec!["00".into()]).contains("no ed25519 key"));
        assert!(changed(|f| f.intent_signers = vec![peer(7).message_key; 2]).contains("named twice"));
        assert!(changed(|f| f.kinds = Some(BTreeSet::new())).contains("kinds is empty"));
        assert!(
            changed(|f| f.fees = vec![FeeCeiling { chain: "eip155:1".into(), ceiling: "-1".into() }])
                .contains("fees.ceiling")
        );
        assert!(
            changed(|f| f.destinations = Some(Destinations {
                allow: vec![Destination { chain: "x".into(), address: "0x".into() }],
                cooling_seconds: 0
            }))
            .contains("chain id")
        );
        assert!(changed(|f| f.loosening_delay_seconds = MAX_SECONDS + 1).contains("looseningDelaySeconds"));
    }

    #[test]
    fn production_wants_rolling_limits_and_a_delay() {
        let error = missing(|bundle| {
            bundle.profile = Profile::Production;
            bundle.peers.insert(Role::Observer, vec![peer(9)]);
        });
        assert!(error.contains("no perWallet or no total") && error.contains("looseningDelaySeconds"), "{error}");
    }

    #[test]
    fn a_floor_names_each_asset_once_and_exactly() {
        let eth = || asset("eip155:1", "ETH", "native");
        assert!(floor(vec![]).contains("no asset"));
        assert!(floor(vec![asset("eip155", "ETH", "native")]).contains("chain id"));
        for symbol in ["", "E\u{1b}[2J", "U S", &"x".repeat(33)] {
            assert!(floor(vec![asset("eip155:1", symbol, "native")]).contains("symbol"));
        }
        assert!(floor(vec![asset("eip155:1", "USD", "0x12")]).contains("40 hex digits"));
        assert!(floor(vec![eth(), asset("eip155:1", "ETH", &format!("0x{}", "aa".repeat(20)))]).contains("twice"));
        assert!(floor(vec![eth(), asset("eip155:1", "ETH2", "native")]).contains("twice"));
        for amount in ["", "1.5", "-1", "01", "1e18", &"9".repeat(78)] {
            let bad = AssetFloor { per_transaction: amount.into(), ..eth() };
            assert!(floor(vec![bad]).contains("perTransaction"), "{amount}");
        }
        assert_eq!(Floor::new(vec![eth(), asset("eip155:2", "ETH", "native")]).validate(), Ok(()));
    }

    proptest! {
        #[test]
        fn the_reader_never_panics(text in ".{0,200}") {
            prop_assert!(TrustBundle::parse(text.as_bytes()).is_err());
        }
    }
}
