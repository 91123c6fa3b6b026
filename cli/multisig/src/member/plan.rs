//! The file that a data centre admin writes for `member prepare`: read, validated, completed. Nothing here writes.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use chain::{ChainError, ChainId};
use chain_adapters::Adapters;
use custody::{
    Role, TrustError,
    local_policy::{AssetLimits, Destination, LocalPolicy},
    manifest::{SignedManifest, VerifiedManifest},
    trust::{CustodyTrust, KeyProtection, MemberTrust, Profile, SHAPE_VERSION, VaultTrust},
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use vault::{Jwks, SetupPlan};

use crate::{
    failure::bad_input,
    input::{parse_yaml, read},
};

/// What API servers accept for a token's life: at least ten minutes, at most 2^32 s.
const TOKEN_LIFE: std::ops::RangeInclusive<u64> = 600..=1 << 32;
/// HTTPS, the API server behind its Service, Vault, NATS: where they usually listen.
const EGRESS: [u16; 4] = [443, 6443, 8200, 4222];

/// The file. Paths in it are relative to its own folder.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PlanFile {
    /// keeper or cooler.
    role: Role,
    namespace: String,
    /// As in `MemberCluster.spec.dataCenter`.
    data_center: String,
    profile: Profile,
    vault: VaultFile,
    /// The manifest that both stations have signed; absent before the ceremonies.
    manifest_file: Option<PathBuf>,
    /// Absent: what `multisig-trust` has stays.
    local_policy: Option<LocalPolicy>,
    /// What seals the users' keys. Absent: what `multisig-trust` has stays.
    keys: Option<KeyProtection>,
    /// Digests that may run here. Absent: what `multisig-trust` has stays.
    images: Option<Vec<String>>,
    #[serde(default)]
    storage: Storage,
    /// How many the volume has to be large enough for.
    wallets: Option<u64>,
    #[serde(default)]
    hub_token: HubToken,
    /// Absent: [`EGRESS`] and the Vault's port.
    egress: Option<Vec<Egress>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct VaultFile {
    address: String,
    ca_file: PathBuf,
    transit_mount: Option<String>,
    auth_mount: Option<String>,
    audience: Option<String>,
}

/// The signer's volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Storage {
    /// Kubernetes quantity.
    pub(crate) size: String,
    /// Empty: the cluster's default.
    pub(crate) storage_class_name: String,
    /// How the volume may be mounted; it never changes afterwards.
    pub(crate) access_mode: AccessMode,
}

/// Kubernetes' word for who may mount a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AccessMode {
    /// Pods of one node: any storage class can do it.
    #[default]
    ReadWriteOnce,
    /// One pod: only with a CSI driver that supports it.
    ReadWriteOncePod,
}

impl Default for Storage {
    fn default() -> Self {
        Self { size: "1Gi".to_owned(), storage_class_name: String::new(), access_mode: AccessMode::default() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct HubToken {
    ttl: String,
}

impl Default for HubToken {
    fn default() -> Self {
        Self { ttl: "720h".to_owned() }
    }
}

/// Where the namespace's pods may connect to, besides name servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Egress {
    /// Absent: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cidr: Option<String>,
    /// TCP ports.
    pub(crate) ports: Vec<u16>,
}

/// A plan with everything in it that its file names, and nothing in it that is wrong.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) role: Role,
    pub(crate) namespace: String,
    pub(crate) data_center: String,
    pub(crate) profile: Profile,
    pub(crate) vault: VaultPlan,
    pub(crate) manifest: Option<VerifiedManifest>,
    pub(crate) local_policy: Option<LocalPolicy>,
    pub(crate) keys: Option<KeyProtection>,
    pub(crate) images: Option<Vec<String>>,
    pub(crate) storage: Storage,
    pub(crate) wallets: Option<u64>,
    pub(crate) hub_token_ttl: Duration,
    pub(crate) egress: Vec<Egress>,
}

/// The data centre's Vault.
#[derive(Debug)]
pub(crate) struct VaultPlan {
    pub(crate) address: String,
    pub(crate) ca_bundle: String,
    pub(crate) transit_mount: String,
    pub(crate) auth_mount: String,
    pub(crate) audience: String,
}

impl Plan {
    /// Reads the file and all that it names.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let shown = file.display();
        let text = read(file).map_err(|error| bad_input(format!("{shown}: {error}")))?;
        Self::parse(&text, file.parent().unwrap_or(Path::new(".")))
            .map_err(|error| bad_input(format!("{shown}: {error}")))
    }

    fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let file: PlanFile = parse_yaml(text)?;
        check_label("namespace", &file.namespace)?;
        check_label("dataCenter", &file.data_center)?;
        check_storage(&file.storage)?;
        file.local_policy.iter().try_for_each(check_chains)?;
        let egress = complete_egress(file.egress, &file.vault.address)?;
        let plan = Self {
            vault: VaultPlan::complete(file.vault, &file.data_center, folder)?,
            manifest: file.manifest_file.map(|path| read_manifest(&folder.join(path))).transpose()?,
            hub_token_ttl: parse_ttl(&file.hub_token.ttl)?,
            role: file.role,
            namespace: file.namespace,
            data_center: file.data_center,
            profile: file.profile,
            local_policy: file.local_policy,
            keys: file.keys,
            images: file.images,
            storage: file.storage,
            wallets: file.wallets,
            egress,
        };
        match plan.trust().validate() {
            Ok(()) if plan.role == Role::Sentinel => Err("role: this version prepares no member for a sentinel".into()),
            Ok(()) => Ok(plan),
            Err(TrustError::Invalid(why)) => Err(why),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The member trust of this plan alone: it trusts nobody yet.
    pub(crate) fn trust(&self) -> MemberTrust {
        let custody = self.manifest.as_ref();
        MemberTrust {
            shape_version: SHAPE_VERSION,
            profile: self.profile,
            role: self.role,
            data_center: self.data_center.clone(),
            vault: VaultTrust {
                address: self.vault.address.clone(),
                ca_bundle: self.vault.ca_bundle.clone(),
                auth_mount: self.vault.auth_mount.clone(),
                role: self.workload(),
                audience: self.vault.audience.clone(),
                transit_mount: self.vault.transit_mount.clone(),
                key: self.workload(),
            },
            custody: custody.map(|it| CustodyTrust { id: it.custody_id(), manifest_digest: it.digest() }),
            peers: BTreeMap::new(),
            local_policy: self.local_policy.clone(),
            keys: self.keys.unwrap_or_default(),
            images: self.images.clone().unwrap_or_default(),
        }
    }

    /// `<namespace>.<serviceaccount>`: the workload's role and Transit key in its Vault.
    fn workload(&self) -> String {
        format!("{}.{}", self.namespace, self.role)
    }

    /// The Vault's part, for tokens of this issuer and these keys.
    pub(crate) fn vault_setup(&self, issuer: String, jwks: Jwks) -> SetupPlan {
        SetupPlan {
            transit_mount: self.vault.transit_mount.clone(),
            auth_mount: self.vault.auth_mount.clone(),
            jwks,
            issuer,
            audience: self.vault.audience.clone(),
            namespace: self.namespace.clone(),
            service_account: self.role.to_string(),
            role: self.workload(),
            // It names the auth mount's accessor, so each mount has one of its own.
            policy: format!("multisig-workload-{}", self.vault.auth_mount),
        }
    }
}

impl VaultPlan {
    /// Names that the file leaves out carry the data centre's: an auth mount belongs to one cluster.
    fn complete(file: VaultFile, data_center: &str, folder: &Path) -> Result<Self, String> {
        let path = folder.join(&file.ca_file);
        let ca_bundle = read(&path).map_err(|error| format!("vault.caFile: {}: {error}", path.display()))?;
        let named = |name: Option<String>, default: String| name.unwrap_or(default);
        Ok(Self {
            address: file.address,
            ca_bundle,
            transit_mount: named(file.transit_mount, "multisig-transit".to_owned()),
            auth_mount: named(file.auth_mount, format!("multisig-{data_center}")),
            audience: named(file.audience, format!("multisig-vault-{data_center}")),
        })
    }
}

fn read_manifest(path: &Path) -> Result<VerifiedManifest, String> {
    let text = read(path).map_err(|error| format!("manifestFile: {}: {error}", path.display()))?;
    let verified = SignedManifest::parse(text.as_bytes()).and_then(|manifest| manifest.verify());
    verified.map_err(|error| format!("manifestFile: {}: {error}", path.display()))
}

/// RFC 1123 label, as Kubernetes wants it.
fn check_label(field: &str, value: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=63).contains(&value.len()) && value.chars().all(known) && !value.starts_with('-') && !value.ends_with('-') {
        return Ok(());
    }
    Err(format!(
        "{field}: '{value}' must have 1 to 63 characters of a-z, 0-9 and '-', and start and end with a letter or digit"
    ))
}

