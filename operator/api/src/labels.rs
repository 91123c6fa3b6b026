//! Labels, annotations, finalizers and field managers: every name by which objects are found or owned.

/// Who may fill a ConfigMap that the data centre's admin made; set by the member chart.
pub const DELEGATED: &str = "multisig.dev/delegated";
/// Value of [`DELEGATED`] for ConfigMaps that the hub fills.
pub const DELEGATED_HUB: &str = "hub";
/// Value of [`DELEGATED`] for ConfigMaps that the workload fills.
pub const DELEGATED_WORKLOAD: &str = "workload";

/// Identity of the custody that an object serves, 32 hex digits. On a member this says whose object it is.
pub const CUSTODY: &str = "multisig.dev/custody";
/// The role (`keeper`, `cooler`), on every object and pod of it.
pub const ROLE: &str = "multisig.dev/role";
/// Kubernetes' recommended label for the tool that manages an object.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Kubernetes' recommended label for the name of the application.
pub const NAME: &str = "app.kubernetes.io/name";
/// Kubernetes' recommended label for the larger application.
pub const PART_OF: &str = "app.kubernetes.io/part-of";
/// Value of [`PART_OF`].
pub const PART_OF_VALUE: &str = "multisig";

/// Value of [`MANAGED_BY`] and the server-side apply field manager for everything but status.
pub const MANAGER: &str = "multisig-operator";
/// Server-side apply field manager for status.
pub const STATUS_MANAGER: &str = "multisig-operator-status";

/// SHA-256 (lower-case hex) of the object as it was last applied: shows that fields were dropped since.
pub const APPLIED: &str = "multisig.dev/applied";

/// On MultisigCluster: keeps it until NATS users are revoked and the workloads are deleted from every member.
pub const FINALIZER: &str = "multisig.dev/cleanup";
/// On MemberCluster: keeps it while a MultisigCluster uses it.
pub const CLAIMED_FINALIZER: &str = "multisig.dev/claimed";

/// On a MultisigCluster that is being deleted: kube-system UIDs (comma separated) of members that will never be
/// reached again; their objects are left behind.
pub const ABANDON_MEMBER: &str = "multisig.dev/abandon-member";
/// On a MultisigCluster that is being deleted: public key (`A...`) of the NATS account whose broker will never be
/// reached again; its users are not revoked.
pub const ABANDON_ACCOUNT: &str = "multisig.dev/abandon-account";
