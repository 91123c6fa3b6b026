//! Condition types and reasons, both part of the API: scripts and alerts may rely on every string here. All have
//! positive polarity (`True` is good); `Unknown` means that it could not be observed, never that it is gone.

/// Types of conditions.
pub mod condition {
    use crate::place::Place;

    /// Everything below is as it should be.
    pub const READY: &str = "Ready";

    /// MultisigCluster: the places are proven to be separated. Otherwise nothing is written to any member.
    pub const SEPARATED: &str = "Separated";
    /// MultisigCluster: keeper's API server answers.
    pub const KEEPER_REACHABLE: &str = "KeeperReachable";
    /// MultisigCluster: keeper's pod is ready.
    pub const KEEPER_AVAILABLE: &str = "KeeperAvailable";
    /// MultisigCluster: cooler's API server answers.
    pub const COOLER_REACHABLE: &str = "CoolerReachable";
    /// MultisigCluster: cooler's pod is ready.
    pub const COOLER_AVAILABLE: &str = "CoolerAvailable";
    /// MultisigCluster: the sentinel's API server answers. Only where the custody has one.
    pub const SENTINEL_REACHABLE: &str = "SentinelReachable";
    /// MultisigCluster: the sentinel's pod is ready. Only where the custody has one.
    pub const SENTINEL_AVAILABLE: &str = "SentinelAvailable";
    /// MultisigCluster: every workload has opened its keys with its own Vault.
    pub const VAULT_CONFIGURED: &str = "VaultConfigured";
    /// MultisigCluster: the broker has the NATS account exactly as it should be.
    pub const NATS_CONFIGURED: &str = "NatsConfigured";
    /// MultisigCluster: every workload has NATS credentials for its current key, and the places use them.
    pub const CREDENTIALS_CURRENT: &str = "CredentialsCurrent";
    /// MultisigCluster: every object on every member is up to date.
    pub const SYNCED: &str = "Synced";
    /// MultisigCluster: every signer serves operations.
    pub const SIGNING_ALLOWED: &str = "SigningAllowed";
    /// MultisigCluster: payments can be signed now.
    pub const AVAILABLE: &str = "Available";

    /// MemberCluster: its API server answers.
    pub const REACHABLE: &str = "Reachable";
    /// MemberCluster: it is the pinned cluster, and the data centre's own member trust agrees.
    pub const IDENTITY_VERIFIED: &str = "IdentityVerified";
    /// MemberCluster: admission policies on the member hold the hub to the published pod shape.
    pub const GUARD_ACTIVE: &str = "GuardActive";
    /// MemberCluster: the kubeconfig's credential is accepted and not about to expire.
    pub const CREDENTIAL_VALID: &str = "CredentialValid";

    /// Types on a MultisigCluster, in the order in which they are shown; `Ready` sums up all others.
    pub const MULTISIG_CLUSTER: [&str; 14] = [
        SEPARATED,
        KEEPER_REACHABLE,
        KEEPER_AVAILABLE,
        COOLER_REACHABLE,
        COOLER_AVAILABLE,
        SENTINEL_REACHABLE,
        SENTINEL_AVAILABLE,
        VAULT_CONFIGURED,
        NATS_CONFIGURED,
        CREDENTIALS_CURRENT,
        SYNCED,
        SIGNING_ALLOWED,
        AVAILABLE,
        READY,
    ];

    /// Types on a MemberCluster, in the order in which they are shown.
    pub const MEMBER_CLUSTER: [&str; 5] = [REACHABLE, IDENTITY_VERIFIED, GUARD_ACTIVE, CREDENTIAL_VALID, READY];

    /// Whether the API server of a place answers.
    pub fn reachable(place: Place) -> &'static str {
        match place {
            Place::Keeper => KEEPER_REACHABLE,
            Place::Cooler => COOLER_REACHABLE,
            Place::Sentinel => SENTINEL_REACHABLE,
        }
    }

    /// Whether the pod of a place is ready.
    pub fn available(place: Place) -> &'static str {
        match place {
            Place::Keeper => KEEPER_AVAILABLE,
            Place::Cooler => COOLER_AVAILABLE,
            Place::Sentinel => SENTINEL_AVAILABLE,
        }
    }
}

/// Reasons: why a condition has its status. Also the reasons of Events.
pub mod reason {
    /// The condition holds.
    pub const AS_EXPECTED: &str = "AsExpected";
    /// `spec.paused` is set: nothing is written to members and nothing is minted.
    pub const PAUSED: &str = "Paused";
    /// The object is being deleted; the message says what the deletion is waiting for.
    pub const DELETING: &str = "Deleting";
    /// What this depends on could not be observed.
    pub const NOT_OBSERVED: &str = "NotObserved";

    /// A referenced MemberCluster, Secret or ConfigMap, or the key in it, does not exist on the hub.
    pub const REFERENCE_MISSING: &str = "ReferenceMissing";
    /// Another MultisigCluster uses the member.
    pub const MEMBER_CLAIMED: &str = "MemberClaimed";
    /// The MemberCluster has not been claimed for this MultisigCluster yet.
    pub const AWAITING_CLAIM: &str = "AwaitingClaim";
    /// The kubeconfig is malformed or contains something that is never used (exec, files, plain HTTP, ...).
    pub const KUBECONFIG_REFUSED: &str = "KubeconfigRefused";
    /// The member's API server does not answer.
    pub const UNREACHABLE: &str = "Unreachable";
    /// The member's API server refuses the credential.
    pub const UNAUTHORIZED: &str = "Unauthorized";
    /// The hub lacks a right on the member.
    pub const FORBIDDEN: &str = "Forbidden";
    /// The credential has expired.
    pub const EXPIRED: &str = "Expired";
    /// The credential is accepted but has used up four fifths of its lifetime.
    pub const EXPIRES_SOON: &str = "ExpiresSoon";
    /// No admission policies of this project are installed on the member.
    pub const NOT_INSTALLED: &str = "NotInstalled";

