//! MultisigCluster: a custody, and where its two signers run.

use custody::trust;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::{KeyRef, NameRef};

/// A custody of 2-of-3 wallets: Keeper and Cooler in two clusters that share nothing, wired over NATS.
#[derive(Debug, Clone, PartialEq, CustomResource, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "multisig.dev",
    version = "v1alpha1",
    kind = "MultisigCluster",
    plural = "multisigclusters",
    shortname = "msc",
    category = "multisig",
    namespaced,
    status = "MultisigClusterStatus",
    derive = "PartialEq",
    doc = "A custody of 2-of-3 wallets and the two places where its signers run.",
    annotation("helm.sh/resource-policy", "keep"),
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name may have at most 63 characters"),
    printcolumn(name = "Ready", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].status"#),
    printcolumn(name = "Reason", type_ = "string", json_path = r#".status.conditions[?(@.type=="Ready")].reason"#),
    printcolumn(
        name = "Separated",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Separated")].status"#
    ),
    printcolumn(name = "Profile", type_ = "string", json_path = ".spec.profile"),
    printcolumn(name = "Keeper", type_ = "string", json_path = ".status.keeper.dataCenter"),
    printcolumn(name = "Keeper-State", type_ = "string", json_path = ".status.keeper.signing"),
    printcolumn(name = "Cooler", type_ = "string", json_path = ".status.cooler.dataCenter"),
    printcolumn(name = "Cooler-State", type_ = "string", json_path = ".status.cooler.signing"),
    printcolumn(name = "Custody", type_ = "string", json_path = ".spec.custody.id", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.policy) || self.policy.limits.all(l, self.chains.exists(c, c.name == l.chain))")
        .message("policy.limits names a chain that is not in chains")
)]
pub struct MultisigClusterSpec {
    /// How strictly the installation is held to the design; must equal what each member trust says.
    pub profile: Profile,
    /// Which custody.
    pub custody: CustodySpec,
    /// What keeper and cooler must not have in common.
    #[serde(default)]
    pub separation: SeparationSpec,
    /// Chains in use. At most 16.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub chains: Vec<ChainSpec>,
    /// The broker.
    pub nats: NatsSpec,
    /// Where the hot keys are.
    pub keeper: SignerSpec,
    /// Where the cool key is.
    pub cooler: SignerSpec,
    /// The sentinel, in a place of its own. Refused by this version: leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<SentinelSpec>,
    /// Who decides about payments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppSpec>,
    /// Limits; they may only tighten the local policy in each data centre's member trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,
    /// What the sentinel does when it sees a breach. Without a sentinel nobody acts on it.
    #[serde(default)]
    pub breach_response: BreachResponseSpec,
    /// What happens when this object is deleted.
    #[serde(default)]
    pub deletion: DeletionSpec,
    /// Stops every write to members and every minting; observation goes on.
    #[serde(default)]
    pub paused: bool,
}

/// How strictly the installation is held to the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// Guard, local policy and sentinel are required.
    Production,
    /// For trying it out: guard optional, no sentinel needed.
    Development,
}

impl From<Profile> for trust::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Production => Self::Production,
            Profile::Development => Self::Development,
        }
    }
}

/// The custody, as the ceremonies fixed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustodySpec {
    /// Identity across restores, from the manifest: 32 lower-case hex digits. Immutable.
    #[schemars(length(max = 32), regex(pattern = "^[0-9a-f]{32}$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("custody.id is immutable: it is the custody"))]
    pub id: String,
    /// `TwoOfThree`: hot, cool and cold key, any two of which sign.
    #[schemars(length(max = 32))]
    #[x_kube(
        validation = Rule::new("self == 'TwoOfThree'")
            .message("only TwoOfThree is possible: ordinary addresses and other schemes are refused")
    )]
    pub scheme: String,
    /// ConfigMap with the signed manifest.
    pub manifest_ref: KeyRef,
}

/// The only scheme.
pub const TWO_OF_THREE: &str = "TwoOfThree";

/// What keeper and cooler must not have in common. Member, cluster and data centre are always compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeparationSpec {
    /// `dataCenter`, and keys of `MemberCluster.spec.failureDomains`.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("'dataCenter' in self").message("separation.distinct must hold dataCenter"))]
    pub distinct: Vec<String>,
}

/// The entry of `separation.distinct` that is always there.
pub const DATA_CENTER: &str = "dataCenter";

impl Default for SeparationSpec {
    fn default() -> Self {
        Self { distinct: vec![DATA_CENTER.to_owned()] }
    }
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.evm) == (self.type == 'EVM')").message("type EVM needs evm, and only evm"))]
pub struct ChainSpec {
    /// Short name, used in `policy.limits`.
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// Kind of chain.
    #[serde(rename = "type")]
    pub type_: ChainType,
    /// For `EVM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evm: Option<EvmSpec>,
}