fn check_storage(storage: &Storage) -> Result<(), String> {
    let digits = storage.size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &storage.size[digits.len()..];
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() && !digits.starts_with('0');
    if whole && ["Mi", "Gi", "Ti", "M", "G", "T"].contains(&unit) {
        return Ok(());
    }
    Err(format!("storage.size: '{}' is not a size; expected for example 1Gi", storage.size))
}

/// Egress that the plan names has to include the Vault's port; the default does.
fn complete_egress(named: Option<Vec<Egress>>, vault: &str) -> Result<Vec<Egress>, String> {
    let port = vault.parse::<Url>().ok().and_then(|url| url.port_or_known_default());
    let port = port.ok_or_else(|| format!("vault.address: '{vault}' is not an address; expected https://host:port"))?;
    let Some(named) = named else {
        let mut ports = EGRESS.to_vec();
        ports.extend(Some(port).filter(|port| !EGRESS.contains(port)));
        return Ok(vec![Egress { cidr: None, ports }]);
    };
    named.iter().try_for_each(check_egress)?;
    if !named.iter().any(|egress| egress.ports.contains(&port)) {
        return Err(format!(
            "egress: no entry has port {port} of the Vault; add it and the ports of API server and NATS"
        ));
    }
    Ok(named)
}

fn check_egress(egress: &Egress) -> Result<(), String> {
    if egress.ports.is_empty() || egress.ports.contains(&0) {
        return Err("egress: every entry needs ports between 1 and 65535".to_owned());
    }
    let Some(cidr) = &egress.cidr else { return Ok(()) };
    let valid = cidr.split_once('/').is_some_and(|(address, bits)| {
        let longest = match address.parse() {
            Ok(IpAddr::V4(_)) => 32,
            Ok(IpAddr::V6(_)) => 128,
            Err(_) => return false,
        };
        bits.parse::<u8>().is_ok_and(|bits| bits <= longest)
    });
    if valid { Ok(()) } else { Err(format!("egress: '{cidr}' is not a network; expected for example 10.0.0.0/8")) }
}

/// Go's and people's notation: `720h`, `30d`.
fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = text
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|ttl| Duration::try_from(ttl).ok())
        .filter(|ttl| TOKEN_LIFE.contains(&ttl.as_secs()));
    ttl.ok_or_else(|| {
        format!("hubToken.ttl: '{text}' is not a duration of at least ten minutes; expected for example 720h")
    })
}