    /// Two places name the same MemberCluster.
    pub const SAME_MEMBER: &str = "SameMember";
    /// Two places are in the same data centre.
    pub const SAME_DATA_CENTER: &str = "SameDataCenter";
    /// Two places are in the same cluster (kube-system UID).
    pub const SAME_CLUSTER: &str = "SameCluster";
    /// Two places share a failure domain that `spec.separation.distinct` names, or one of them does not name its own.
    pub const SHARED_FAILURE_DOMAIN: &str = "SharedFailureDomain";
    /// The cluster is not the pinned one.
    pub const CLUSTER_UID_MISMATCH: &str = "ClusterUIDMismatch";
    /// The data centre's own member trust names another data centre.
    pub const DATA_CENTER_MISMATCH: &str = "DataCenterMismatch";
    /// A member has never been verified, so the separation is not proven yet.
    pub const NOT_VERIFIED: &str = "NotVerified";
    /// Nothing is written while the separation is not proven.
    pub const NOT_SEPARATED: &str = "NotSeparated";

    /// `Production`, or a member with `guard: Required`, needs admission policies that are not there.
    pub const GUARD_MISSING: &str = "GuardMissing";
    /// The spec asks for something that this version does not support.
    pub const NOT_SUPPORTED: &str = "NotSupported";
    /// The spec is refused; the message says what to change.
    pub const SPEC_REFUSED: &str = "SpecRefused";
    /// The profiles in the spec and in a member trust differ.
    pub const PROFILE_MISMATCH: &str = "ProfileMismatch";
    /// The manifest is malformed, or a signature is missing or wrong.
    pub const MANIFEST_REFUSED: &str = "ManifestRefused";
    /// The manifest is not the one that the member's admin pinned, or of another custody.
    pub const MANIFEST_MISMATCH: &str = "ManifestMismatch";
    /// The member trust is missing: its admin has not run `multisig member prepare`.
    pub const TRUST_MISSING: &str = "TrustMissing";
    /// This version can't read the member trust.
    pub const TRUST_REFUSED: &str = "TrustRefused";
    /// The member was prepared for another role.
    pub const ROLE_MISMATCH: &str = "RoleMismatch";
    /// The member's admin has not allowed the image's digest.
    pub const IMAGE_NOT_ALLOWED: &str = "ImageNotAllowed";
    /// A placeholder ConfigMap of the admin's is missing or not delegated to the hub.
    pub const PLACEHOLDER_MISSING: &str = "PlaceholderMissing";
    /// An object with the operator's name for it belongs to somebody else and is left unchanged.
    pub const FOREIGN_OBJECT: &str = "ForeignObject";
    /// The member's API server refused an object; the message is its own.
    pub const APPLY_FAILED: &str = "ApplyFailed";

    /// The StatefulSet does not exist yet.
    pub const NOT_CREATED: &str = "NotCreated";
    /// The pod is not ready.
    pub const POD_NOT_READY: &str = "PodNotReady";
    /// The workload has not reported, or its report can't be read.
    pub const NO_REPORT: &str = "NoReport";
    /// The workload can't open its keys: its Vault is unreachable, sealed or refuses access.
    pub const VAULT_UNAVAILABLE: &str = "VaultUnavailable";

    /// The Secret with operator signing seed and SYS credentials is missing or malformed.
    pub const NATS_SECRET_REFUSED: &str = "NatsSecretRefused";
    /// The broker does not answer.
    pub const BROKER_UNREACHABLE: &str = "BrokerUnreachable";
    /// The broker does not have, or does not accept, the account as it should be.
    pub const ACCOUNT_NOT_CURRENT: &str = "AccountNotCurrent";
    /// The state of the NATS account can't be read. It is never replaced by a new one.
    pub const ACCOUNT_STATE_REFUSED: &str = "AccountStateRefused";

    /// A workload has not reported its public keys yet.
    pub const AWAITING_IDENTITY: &str = "AwaitingIdentity";
    /// A workload's proof of possession is not valid; nothing is minted for it.
    pub const IDENTITY_REFUSED: &str = "IdentityRefused";
    /// Credentials are delivered but not in use yet.
    pub const AWAITING_USE: &str = "AwaitingUse";
    /// Credentials have been minted for a public key.
    pub const MINTED: &str = "Minted";
    /// A replaced public key has been revoked.
    pub const REVOKED: &str = "Revoked";

    /// A signer is starting: its keys are not open yet.
    pub const STARTING: &str = "Starting";
    /// A signer is waiting for its admin: custody, peers or local policy are missing in the member trust.
    pub const AWAITING_TRUST: &str = "AwaitingTrust";
    /// A signer is waiting for NATS credentials.
    pub const AWAITING_CREDENTIALS: &str = "AwaitingCredentials";
    /// Cooler is waiting for the cool phrase.
    pub const AWAITING_COOL_KEY: &str = "AwaitingCoolKey";
    /// A signer is waiting for its peers to vouch for its history.
    pub const LOCKED: &str = "Locked";
    /// A signer was frozen; its data centre's admin thaws it.
    pub const FROZEN: &str = "Frozen";
    /// A signer is ready, but the broker does not answer it.
    pub const DISCONNECTED: &str = "Disconnected";
}