/// Kind of chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChainType {
    /// Ethereum and its relatives, wallets are Safes.
    EVM,
}

/// An EVM chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvmSpec {
    /// Chain id as in EIP-155.
    #[serde(rename = "chainID")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub chain_id: i64,
}

impl ChainSpec {
    /// The chain's CAIP-2 id, for example `eip155:1`; nothing when `type` and members disagree.
    pub fn caip2(&self) -> Option<String> {
        match self.type_ {
            ChainType::EVM => self.evm.as_ref().map(|evm| format!("eip155:{}", evm.chain_id)),
        }
    }
}

/// The broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsSpec {
    /// `tls://host:port` of every server; discovered ones are ignored.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(min = 1, max = 255), regex(pattern = r"^tls://[^/\s]+$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub urls: Vec<String>,
    /// ConfigMap with the PEM of the roots accepted for the broker.
    pub ca_bundle_ref: KeyRef,
    /// The account.
    pub account: NatsAccountSpec,
}

/// The NATS account of this custody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.managed) == (self.type == 'Managed')").message("type Managed needs managed, and only managed")
)]
pub struct NatsAccountSpec {
    /// Who makes the account.
    #[serde(rename = "type")]
    pub type_: NatsAccountType,
    /// For `Managed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedAccountSpec>,
}

/// Who makes the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NatsAccountType {
    /// The operator makes it and pushes it to the broker: this is power to lock accounts out.
    Managed,
}

/// How the operator makes the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedAccountSpec {
    /// Secret with [`OPERATOR_SEED_KEY`] and [`SYSTEM_CREDS_KEY`].
    pub secret_ref: NameRef,
}

/// Key in the Secret of `nats.account.managed`: seed (`SO...`) of a NATS operator signing key.
pub const OPERATOR_SEED_KEY: &str = "operator-signing.seed";
/// Key in the Secret of `nats.account.managed`: credentials file of a user of the SYS account. It needs to publish
/// `$SYS.REQ.ACCOUNT.*.CLAIMS.{LOOKUP,UPDATE}` and `$SYS.REQ.SERVER.PING.IDZ` and to subscribe to
/// `_INBOX.multisig-operator.>`, nothing else.
pub const SYSTEM_CREDS_KEY: &str = "sys.creds";

/// Name of the Secret in which the operator keeps the account's keys and everything that it has minted.
pub fn account_secret(cluster: &str) -> String {
    format!("{cluster}-nats-account")
}

/// Name of the ConfigMap with App's credentials (key `credentials.json`).
pub fn app_credentials_map(cluster: &str) -> String {
    format!("{cluster}-app-credentials")
}

/// A signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignerSpec {
    /// The MemberCluster where it runs.
    pub member_ref: NameRef,
    /// Image by digest.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('^[^@ ]+@sha256:[0-9a-f]{64}$')")
            .message("the image must be named by digest: registry/name@sha256:... (64 hex digits)")
    )]
    pub image: String,
    /// Where it keeps its records. The volume and its size belong to the member chart.
    #[serde(default)]
    pub store: StoreSpec,
    /// CPU and memory; sensible values when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,
    /// Version that its Vault key should have; the signer rotates its own key, by one version at a time, and rewraps what
    /// it has sealed. Left out: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub vault_key_generation: Option<i64>,
}

/// Where a signer keeps its records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreSpec {
    /// Kind of store.
    #[serde(default, rename = "type")]
    pub type_: StoreType,
}

/// Kind of store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StoreType {
    /// One file on the signer's own volume; one writer.
    #[default]
    SQLite,
}

/// CPU and memory of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesSpec {
    /// What is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<ResourceAmounts>,
    /// What is never exceeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceAmounts>,
}

/// Amounts, as Kubernetes quantities.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceAmounts {
    /// Cores or millicores: `1`, `250m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]*m?$"))]
    pub cpu: Option<String>,
    /// Bytes: `64Mi`, `1Gi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = "^[1-9][0-9]*(Ki|Mi|Gi)?$"))]
    pub memory: Option<String>,
}

/// The sentinel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentinelSpec {
    /// The MemberCluster where it runs, neither keeper's nor cooler's.
    pub member_ref: NameRef,
    /// Image by digest.
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new("self.matches('^[^@ ]+@sha256:[0-9a-f]{64}$')")
            .message("the image must be named by digest: registry/name@sha256:... (64 hex digits)")
    )]
    pub image: String,
}

/// App.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.external) == (self.type == 'External')").message("type External needs external, and only external")
)]
pub struct AppSpec {
    /// Who runs it.
    #[serde(rename = "type")]
    pub type_: AppType,
    /// For `External`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalAppSpec>,
}

