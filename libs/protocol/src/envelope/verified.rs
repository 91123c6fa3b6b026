//! What passed every check, and what is needed to believe an answer. Only opening and sealing make these.

use custody::Role;
use sha2::{Digest, Sha256};

use super::{keys::Peer, party::Party};

/// A request that passed every check.
pub struct VerifiedRequest {
    pub(super) sender: Role,
    pub(super) subject: String,
    pub(super) digest: [u8; 32],
    pub(super) peer: Peer,
    pub(super) payload: Vec<u8>,
    pub(super) iat_ms: u64,
}

impl VerifiedRequest {
    /// Who signed it.
    pub fn sender(&self) -> Role {
        self.sender
    }

    /// Where it was published.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The ed25519 public key that signed it, one of those approved for the sender.
    pub fn key(&self) -> &[u8; 32] {
        self.peer.message.as_bytes()
    }

    /// SHA-256 of what the signature covers: names this envelope. Another in every retry.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// SHA-256 of the payload: names what is asked for. The same in every retry.
    pub fn payload_digest(&self) -> [u8; 32] {
        Sha256::digest(&self.payload).into()
    }

    /// The operation's bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The operation's bytes, for whoever needs them no more than once: they are gone from here.
    pub fn take_payload(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.payload)
    }

    /// When it was made by the sender's clock, Unix milliseconds.
    pub fn iat_ms(&self) -> u64 {
        self.iat_ms
    }
}

/// A response that passed every check and answers the request it was opened with.
pub struct VerifiedResponse {
    pub(super) payload: Vec<u8>,
    pub(super) iat_ms: u64,
}

impl VerifiedResponse {
    /// The outcome's bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// When it was made by the answering side's clock, Unix milliseconds.
    pub fn iat_ms(&self) -> u64 {
        self.iat_ms
    }
}

/// What is needed to believe the answer to a request, and nothing but that answer.
pub struct RequestTicket {
    pub(super) party: Party,
    pub(super) to: Role,
    pub(super) subject: String,
    pub(super) digest: [u8; 32],
}

impl RequestTicket {
    /// SHA-256 of what the request's signature covers: what the answer is bound to.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}
