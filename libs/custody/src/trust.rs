//! The member trust: what a data centre's admin has decided, in ConfigMap `multisig-trust`. The hub may read it and
//! can never write it; a workload believes nothing else about Vault, peers, local policies or images.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    CustodyId, Role,
    error::{TrustError, check_digest, invalid},
    identity::PeerKeys,
    local_policy::LocalPolicy,
};

/// Name of the ConfigMap in the member's namespace.
pub const CONFIG_MAP: &str = "multisig-trust";
/// Key in that ConfigMap's data; the value is [`MemberTrust`] as JSON.
pub const KEY: &str = "trust.json";
/// The shape of this document, of StatefulSets and of guard policies that this build speaks.
pub const SHAPE_VERSION: u32 = 1;
/// Keys accepted per peer: the present one and, while it is being rotated, the next.
pub const MAX_KEYS_PER_PEER: usize = 2;

/// How strictly the installation is held to the design. Both sides and the hub must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// Guard, local policy and sentinel are required.
    Production,
    /// For trying it out: guard optional, no sentinel needed.
    Development,
}

/// Everything the data centre's admin decides. Written by `multisig member prepare` and `member approve` only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberTrust {
    /// [`SHAPE_VERSION`] of the writer.
    pub shape_version: u32,
    /// Must equal the profile of the MultisigCluster.
    pub profile: Profile,
    /// The role that runs here: keeper, cooler or sentinel.
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
    /// The local policy; absent means: refuse every payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_policy: Option<LocalPolicy>,
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

/// What the workload needs and the member trust does not have yet, in plain words.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("the member trust is not complete: {}", .0.join("; "))]
pub struct Missing(pub Vec<String>);

/// A signer's member trust with which operations may be served. There is no other way to make one than
/// [`MemberTrust::complete`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteTrust {
    trust: MemberTrust,
    custody: CustodyTrust,
    local_policy: LocalPolicy,
}

impl CompleteTrust {
    /// The whole member trust.
    pub fn trust(&self) -> &MemberTrust {
        &self.trust
    }

    /// The custody served here.
    pub fn custody(&self) -> &CustodyTrust {
        &self.custody
    }

    /// The local policy.
    pub fn local_policy(&self) -> &LocalPolicy {
        &self.local_policy
    }

    /// Approved keys of a peer; empty for a role that nobody approved.
    pub fn peers(&self, role: Role) -> &[PeerKeys] {
        self.trust.peers.get(&role).map_or(&[], Vec::as_slice)
    }
}

