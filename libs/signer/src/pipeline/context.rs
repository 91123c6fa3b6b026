//! What a signer serves with: documents that were verified together, opened keys, a Vault. A value that never changes;
//! another one takes its place when anything does.

use std::sync::Arc;

use audit::Head;
use chain::{ChainId, KeyRole, Rules};
use custody::{
    CustodyId, Role,
    manifest::VerifiedManifest,
    phrase::{Keys as PhraseKeys, NAMESPACES, PhraseError},
    trust::KeyProtection,
};
use ed25519_dalek::VerifyingKey;
use policy::Policy;
use protocol::{envelope::Peers, ops::Attestation};
use sealing::{ClientKey, Context, Sealer};
use zeroize::Zeroizing;

use super::{attest::attest, stop::Stop};
use crate::{
    identity::Keys,
    store::{SealedKey, Start},
};

/// All that operations depend on beside the store, as one value that never changes: documents that were verified
/// together, opened keys, a Vault. Made by whoever embeds the signer.
pub struct SigningContext {
    /// Keeper or Cooler.
    pub role: Role,
    /// The signer's own keys.
    pub keys: Arc<Keys>,
    /// Approved peers.
    pub peers: Peers,
    /// The pinned manifest.
    pub manifest: VerifiedManifest,
    /// The effective policy.
    pub policy: Policy,
    /// Adapters of the chains that the local policy names.
    pub rules: Rules,
    /// The Vault.
    pub sealer: Arc<Sealer>,
    /// What seals users' keys.
    pub protection: KeyProtection,
    /// Whether the member trust names a sentinel: it grants the lease and attests settlements.
    pub observed: bool,
    /// SHA-256 of the member trust.
    pub trust_digest: [u8; 32],
}

impl SigningContext {
    pub(super) fn custody_id(&self) -> CustodyId {
        self.manifest.custody_id()
    }

    /// This signer's statement of its own head.
    pub(super) fn attest(&self, head: Head, overrides: u64, start: Option<Start>, at_ms: u64) -> Attestation {
        attest(self.role, self.custody_id(), &self.keys, head, overrides, start, at_ms)
    }

    /// The owner that this signer signs as.
    pub(super) fn owner(&self) -> KeyRole {
        if self.role == Role::Keeper { KeyRole::Hot } else { KeyRole::Cool }
    }

    /// The keys that attest hot public keys: Keeper's.
    pub(super) fn keeper_keys(&self) -> Vec<VerifyingKey> {
        match self.role {
            Role::Keeper => vec![self.keys.own().message_key().verifying_key()],
            _ => self.peers.message_keys(Role::Keeper),
        }
    }

    pub(super) fn rules(&self, chain: &str) -> Result<(ChainId, &dyn chain::ChainRules), Stop> {
        let known = chain.parse().ok().and_then(|chain: ChainId| self.rules.get_key_value(&chain));
        match known {
            Some((chain, rules)) => Ok((chain.clone(), rules.as_ref())),
            None => {
                Err(Stop::refused("ChainNotAllowed", format!("the local policy names no asset on chain '{chain}'")))
            }
        }
    }

    /// Opens a user's or the cool key, by whatever seals it.
    pub(super) async fn open(
        &self,
        context: Context,
        sealed: String,
        client_key: Option<&ClientKey>,
    ) -> Result<Arc<Zeroizing<Vec<u8>>>, Stop> {
        match client_key {
            None => Ok(self.sealer.open(context, sealed).await?),
            Some(key) => key
                .open(context, &sealed)
                .map(Arc::new)
                .map_err(|_| Stop::unavailable("KeyDamaged", "a sealed key does not open; restore the volume")),
        }
    }

    /// A client's key is there exactly where the member trust asks for one.
    pub(super) fn require_client_key(&self, key: Option<&ClientKey>) -> Result<(), Stop> {
        let wanted = self.role == Role::Keeper && self.protection == KeyProtection::ClientKey;
        match (wanted, key) {
            (true, Some(_)) | (false, None) => Ok(()),
            (true, None) => Err(Stop::refused("Malformed", "this keeper seals by client keys; send the wallet's key")),
            (false, Some(_)) => Err(Stop::refused("Malformed", "this signer seals by its Vault; send no client key")),
        }
    }
}

/// The context of a user's hot key for a family of chains.
pub fn hot_key_context(custody: CustodyId, wallet: &str, namespace: &str) -> Context {
    Context::new(custody.as_bytes(), wallet, &format!("hot.{namespace}.v1"))
}

/// The context of the entropy of a user's phrase.
pub fn entropy_context(custody: CustodyId, wallet: &str) -> Context {
    Context::new(custody.as_bytes(), wallet, "entropy.v1")
}

/// The keys of a cool phrase, sealed in one request to the Vault.
pub async fn seal_cool_keys<E>(sealer: &Sealer, custody: CustodyId, keys: &PhraseKeys) -> Result<Vec<SealedKey>, E>
where
    E: From<PhraseError> + From<vault::Error>,
{
    let mut secrets = Vec::with_capacity(NAMESPACES.len());
    for namespace in NAMESPACES {
        secrets.push((cool_key_context(custody, namespace), keys.secret(namespace)?));
    }
    let secrets: Vec<_> = secrets.iter().map(|(context, secret)| (*context, secret.as_slice())).collect();
    let mut rows = Vec::with_capacity(NAMESPACES.len());
    for (namespace, secret) in NAMESPACES.into_iter().zip(sealer.seal(&secrets).await?) {
        let public_key = keys.public_key(namespace)?.to_vec();
        rows.push(SealedKey { namespace: namespace.to_owned(), public_key, secret });
    }
    Ok(rows)
}

/// The context of the cool key for a family of chains.
pub fn cool_key_context(custody: CustodyId, namespace: &str) -> Context {
    Context::new(custody.as_bytes(), "", &format!("cool.{namespace}.v1"))
}