/// Which chains there are depends on this build; the rest of a local policy is checked with the member trust.
fn check_chains(local_policy: &LocalPolicy) -> Result<(), String> {
    let rules = |chain: &str| chain.parse().and_then(|id: ChainId| Adapters::all().rules(&id));
    let wrong = |error: ChainError| format!("local policy: {error}");
    for AssetLimits { chain, asset, .. } in &local_policy.assets {
        let rules = rules(chain).map_err(wrong)?;
        if asset != "native" {
            rules.address(asset).map_err(wrong)?;
        }
    }
    for Destination { chain, address } in local_policy.destinations.iter().flat_map(|listed| &listed.allow) {
        // Nothing is paid on a chain without assets, so it need not be known.
        if let Ok(rules) = rules(chain) {
            rules.address(address).map_err(wrong)?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use chain::KeyRole;
    use custodies::Ceremony;

    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    const MINIMAL: &str = "role: keeper\nnamespace: custody-keeper\ndataCenter: fra-1\nprofile: Development\n\
                           vault: {address: 'https://vault:8200', caFile: ca.pem}\n";

    fn parse(text: &str) -> Result<Plan, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), PEM).unwrap();
        fs::write(folder.path().join("unsigned.json"), "{}").unwrap();
        Plan::parse(text, folder.path())
    }

    pub(crate) fn with(line: &str) -> Result<Plan, String> {
        parse(&format!("{MINIMAL}{line}\n"))
    }

    #[test]
    fn a_minimal_plan_is_completed_with_names_of_the_data_centre() {
        let plan = parse(MINIMAL).unwrap();
        assert_eq!(plan.vault.auth_mount, "multisig-fra-1");
        assert_eq!(plan.vault.audience, "multisig-vault-fra-1");
        assert_eq!(plan.vault.transit_mount, "multisig-transit");
        assert_eq!(plan.vault.ca_bundle, PEM);
        assert_eq!(plan.trust().vault.key, "custody-keeper.keeper");
        assert_eq!(plan.hub_token_ttl, Duration::from_secs(720 * 3600));
        assert_eq!(plan.storage.size, "1Gi");
        assert!(plan.manifest.is_none() && plan.local_policy.is_none() && plan.images.is_none());
        assert_eq!(plan.egress, [Egress { cidr: None, ports: EGRESS.to_vec() }]);
    }

    #[test]
    fn egress_leads_to_the_vault_wherever_it_listens() {
        let plan = parse(&MINIMAL.replace("vault:8200", "vault:9200")).unwrap();
        assert!(plan.egress[0].ports.contains(&9200));
        let named = with("egress: [{cidr: 10.0.0.0/8, ports: [8200]}, {ports: [6443]}]").unwrap();
        assert_eq!(named.egress.len(), 2);
    }

    #[test]
    fn everything_that_is_wrong_is_named_by_its_field() {
        let digest = "a".repeat(63);
        let table = [
            ("imagess: []", "imagess"),
            ("vault2: {}", "vault2"),
            ("storage: {sise: 1Gi}", "sise"),
            ("images: sha256", "images"),
            (&format!("images: ['sha256:{digest}']"), "images"),
            ("storage: {size: 1.5Gi}", "storage.size"),
            ("storage: {size: Gi}", "storage.size"),
            ("hubToken: {ttl: soon}", "hubToken.ttl"),
            ("hubToken: {ttl: 5m}", "hubToken.ttl"),
            ("hubToken: {ttl: -720h}", "hubToken.ttl"),
            ("egress: [{cidr: 10.0.0.0, ports: [443]}]", "egress"),
            ("egress: [{cidr: 10.0.0.0/33, ports: [443]}]", "egress"),
            ("egress: [{ports: [443, 4222]}]", "8200 of the Vault"),
            ("egress: [{ports: []}]", "egress"),
            ("egress: [{ports: [70000]}]", "egress"),
            ("manifestFile: nowhere.json", "manifestFile"),
            ("manifestFile: unsigned.json", "manifestFile"),
            ("namespace: other", "namespace"),
        ];
        for (line, field) in table {
            let error = with(line).unwrap_err();
            assert!(error.contains(field), "{line}: {error}");
            assert!(!error.contains('\n'), "{line}: {error}");
        }
        for (from, to, field) in [
            ("role: keeper", "role: app", "role"),
            ("role: keeper", "role: sentinel", "sentinel"),
            ("custody-keeper", "Custody", "namespace"),
            ("fra-1", "fra_1", "dataCenter"),
            ("Development", "Test", "Test"),
            ("ca.pem", "none.pem", "vault.caFile"),
            ("https://vault", "http://vault", "vault.address"),
            ("address: 'https://vault:8200', ", "", "address"),
        ] {
            let error = parse(&MINIMAL.replace(from, to)).unwrap_err();
            assert!(error.contains(field), "{to}: {error}");
        }
    }

    #[test]
    fn addresses_of_a_local_policy_are_checked_before_it_is_written() {
        const CONTRACT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let local_policy = |contract: &str, destination: &str| {
            let asset =
                format!("chain: 'eip155:1', symbol: USD, asset: '{contract}', decimals: 6, perTransaction: '1'");
            let allow = format!("{{chain: 'eip155:1', address: '{destination}'}}");
            with(&format!("localPolicy: {{assets: [{{{asset}}}], destinations: {{allow: [{allow}]}}}}"))
        };
        assert!(local_policy(CONTRACT, &CONTRACT.to_lowercase()).is_ok());
        let wrong = CONTRACT.replace("5aA", "5AA");
        for error in [local_policy(&wrong, CONTRACT), local_policy(CONTRACT, &wrong)].map(Result::unwrap_err) {
            assert!(error.starts_with("local policy: the checksum of the address"), "{error}");
        }
    }

    #[test]
    fn a_plan_from_another_editor_is_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let (file, text) = (folder.path().join("plan.yaml"), MINIMAL.replace("ca.pem", "../ca.pem"));
        fs::write(&file, format!("\u{feff}{text}")).unwrap();
        assert_eq!(read(&file).unwrap(), text);
        fs::write(&file, text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
        let error = Plan::load(&file).unwrap_err().to_string();
        assert!(error.ends_with("plan.yaml: the file is UTF-16; save it as UTF-8"), "{error}");
    }

    #[test]
    fn a_local_policy_names_assets_of_chains_that_this_build_knows() {
        let local_policy = |chain: &str, amount: &str| {
            let asset = format!("chain: '{chain}', symbol: ETH, asset: native, decimals: 18");
            with(&format!("localPolicy: {{assets: [{{{asset}, perTransaction: '{amount}'}}]}}"))
        };
        assert_eq!(local_policy("eip155:1", "5").unwrap().local_policy.unwrap().assets.len(), 1);
        for (chain, amount) in [("eip155:one", "5"), ("bip122:1", "5"), ("eip155", "5"), ("eip155:1", "0.5")] {
            let error = local_policy(chain, amount).unwrap_err();
            assert!(error.contains("local policy"), "{chain} {amount}: {error}");
        }
    }

    #[test]
    fn a_manifest_counts_only_with_both_signatures() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), PEM).unwrap();
        let signed_by = |stations: &[KeyRole]| Ceremony::fixed().signed_by(stations);
        let text = format!("{MINIMAL}manifestFile: manifest.json\n");
        let load = |manifest: &SignedManifest| {
            fs::write(folder.path().join("manifest.json"), manifest.to_json()).unwrap();
            Plan::parse(&text, folder.path())
        };
        let error = load(&signed_by(&[KeyRole::Cool])).unwrap_err();
        assert!(error.contains("manifestFile") && error.contains("not signed by cold"), "{error}");
        let manifest = signed_by(&[KeyRole::Cool, KeyRole::Cold]);
        assert_eq!(load(&manifest).unwrap().manifest.unwrap().digest(), manifest.digest());
    }
}
