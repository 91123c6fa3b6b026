//! Documents that were verified together: all that operations need, or the first thing that is missing. Pure.

use chain::Rules;
use chain_adapters::Adapters;
use custody::{
    Role,
    config::NatsConfig,
    local_policy::LocalPolicy,
    manifest::VerifiedManifest,
    trust::{KeyProtection, MemberTrust},
};
use policy::{Policy, PolicyError, chains};
use protocol::envelope::Peers;
use workload::documents::{Documents, Unready, config, manifest};

/// Trust, config and manifest, verified against each other.
pub(crate) struct Verified {
    /// How to reach the broker.
    pub(crate) nats: NatsConfig,
    /// Approved peers.
    pub(crate) peers: Peers,
    /// The pinned manifest.
    pub(crate) manifest: VerifiedManifest,
    /// The effective policy.
    pub(crate) policy: Policy,
    /// Adapters of the local policy's chains.
    pub(crate) rules: Rules,
    /// What seals users' keys.
    pub(crate) protection: KeyProtection,
    /// Whether a sentinel is named.
    pub(crate) observed: bool,
    /// Generation of the Vault key that the hub asks for.
    pub(crate) vault_key_generation: Option<u64>,
}

/// Everything that operations need, or the first thing that is missing. `held` are earlier local policies that still
/// hold.
pub(crate) fn verify(trust: &MemberTrust, documents: &Documents, held: &[LocalPolicy]) -> Result<Verified, Unready> {
    let complete = trust.complete().map_err(|missing| Unready::trust(missing.to_string()))?;
    let peers = Peers::new(&trust.peers).map_err(|error| Unready::trust(error.to_string()))?;
    let config = config(trust, documents)?;
    let manifest = manifest(trust, documents)?;
    let unusable = |error: PolicyError| Unready::trust(error.to_string());
    let chains = chains(complete.local_policy()).map_err(unusable)?;
    let rules = Adapters::all().of(chains).map_err(|error| Unready::trust(format!("the local policy: {error}")))?;
    let policy = Policy::new(complete.local_policy(), held, &config.policy, &manifest, &rules).map_err(unusable)?;
    let observed = !complete.peers(Role::Sentinel).is_empty();
    Ok(Verified {
        nats: config.nats,
        peers,
        manifest,
        policy,
        rules,
        protection: trust.keys,
        observed,
        vault_key_generation: config.vault_key_generation,
    })
}