/// Who runs App.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AppType {
    /// Its owner; the operator only delivers its NATS credentials.
    External,
}

/// An App that its owner runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalAppSpec {
    /// Its public NKey (`U...`), from `app identity`. Credentials for it appear in ConfigMap
    /// `<name>-app-credentials`.
    #[schemars(length(max = 56), regex(pattern = "^U[A-Z2-7]{55}$"))]
    pub nats_user: String,
}

/// The hub's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicySpec {
    /// Limits by chain and asset. At most 64.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["chain", "asset"])
    )]
    pub limits: Vec<LimitSpec>,
}

/// A limit; the strictest of this and the local policy holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitSpec {
    /// Name of a chain in `chains`.
    #[schemars(length(min = 1, max = 32))]
    pub chain: String,
    /// The asset's symbol, as in the local policy.
    #[schemars(length(min = 1, max = 32))]
    pub asset: String,
    /// Highest amount of one payment: a decimal string in the asset's smallest unit (wei).
    #[schemars(length(min = 1, max = 78), regex(pattern = "^(0|[1-9][0-9]*)$"))]
    pub per_transaction: String,
    /// Highest sum of one wallet's payments in a rolling window; holds beside the local policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_wallet: Option<RollingSpec>,
    /// Highest sum of all wallets' payments in a rolling window; holds beside the local policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<RollingSpec>,
}

/// A limit over time. An amount counts from its signature until its settlement is attested, and a window longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingSpec {
    /// Highest sum: a decimal string in the asset's smallest unit (wei).
    #[schemars(length(min = 1, max = 78), regex(pattern = "^(0|[1-9][0-9]*)$"))]
    pub amount: String,
    /// Length of the window in seconds, at most a leap year.
    #[schemars(range(min = 1, max = 31_622_400))]
    pub window_seconds: i64,
}

/// What the sentinel does when it sees a breach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BreachResponseSpec {
    /// Whether it freezes the signers.
    #[serde(default)]
    pub freeze: FreezeMode,
    /// Whether it prepares an evacuation.
    #[serde(default)]
    pub evacuation: EvacuationMode,
}

/// Whether the sentinel freezes the signers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FreezeMode {
    /// At once.
    #[default]
    Automatic,
    /// It only reports; people freeze.
    Manual,
}

/// How an evacuation comes about. It always needs people, for the cold key is on paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EvacuationMode {
    /// The plan is made at once; people approve and sign it.
    #[default]
    SemiAutomatic,
    /// People plan, approve and sign.
    Manual,
}

/// What happens on deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletionSpec {
    /// What is kept.
    #[serde(default)]
    pub policy: DeletionPolicy,
}

/// What is kept on deletion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// NATS users are revoked and workloads removed; volumes, seeds, Vault keys and ConfigMaps stay.
    #[default]
    Retain,
}

/// What the operator found and did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MultisigClusterStatus {
    /// Generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Keeper, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeper: Option<SignerStatus>,
    /// Cooler, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooler: Option<SignerStatus>,
    /// App's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppStatus>,
    /// The NATS account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nats: Option<NatsStatus>,
    /// Conditions of this object.
    #[serde(default)]
    #[schemars(
        length(max = 32),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// A signer, as last seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignerStatus {
    /// kube-system UID of the member, once it has been verified against pin and member trust.
    #[serde(default, rename = "clusterUID", skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    /// The member's data centre.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_center: Option<String>,
    /// Image of the StatefulSet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Public keys that it reported with proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityStatus>,
    /// Generation of its NATS credentials; rises only when its key or the account changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_generation: Option<i64>,
    /// SHA-256 of the policy that it applies, lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<String>,
    /// State that it reported: `Serving`, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing: Option<String>,
    /// The line that it reported for people: what is missing, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Newest version of its Vault key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_key_version: Option<i64>,
    /// Its secrets that are still sealed by an older version; absent when none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewrap_left: Option<i64>,
}

/// Public keys of a signer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityStatus {
    /// NATS user public NKey.
    pub nats_user: String,
    /// ed25519 message key, 64 hex digits.
    pub message_key: String,
    /// X25519 sealing key, a NATS XKey.
    pub xkey: String,
    /// What the admins compare out of band. A convenience: the hub's word on it proves nothing.
    pub fingerprint: String,
}

/// App's credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Public NKey for which they were minted.
    pub nats_user: String,
    /// Their generation.
    pub credential_generation: i64,
    /// ConfigMap that holds them (key `credentials.json`).
    pub credentials_config_map: String,
}

/// The NATS account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NatsStatus {
    /// Its public key, `A...`.
    pub account: String,
}