impl MemberTrust {
    /// Reads and validates `trust.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            shape_version: u64,
        }
        let bytes = text_file::unmarked(bytes).map_err(|error| TrustError::Malformed(error.to_string()))?;
        let malformed = |error: serde_json::Error| TrustError::Malformed(error.to_string());
        let Versioned { shape_version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if shape_version != u64::from(SHAPE_VERSION) {
            return Err(TrustError::UnknownVersion { found: shape_version, reads: SHAPE_VERSION });
        }
        let trust: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        trust.validate()?;
        Ok(trust)
    }

    /// For the ConfigMap.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("the member trust has string keys only");
        text.push('\n');
        text
    }

    /// Whether what is there is well-formed; what is absent is for [`Self::complete`].
    pub fn validate(&self) -> Result<(), TrustError> {
        if self.shape_version != SHAPE_VERSION {
            return Err(TrustError::UnknownVersion { found: self.shape_version.into(), reads: SHAPE_VERSION });
        }
        if !matches!(self.role, Role::Keeper | Role::Cooler | Role::Sentinel) {
            return invalid(format!(
                "role is {}, but only keeper, cooler and sentinel run in a data centre of their own",
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
        if let Some(local_policy) = &self.local_policy {
            local_policy.validate()?;
        }
        for image in &self.images {
            let Some(hex) = image.strip_prefix("sha256:") else {
                return invalid(format!(
                    "images: '{image}' is not an image digest; expected sha256: and 64 hex digits"
                ));
            };
            check_digest("images", hex)?;
        }
        Ok(())
    }

    /// All that the workload needs and does not have yet, in plain words.
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.custody.is_none() {
            missing.push("no custody is pinned: run `multisig member prepare` with the signed manifest".to_owned());
        }
        for role in self.needed_peers() {
            if self.peers.get(&role).is_none_or(Vec::is_empty) {
                missing.push(format!("{role} is not approved: run `multisig member approve {role}`"));
            }
        }
        match &self.local_policy {
            // It signs nothing, so there is nothing to limit.
            _ if self.role == Role::Sentinel => {}
            None => missing
                .push("no local policy: run `multisig member prepare` with the assets and their limits".to_owned()),
            Some(local_policy) if self.profile == Profile::Production => {
                missing.extend(local_policy.missing_in_production())
            }
            Some(_) => {}
        }
        missing
    }

    /// The member trust with which operations may be served, or all that is missing.
    pub fn complete(&self) -> Result<CompleteTrust, Missing> {
        let missing = self.missing();
        match (&self.custody, &self.local_policy) {
            _ if self.role == Role::Sentinel => Err(Missing(vec!["a sentinel serves no operations".to_owned()])),
            (Some(custody), Some(local_policy)) if missing.is_empty() => {
                Ok(CompleteTrust { trust: self.clone(), custody: custody.clone(), local_policy: local_policy.clone() })
            }
            _ => Err(Missing(missing)),
        }
    }

    /// Peers without which this role can't do its work.
    fn needed_peers(&self) -> Vec<Role> {
        let mut needed = match self.role {
            Role::Keeper => vec![Role::Cooler, Role::App],
            Role::Sentinel => return vec![Role::Keeper, Role::Cooler],
            Role::Cooler | Role::App => vec![Role::Keeper, Role::App],
        };
        if self.profile == Profile::Production {
            needed.push(Role::Sentinel);
        }
        needed
    }

    /// Known roles, well-formed keys, and no key twice: a key that speaks for two roles would speak for neither.
    fn validate_peers(&self) -> Result<(), TrustError> {
        let mut seen = BTreeSet::new();
        for (role, keys) in &self.peers {
            if *role == self.role {
                return invalid(format!("peers names {role}, which is the workload itself"));
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
            return invalid("vault.caBundle has no PEM certificate");
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

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    use data_encoding::HEXLOWER;
    use nkeys::XKey;

    use super::*;
    use crate::local_policy::{
        AssetLimits, Destination, Destinations, FeeCeiling, MAX_LAPSE_SECONDS, MAX_SECONDS, Rolling, TimeLock,
    };

    fn peer(byte: u8) -> PeerKeys {
        PeerKeys {
            message_key: HEXLOWER.encode(SigningKey::from_bytes(&[byte; 32]).verifying_key().as_bytes()),
            xkey: XKey::new_from_raw([byte; 32]).public_key(),
        }
    }

    fn asset(chain: &str, symbol: &str, asset: &str) -> AssetLimits {
        AssetLimits::new(chain, symbol, asset, 18, "1000")
    }

    fn trust() -> MemberTrust {
        MemberTrust {
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
            local_policy: Some(LocalPolicy::new(vec![asset("eip155:1", "ETH", "native")])),
            keys: KeyProtection::Vault,
            images: vec![format!("sha256:{}", "cd".repeat(32))],
        }
    }

    fn refused(change: impl FnOnce(&mut MemberTrust)) -> String {
        let mut changed = trust();
        change(&mut changed);
        MemberTrust::parse(changed.to_json().as_bytes()).unwrap_err().to_string()
    }

    fn missing(change: impl FnOnce(&mut MemberTrust)) -> String {
        let mut changed = trust();
        change(&mut changed);
        changed.validate().unwrap();
        changed.complete().unwrap_err().to_string()
    }

    fn local_policy(assets: Vec<AssetLimits>) -> String {
        refused(|trust| trust.local_policy = Some(LocalPolicy::new(assets)))
    }

    #[test]
    fn a_member_trust_travels_as_json() {
        assert_eq!(MemberTrust::parse(trust().to_json().as_bytes()), Ok(trust()));
    }

    #[test]
    fn a_complete_one_shows_what_operations_need() {
        let complete = trust().complete().unwrap();
        assert_eq!(complete.custody().manifest_digest, "ab".repeat(32));
        assert_eq!(complete.peers(Role::App), [peer(2), peer(3)]);
        assert!(complete.peers(Role::Sentinel).is_empty());
        assert_eq!(complete.local_policy().assets.len(), 1);
        assert_eq!(complete.trust(), &trust());
    }

    #[test]
    fn the_vault_part_alone_is_one_that_names_all_it_lacks() {
        let error = missing(|trust| {
            trust.custody = None;
            trust.peers.clear();
            trust.local_policy = None;
        });
        for part in ["no custody is pinned", "cooler is not approved", "app is not approved", "no local policy"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn each_missing_part_is_named() {
        assert!(missing(|trust| trust.custody = None).contains("custody"));
        assert!(missing(|trust| drop(trust.peers.remove(&Role::App))).contains("member approve app"));
        assert!(missing(|trust| drop(trust.peers.insert(Role::Cooler, vec![]))).contains("member approve cooler"));
        assert!(missing(|trust| trust.local_policy = None).contains("no local policy"));
        assert!(missing(|trust| trust.profile = Profile::Production).contains("member approve sentinel"));
    }

    #[test]
    fn a_cooler_needs_keeper_and_app() {
        let mut cooler = MemberTrust { role: Role::Cooler, ..trust() };
        cooler.peers = [(Role::Keeper, vec![peer(1)]), (Role::App, vec![peer(2)])].into();
        cooler.validate().unwrap();
        cooler.complete().unwrap();
        cooler.peers.remove(&Role::Keeper);
        assert!(cooler.complete().unwrap_err().to_string().contains("keeper is not approved"));
    }

    #[test]
    fn a_sentinel_needs_both_signers_and_no_local_policy_and_serves_no_operations() {
        let mut sentinel = MemberTrust { role: Role::Sentinel, local_policy: None, ..trust() };
        sentinel.peers = [(Role::Keeper, vec![peer(1)]), (Role::Cooler, vec![peer(2)])].into();
        for profile in [Profile::Development, Profile::Production] {
            sentinel.profile = profile;
            assert_eq!(MemberTrust::parse(sentinel.to_json().as_bytes()), Ok(sentinel.clone()));
            assert_eq!(sentinel.missing(), Vec::<String>::new(), "App's approval is optional");
            assert!(sentinel.complete().unwrap_err().to_string().contains("a sentinel serves no operations"));
        }
        sentinel.peers.clear();
        sentinel.custody = None;
        let missing = sentinel.missing().join("; ");
        for part in ["no custody is pinned", "keeper is not approved", "cooler is not approved"] {
            assert!(missing.contains(part), "{missing}");
        }
        assert_eq!(sentinel.missing().len(), 3, "{missing}");
        sentinel.peers.insert(Role::Sentinel, vec![peer(9)]);
        assert!(sentinel.validate().unwrap_err().to_string().contains("the workload itself"));
    }

    #[test]
    fn another_version_and_unknown_fields_are_refused() {
        assert_eq!(
            MemberTrust::parse(br#"{"shapeVersion":2,"new":1}"#),
            Err(TrustError::UnknownVersion { found: 2, reads: 1 })
        );
        let extra = trust().to_json().replacen('{', r#"{"extra":1,"#, 1);
        assert!(MemberTrust::parse(extra.as_bytes()).unwrap_err().to_string().contains("unknown field `extra`"));
        assert!(matches!(MemberTrust::parse(b"not json"), Err(TrustError::Malformed(_))));
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        assert!(refused(|trust| trust.role = Role::App).contains("only keeper, cooler and sentinel"));
        assert!(refused(|trust| trust.data_center.clear()).contains("dataCenter"));
        assert!(refused(|trust| trust.vault.address = "http://vault".into()).contains("https://"));
        assert!(refused(|trust| trust.vault.ca_bundle.clear()).contains("caBundle"));
        assert!(refused(|trust| trust.vault.key.clear()).contains("vault.key"));
        assert!(refused(|trust| trust.images = vec!["latest".into()]).contains("'latest' is not an image digest"));
        assert!(refused(|trust| trust.images = vec!["sha256:12".into()]).contains("SHA-256"));
        let digest = |trust: &mut MemberTrust| trust.custody.as_mut().unwrap().manifest_digest = "AB".repeat(32);
        assert!(refused(digest).contains("manifestDigest"));
    }

    #[test]
    fn peers_are_others_with_keys_of_their_own() {
        let peers = |role, keys: Vec<PeerKeys>| refused(|trust| drop(trust.peers.insert(role, keys)));
        assert!(peers(Role::Keeper, vec![peer(9)]).contains("the workload itself"));
        assert!(peers(Role::App, vec![peer(4), peer(5), peer(6)]).contains("at most 2"));
        assert!(peers(Role::App, vec![peer(1)]).contains("approved twice"), "Cooler's keys as App's");
        assert!(peers(Role::App, vec![PeerKeys { xkey: peer(1).xkey, ..peer(2) }]).contains("approved twice"));
        assert!(peers(Role::App, vec![PeerKeys { xkey: "X".into(), ..peer(2) }]).contains("xkey"));
        assert!(peers(Role::App, vec![PeerKeys { message_key: "00".into(), ..peer(2) }]).contains("messageKey"));
        let weak = PeerKeys { message_key: format!("01{}", "00".repeat(31)), ..peer(2) };
        assert!(peers(Role::App, vec![weak]).contains("weak"));
    }

    #[test]
    fn every_part_of_a_local_policy_is_held_to_its_range() {
        let changed = |change: fn(&mut LocalPolicy)| refused(|trust| change(trust.local_policy.as_mut().unwrap()));
        assert!(
            changed(|f| f.assets[0].per_wallet = Some(Rolling { amount: "x".into(), window_seconds: 1 }))
                .contains("perWallet")
        );
        assert!(
            changed(|f| f.assets[0].total = Some(Rolling { amount: "1".into(), window_seconds: 0 }))
                .contains("total.windowSeconds")
        );
        assert!(
            changed(|f| f.assets[0].time_lock = Some(TimeLock::new("1", MAX_SECONDS + 1)))
                .contains("timeLock.delaySeconds")
        );
        fn lapses(after: u64) -> Option<TimeLock> {
            Some(TimeLock { lapses_after_seconds: Some(after), ..TimeLock::new("1", 1) })
        }
        for refused in [
            changed(|f| f.assets[0].time_lock = lapses(0)),
            changed(|f| f.assets[0].time_lock = lapses(MAX_LAPSE_SECONDS + 1)),
        ] {
            assert!(refused.contains("timeLock.lapsesAfterSeconds"), "{refused}");
        }
        assert!(changed(|f| f.assets[0].intent_above = Some("1".into())).contains("intentSigners"));
        assert!(changed(|f| f.intent_signers = vec!["00".into()]).contains("not an ed25519 key"));
        assert!(changed(|f| f.intent_signers = vec![peer(7).message_key; 2]).contains("listed twice"));
        assert!(changed(|f| f.kinds = Some(BTreeSet::new())).contains("kinds is empty"));
        assert!(
            changed(|f| f.fees = vec![FeeCeiling { chain: "eip155:1".into(), ceiling: "-1".into() }])
                .contains("fees.ceiling")
        );
        assert!(
            changed(|f| f.destinations = Some(Destinations {
                allow: vec![Destination { chain: "x".into(), address: "0x".into() }],
                cooling_seconds: 0,
                internal: false
            }))
            .contains("chain id")
        );
        assert!(changed(|f| f.loosening_delay_seconds = MAX_SECONDS + 1).contains("looseningDelaySeconds"));
    }

    #[test]
    fn production_wants_rolling_limits_and_a_delay() {
        let error = missing(|trust| {
            trust.profile = Profile::Production;
            trust.peers.insert(Role::Sentinel, vec![peer(9)]);
        });
        assert!(error.contains("no perWallet or no total") && error.contains("looseningDelaySeconds"), "{error}");
    }

    #[test]
    fn a_local_policy_names_each_asset_once_and_exactly() {
        let eth = || asset("eip155:1", "ETH", "native");
        assert!(local_policy(vec![]).contains("no asset"));
        assert!(local_policy(vec![asset("eip155", "ETH", "native")]).contains("chain id"));
        for symbol in ["", "E\u{1b}[2J", "U S", &"x".repeat(33)] {
            assert!(local_policy(vec![asset("eip155:1", symbol, "native")]).contains("symbol"));
        }
        assert!(local_policy(vec![asset("eip155:1", "USD", "0x12")]).contains("40 hex digits"));
        assert!(
            local_policy(vec![eth(), asset("eip155:1", "ETH", &format!("0x{}", "aa".repeat(20)))]).contains("twice")
        );
        assert!(local_policy(vec![eth(), asset("eip155:1", "ETH2", "native")]).contains("twice"));
        for amount in ["", "1.5", "-1", "01", "1e18", &"9".repeat(78)] {
            let bad = AssetLimits { per_transaction: amount.into(), ..eth() };
            assert!(local_policy(vec![bad]).contains("perTransaction"), "{amount}");
        }
        assert_eq!(LocalPolicy::new(vec![eth(), asset("eip155:2", "ETH", "native")]).validate(), Ok(()));
    }

    proptest! {
        #[test]
        fn the_reader_never_panics(text in ".{0,200}") {
            prop_assert!(MemberTrust::parse(text.as_bytes()).is_err());
        }
    }
}
