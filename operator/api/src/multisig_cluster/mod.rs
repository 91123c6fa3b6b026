//! MultisigCluster: a custody, and the places where it runs.

pub mod nats;
pub mod place;
pub mod policy;
pub mod status;

use custody::trust;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::refs::KeyRef;
use nats::NatsSpec;
use place::{SentinelSpec, SignerSpec};
use policy::PolicySpec;
use status::MultisigClusterStatus;

/// A custody of 2-of-3 wallets: Keeper and Cooler in two clusters that share nothing, connected over NATS.
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
    doc = "A custody of 2-of-3 wallets and the places where its signers run.",
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
    /// How strict the requirements are. Must equal the profile in each data centre's member trust.
    pub profile: Profile,
    /// The custody.
    pub custody: CustodySpec,
    /// What no two places may share.
    #[serde(default)]
    pub separation: SeparationSpec,
    /// Chains in use. At most 16.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub chains: Vec<ChainSpec>,
    /// The broker between the workloads.
    pub nats: NatsSpec,
    /// Keeper, which holds the hot keys.
    pub keeper: SignerSpec,
    /// Cooler, which holds the cool key.
    pub cooler: SignerSpec,
    /// The sentinel, in a place of its own. This version refuses it: leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<SentinelSpec>,
    /// App, which decides about payments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppSpec>,
    /// The hub's limits. They can only tighten the local policy in each data centre's member trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicySpec>,
    /// What the sentinel does when it detects a breach. Without a sentinel, nothing reacts.
    #[serde(default)]
    pub breach_response: BreachResponseSpec,
    /// What happens when this object is deleted.
    #[serde(default)]
    pub deletion: DeletionSpec,
    /// Stops all writes to members and all minting of credentials. The status is still updated.
    #[serde(default)]
    pub paused: bool,
}

/// How strict the requirements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Profile {
    /// Guard, local policy and sentinel are required.
    Production,
    /// For trials: the guard is optional and no sentinel is needed.
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

/// The custody, as the ceremonies defined it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustodySpec {
    /// Id of the custody, from the manifest: 32 lower-case hex digits. Immutable.
    #[schemars(length(max = 32), regex(pattern = "^[0-9a-f]{32}$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("custody.id is immutable: another id is another custody"))]
    pub id: String,
    /// `TwoOfThree`: a hot, a cool and a cold key, any two of which sign.
    #[schemars(length(max = 32))]
    #[x_kube(
        validation = Rule::new("self == 'TwoOfThree'")
            .message("only TwoOfThree is supported: ordinary addresses and other schemes are refused")
    )]
    pub scheme: String,
    /// ConfigMap with the signed manifest.
    pub manifest_ref: KeyRef,
}

/// The only scheme.
pub const TWO_OF_THREE: &str = "TwoOfThree";

/// What no two places may share. Member, cluster and data centre are always compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeparationSpec {
    /// `dataCenter`, and the keys of `MemberCluster.spec.failureDomains` whose values must differ as well.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    #[x_kube(validation = Rule::new("'dataCenter' in self").message("separation.distinct must contain dataCenter"))]
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
    /// Ethereum and compatible chains; wallets are Safes.
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

/// What the sentinel does when it detects a breach.
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
    /// Immediately.
    #[default]
    Automatic,
    /// It only reports; people freeze.
    Manual,
}

/// How an evacuation is prepared. It always needs people, because the cold key is on paper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EvacuationMode {
    /// The sentinel makes the plan immediately; people approve and sign it.
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
    /// NATS users are revoked and workloads removed; volumes, sealed keys, Vault keys and ConfigMaps are retained.
    #[default]
    Retain,
}
