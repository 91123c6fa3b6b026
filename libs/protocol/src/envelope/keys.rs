//! Own keys and the peers' keys.

use std::collections::{BTreeMap, BTreeSet};

use crypto_box::{PublicKey, SecretKey};
use custody::{
    Role, fingerprint,
    trust::{MAX_KEYS_PER_PEER, PeerKeys},
};
use data_encoding::HEXLOWER;
use ed25519_dalek::{SigningKey, VerifyingKey};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

/// First byte of a decoded XKey (NKeys: curve keys, 23 << 3).
const XKEY_PREFIX: u8 = 23 << 3;

/// A party's private keys: one signs its messages, one opens those of others. Wiped when dropped.
pub struct OwnKeys {
    message: SigningKey,
    xkey: XSecret,
    public: PeerKeys,
}

impl OwnKeys {
    /// New keys; `rng` is the operating system's outside tests.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let (mut message, mut xkey) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        rng.fill_bytes(&mut *message);
        rng.fill_bytes(&mut *xkey);
        Self::from_seeds(&message, &xkey)
    }

    /// From an ed25519 seed (RFC 8032) and an X25519 private key.
    pub fn from_seeds(message: &[u8; 32], xkey: &[u8; 32]) -> Self {
        let message = SigningKey::from_bytes(message);
        let public = PeerKeys {
            message_key: HEXLOWER.encode(message.verifying_key().as_bytes()),
            xkey: nkeys::XKey::new_from_raw(*xkey).public_key(),
        };
        Self { message, xkey: XSecret::new(xkey), public }
    }

    /// The ed25519 seed, to be sealed at rest.
    pub fn message_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.message.to_bytes())
    }

    /// The X25519 private key, to be sealed at rest.
    pub fn xkey_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.xkey.0.to_bytes())
    }

    /// Signs attestations and the proof of possession.
    pub fn message_key(&self) -> &SigningKey {
        &self.message
    }

    /// What peers are told.
    pub fn public(&self) -> &PeerKeys {
        &self.public
    }

    pub(super) fn xkey(&self) -> &XSecret {
        &self.xkey
    }
}

/// An X25519 private key that leaves nothing behind: `crypto_box` wipes its scalar only, not the bytes it came from.
pub(super) struct XSecret(Box<SecretKey>);

impl XSecret {
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        Self(Box::new(SecretKey::from_bytes(*bytes)))
    }

    pub(super) fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self::new(&bytes)
    }

    pub(super) fn get(&self) -> &SecretKey {
        &self.0
    }
}

impl Drop for XSecret {
    fn drop(&mut self) {
        *self.0 = SecretKey::from_bytes([0; 32]);
        // Keeps the compiler from leaving out a write that nobody reads.
        std::hint::black_box(&self.0);
    }
}

/// Why peers were refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerError {
    /// Text that is no key.
    #[error("the {kind} of {role} is malformed; approve {role} again with the keys of its report")]
    Malformed {
        /// Whose.
        role: Role,
        /// `message key` or `XKey`.
        kind: &'static str,
    },
    /// More than the present and the next.
    #[error("{0} has {1} keys, at most {MAX_KEYS_PER_PEER} are accepted; remove the oldest")]
    TooMany(Role, usize),
    /// Such a key would speak for two, so for neither.
    #[error("a key of {0} is named twice; approve {0} again with the keys of its report")]
    Twice(Role),
    /// Nobody is its own peer.
    #[error("{0} is named as a peer of itself; remove it from the peers")]
    Own(Role),
}

/// One accepted pair of keys.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) message: VerifyingKey,
    pub(super) xkey: PublicKey,
}

/// The peers that are listened to, from the trust bundle and from nowhere else.
#[derive(Clone, Default)]
pub struct Peers(BTreeMap<Role, Vec<Peer>>);

impl Peers {
    /// Decodes and checks the approved keys: at most [`MAX_KEYS_PER_PEER`] a role, none weak, none twice.
    pub fn new(approved: &BTreeMap<Role, Vec<PeerKeys>>) -> Result<Self, PeerError> {
        let mut seen = BTreeSet::new();
        let mut peers = BTreeMap::new();
        for (&role, keys) in approved {
            if keys.len() > MAX_KEYS_PER_PEER {
                return Err(PeerError::TooMany(role, keys.len()));
            }
            let decoded: Vec<Peer> = keys.iter().map(|keys| Peer::decode(role, keys)).collect::<Result<_, _>>()?;
            let all = decoded.iter().flat_map(|peer| [*peer.message.as_bytes(), *peer.xkey.as_bytes()]);
            if !all.into_iter().all(|key| seen.insert(key)) {
                return Err(PeerError::Twice(role));
            }
            peers.insert(role, decoded);
        }
        Ok(Self(peers))
    }

    /// The keys that may sign for `role`: its messages and its attestations.
    pub fn message_keys(&self, role: Role) -> Vec<VerifyingKey> {
        self.of(role).iter().map(|peer| peer.message).collect()
    }

    pub(super) fn of(&self, role: Role) -> &[Peer] {
        self.0.get(&role).map_or(&[], Vec::as_slice)
    }
}

impl Peer {
    fn decode(role: Role, keys: &PeerKeys) -> Result<Self, PeerError> {
        let malformed = |kind| PeerError::Malformed { role, kind };
        let message = fingerprint::message_key(keys).map_err(|_| malformed("message key"))?;
        if message.is_weak() {
            return Err(malformed("message key"));
        }
        match nkeys::from_public_key(&keys.xkey) {
            Ok((XKEY_PREFIX, bytes)) => Ok(Self { message, xkey: PublicKey::from_bytes(bytes) }),
            _ => Err(malformed("XKey")),
        }
    }
}
