//! What a signer needs of a chain, as a pure trait: wallet address from its three owners, decoding of the very bytes
//! to be signed, digest, signatures. No IO, no clock, no randomness. Linked into Keeper, Cooler, the offline CLI and App.

mod amount;

use std::fmt;

use custody::{KeyRole, manifest::VerifiedManifest};
use serde::{Deserialize, Serialize};

pub use amount::Amount;

/// CAIP-2 chain id (`eip155:1`): part of every request, registry row and watermark.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChainId(String);

impl ChainId {
    /// Before the colon: the family of chains that share keys and rules (`eip155`).
    pub fn namespace(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// After the colon: which chain of that family.
    pub fn reference(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChainId {
    type Error = ChainError;

    fn try_from(text: String) -> Result<Self, ChainError> {
        let known = |part: &str, longest: usize| {
            (1..=longest).contains(&part.len())
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        match text.split_once(':') {
            Some((namespace, reference)) if known(namespace, 8) && known(reference, 32) => Ok(Self(text)),
            _ => Err(ChainError::ChainId(text)),
        }
    }
}

impl std::str::FromStr for ChainId {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        text.to_owned().try_into()
    }
}

impl From<ChainId> for String {
    fn from(id: ChainId) -> Self {
        id.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is wrong with keys, addresses or chain ids that were handed in.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ChainError {
    /// Not CAIP-2.
    #[error("'{0}' is no chain id: expected CAIP-2, for example eip155:1")]
    ChainId(String),
    /// A public key is malformed.
    #[error("the {role} public key is malformed: expected {expected}")]
    PublicKey {
        /// Whose key.
        role: KeyRole,
        /// The encoding asked for.
        expected: &'static str,
    },
    /// The manifest has no key for this family of chains.
    #[error("the manifest has no {role} key for chain namespace '{namespace}'; this custody can't use that chain")]
    NoKey {
        /// Whose key.
        role: KeyRole,
        /// CAIP-2 namespace.
        namespace: String,
    },
    /// An amount is malformed.
    #[error("'{0}' is no amount: expected a whole number of the smallest unit, without leading zeros, below 2^256")]
    Amount(String),
    /// Two owners are one: 2-of-3 would be 1-of-2.
    #[error("two owners of this wallet are the same key; a wallet needs three different ones")]
    SameOwner,
    /// An address is malformed.
    #[error("'{0}' is no address of this chain")]
    Address(String),
    /// A secret key is malformed.
    #[error("the secret key is malformed")]
    SecretKey,
    /// The unsigned bytes or signatures can't be put together.
    #[error("{0}")]
    Assemble(String),
}

/// Public keys of the three owners, in the order that every address uses; encoding is the chain's (33-byte SEC1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    /// The user's hot key.
    pub hot: Vec<u8>,
    /// The custody's cool key.
    pub cool: Vec<u8>,
    /// The custody's cold key.
    pub cold: Vec<u8>,
}

impl Owners {
    /// A user's hot key with the cool and cold keys that the manifest fixes for the chain's namespace.
    pub fn of(manifest: &VerifiedManifest, chain: &ChainId, hot: &[u8]) -> Result<Self, ChainError> {
        let namespace = chain.namespace();
        let missing = |role| ChainError::NoKey { role, namespace: namespace.to_owned() };
        Ok(Self {
            hot: hot.to_vec(),
            cool: manifest.cool_key(namespace).ok_or_else(|| missing(KeyRole::Cool))?.to_vec(),
            cold: manifest.cold_key(namespace).ok_or_else(|| missing(KeyRole::Cold))?.to_vec(),
        })
    }

    /// The key of a role.
    pub fn key(&self, role: KeyRole) -> &[u8] {
        match role {
            KeyRole::Hot => &self.hot,
            KeyRole::Cool => &self.cool,
            KeyRole::Cold => &self.cold,
        }
    }
}

/// A wallet as the chain sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletDesc {
    /// Which chain.
    pub chain: ChainId,
    /// The deposit address, in the chain's display form.
    pub address: String,
    /// The owners' public keys.
    pub owners: Owners,
    /// Owners' addresses, hot, cool, cold, in the chain's display form.
    pub owner_addresses: [String; 3],
    /// Salt of the address, 32 bytes.
    pub salt: [u8; 32],
}

/// An asset that may move. Whatever is not listed is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Symbol for policy and people.
    pub symbol: String,
    /// `None` is the chain's native coin.
    pub contract: Option<String>,
}

/// What signing would do, decoded from the bytes to be signed and from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Moves one asset to one destination.
    Transfer {
        /// Symbol of the asset.
        asset: String,
        /// Destination, display form.
        to: String,
        /// Amount in the smallest unit.
        amount: Amount,
    },
    /// Moves nothing: uses up the nonce. `to` must be one of the manifest's safe destinations.
    Cancel {
        /// Destination of the empty call.
        to: String,
    },
}

/// A decoded transaction: what it does, what it uses up, what is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The only effect.
    pub intent: Intent,
    /// Uniqueness within the wallet: at most one payment digest per nonce.
    pub nonce: u64,
    /// The 32 bytes that owners sign.
    pub digest: [u8; 32],
}

/// Why a transaction is not signed: stable reason and one line for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Refusal {
    /// CamelCase, part of the API.
    pub reason: &'static str,
    /// What was wrong.
    pub message: String,
}

/// A chain's rules.
pub trait ChainRules: Send + Sync {
    /// Which chain.
    fn id(&self) -> &ChainId;

    /// The wallet of these owners, computed offline.
    fn wallet(&self, owners: &Owners, salt: [u8; 32]) -> Result<WalletDesc, ChainError>;

    /// Decodes all of `unsigned`; refuses what is not understood, not canonical, or moves an asset not in `assets`.
    fn decode(&self, unsigned: &[u8], wallet: &WalletDesc, assets: &[Asset]) -> Result<Decoded, Refusal>;

    /// Signs `digest` with a 32-byte secret key; the signature is 65 bytes r, s, v for EVM.
    fn sign(&self, secret: &[u8; 32], digest: &[u8; 32]) -> Result<Vec<u8>, ChainError>;

    /// Whether `signature` over `digest` is by `public_key`.
    fn verify(&self, public_key: &[u8], digest: &[u8; 32], signature: &[u8]) -> bool;

    /// Public key of a 32-byte secret key, in the chain's encoding.
    fn public_key(&self, secret: &[u8; 32]) -> Result<Vec<u8>, ChainError>;

    /// The canonical display form of an address, or an error.
    fn address(&self, text: &str) -> Result<String, ChainError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_caip_2() {
        let id: ChainId = "eip155:8453".parse().unwrap();
        assert_eq!((id.namespace(), id.reference(), id.to_string().as_str()), ("eip155", "8453", "eip155:8453"));
        for bad in ["", ":", "eip155", "eip155:", ":1", "eip155:1:2", "eip 155:1", "toolongname:1", "eip155:1\n"] {
            assert_eq!(bad.parse::<ChainId>(), Err(ChainError::ChainId(bad.to_owned())));
        }
    }
}
