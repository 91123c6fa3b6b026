//! Own keys and the peers' keys.

use std::collections::{BTreeMap, BTreeSet};

use crypto_box::{PublicKey, SecretKey};
use custody::{Role, identity::PeerKeys, trust::MAX_KEYS_PER_PEER};
use data_encoding::HEXLOWER;
use ed25519_dalek::{SigningKey, VerifyingKey};
use rand_core::CryptoRngCore;
use zeroize::Zeroizing;

use super::recent::SharedKeys;

/// First byte of a decoded XKey (NKeys: curve keys, 23 << 3).
const XKEY_PREFIX: u8 = 23 << 3;

/// A party's private keys: one signs its messages, one opens those of others. Wiped when dropped, and with them the
/// shared keys that were computed with them.
pub struct OwnKeys {
    message: SigningKey,
    xkey: XSecret,
    public: PeerKeys,
    shared: SharedKeys,
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
        Self { message, xkey: XSecret::new(xkey), public, shared: SharedKeys::default() }
    }

    /// The ed25519 seed, to be sealed at rest.
    pub fn message_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.message.to_bytes())
    }

    /// The X25519 private key, to be sealed at rest.
    pub fn xkey_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.xkey.secret.to_bytes())
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

    pub(super) fn shared(&self) -> &SharedKeys {
        &self.shared
    }
}

/// An X25519 private key that leaves nothing behind: `crypto_box` wipes its scalar only, not the bytes it came from.
pub(super) struct XSecret {
    secret: Box<SecretKey>,
    public: PublicKey,
}

impl XSecret {
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        let secret = Box::new(SecretKey::from_bytes(*bytes));
        let public = secret.public_key();
        Self { secret, public }
    }

    pub(super) fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self::new(&bytes)
    }

    pub(super) fn get(&self) -> &SecretKey {
        &self.secret
    }

    /// Computed once.
    pub(super) fn public(&self) -> &[u8; 32] {
        self.public.as_bytes()
    }
}

impl Drop for XSecret {
    fn drop(&mut self) {
        *self.secret = SecretKey::from_bytes([0; 32]);
        // Keeps the compiler from leaving out a write that nobody reads.
        std::hint::black_box(&self.secret);
    }
}

/// Why peers were refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeerError {
    /// Text that is not a key.
    #[error("the {kind} of {role} is malformed; approve {role} again with the keys in its report")]
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

/// The peers that are listened to, from the member trust and from nowhere else.
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
        let message = custody::identity::message_key(keys).map_err(|_| malformed("message key"))?;
        if message.is_weak() {
            return Err(malformed("message key"));
        }
        match nkeys::from_public_key(&keys.xkey) {
            Ok((XKEY_PREFIX, bytes)) if is_usable(&bytes) => Ok(Self { message, xkey: PublicKey::from_bytes(bytes) }),
            _ => Err(malformed("XKey")),
        }
    }
}

/// The points of small order, as u-coordinates: 0, 1, the two of order eight, and -1.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    with_first(0x01, [0; 32]),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    with_first(0xec, PRIME),
];

/// 2^255 - 19, the least number that has a second encoding.
const PRIME: [u8; 32] = {
    let mut bytes = with_first(0xed, [0xff; 32]);
    bytes[31] = 0x7f;
    bytes
};

const fn with_first(first: u8, mut bytes: [u8; 32]) -> [u8; 32] {
    bytes[0] = first;
    bytes
}

/// Whether an X25519 public key is in its one encoding and gives a secret (RFC 7748, sections 5 and 6.1). An unused
/// highest bit, or a number beyond the prime, would be another encoding of the same key. A point of small order gives
/// one of few secrets, whatever the other key is; that secret is not always zero here, since `crypto_box` reduces its
/// scalars, so the points are named.
pub(super) fn is_usable(public: &[u8; 32]) -> bool {
    let canonical = public.iter().rev().cmp(PRIME.iter().rev()).is_lt();
    canonical && !SMALL_ORDER.contains(public)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_second_encoding_is_not_usable() {
        let mut nine = with_first(9, [0; 32]);
        assert!(is_usable(&nine));
        nine[31] = 0x80;
        assert!(!is_usable(&nine), "the highest bit counts for nothing");
        assert!(is_usable(&with_first(0xeb, PRIME)), "-2");
        assert!((0xed..=0xff).all(|first| !is_usable(&with_first(first, PRIME))));
    }

    /// A multiple of eight brings exactly these to the neutral element, which X25519 shows as zero.
    #[test]
    fn points_of_small_order_are_not_usable() {
        let times_eight = |public: [u8; 32]| {
            let eight = curve25519_dalek::scalar::Scalar::from(8u8);
            (curve25519_dalek::MontgomeryPoint(public) * eight).to_bytes()
        };
        for public in SMALL_ORDER {
            assert_eq!(times_eight(public), [0; 32]);
            assert!(!is_usable(&public));
        }
        assert_ne!(times_eight(with_first(9, [0; 32])), [0; 32]);
    }
}
