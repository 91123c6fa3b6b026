//! Making envelopes.

use std::sync::Arc;

use crypto_box::{Nonce, SalsaBox, aead::Aead};
use custody::Role;
use ed25519_dalek::Signer;
use prost::Message;
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};

use super::{
    keys::{Peer, XSecret},
    limits::{DOMAIN, LIFETIME_MS, MAX_BYTES, VERSION},
    party::Party,
    recent::Ephemeral,
    verified::{RequestTicket, VerifiedRequest},
    wire::{Body, Kind, Sealed, Signed},
};
use crate::pae::pae;

/// Prefix of a NATS XKey box.
pub(super) const BOX_VERSION: &[u8] = b"xkv1";
/// XSalsa20's nonce.
pub(super) const NONCE_BYTES: usize = 24;

/// Why nothing could be sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// No approved key.
    #[error("{0} has no approved keys here; approve it first (`multisig member approve {0}`)")]
    UnknownPeer(Role),
    /// The broker would cut the connection.
    #[error("the message has {0} bytes, at most {MAX_BYTES} may be sent once it is sealed; send less at once")]
    TooLarge(usize),
}

impl Party {
    /// A request to `to`, to be published on `subject` at once: it lives [`LIFETIME_MS`]. A retry is another envelope
    /// around the same payload. `now_ms` is Unix milliseconds.
    pub fn request(
        &self,
        to: Role,
        subject: &str,
        payload: &[u8],
        now_ms: u64,
        rng: &mut impl CryptoRngCore,
    ) -> Result<(Vec<u8>, RequestTicket), SealError> {
        let peer = self.peers().of(to).first().ok_or(SealError::UnknownPeer(to))?;
        let body = self.body(to, subject, payload, now_ms, Kind::Request, rng);
        let (bytes, digest) = self.seal(&body, peer, rng)?;
        Ok((bytes, RequestTicket { party: self.clone(), to, subject: subject.to_owned(), digest }))
    }

    /// The answer to a request, sealed to the keys it came with and bound to its digest.
    pub fn respond(
        &self,
        request: &VerifiedRequest,
        payload: &[u8],
        now_ms: u64,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, SealError> {
        let body = Body {
            in_reply_to: request.digest.to_vec(),
            ..self.body(request.sender, &request.subject, payload, now_ms, Kind::Response, rng)
        };
        Ok(self.seal(&body, &request.peer, rng)?.0)
    }

    fn body(
        &self,
        to: Role,
        subject: &str,
        payload: &[u8],
        now_ms: u64,
        kind: Kind,
        rng: &mut impl CryptoRngCore,
    ) -> Body {
        let mut id = vec![0; 16];
        rng.fill_bytes(&mut id);
        Body {
            v: VERSION,
            custody_id: self.custody().as_bytes().to_vec(),
            id,
            in_reply_to: Vec::new(),
            subject: subject.to_owned(),
            sender: self.role().as_str().to_owned(),
            recipient: to.as_str().to_owned(),
            iat_ms: now_ms,
            exp_ms: now_ms.saturating_add(LIFETIME_MS),
            kind: kind.into(),
            payload: payload.to_vec(),
        }
    }

    /// Signs, then seals at the time that the body says it is made. Returns the digest of what was signed beside the envelope.
    pub(super) fn seal(
        &self,
        body: &Body,
        to: &Peer,
        rng: &mut impl CryptoRngCore,
    ) -> Result<(Vec<u8>, [u8; 32]), SealError> {
        if body.payload.len() >= MAX_BYTES {
            return Err(SealError::TooLarge(body.payload.len()));
        }
        let (signed, digest) = self.sign(body);
        let bytes = self.ephemeral(to, body.iat_ms, rng).seal(to, &signed, rng).encode_to_vec();
        if bytes.len() > MAX_BYTES { Err(SealError::TooLarge(bytes.len())) } else { Ok((bytes, digest)) }
    }

    /// The encoded [`Signed`] and the digest of what its signature covers.
    pub(super) fn sign(&self, body: &Body) -> (Vec<u8>, [u8; 32]) {
        let body = body.encode_to_vec();
        let covered = pae(DOMAIN, &body);
        let sig = self.keys().message_key().sign(&covered).to_bytes().to_vec();
        (Signed { body, sig }.encode_to_vec(), Sha256::digest(&covered).into())
    }

    /// The key that serves this peer at present: a new one after [`super::MAX_EPHEMERAL_MS`].
    fn ephemeral(&self, to: &Peer, now_ms: u64, rng: &mut impl CryptoRngCore) -> Arc<Ephemeral> {
        let (sending, xkey) = (&self.keys().shared().sending, to.xkey.as_bytes());
        sending.get(xkey, now_ms).unwrap_or_else(|| {
            let ephemeral = Arc::new(Ephemeral::generate(to, rng));
            sending.keep(*xkey, ephemeral.clone(), now_ms);
            ephemeral
        })
    }
}

impl Ephemeral {
    pub(super) fn generate(to: &Peer, rng: &mut impl CryptoRngCore) -> Self {
        let secret = XSecret::generate(rng);
        Self { public: *secret.public(), key: SalsaBox::new(&to.xkey, secret.get()) }
    }

    /// Seals to the peer that it was made for, with a nonce of its own: 24 random bytes never meet again.
    pub(super) fn seal(&self, to: &Peer, signed: &[u8], rng: &mut impl CryptoRngCore) -> Sealed {
        let mut nonce = Nonce::default();
        rng.fill_bytes(&mut nonce);
        let ciphertext = self
            .key
            .encrypt(&nonce, signed)
            .expect("XSalsa20-Poly1305 fails only with associated data or beyond 256 GiB");
        Sealed {
            v: VERSION,
            to_xkey: to.xkey.as_bytes().to_vec(),
            eph_pub: self.public.to_vec(),
            r#box: [BOX_VERSION, &nonce[..], &ciphertext].concat(),
        }
    }
}
