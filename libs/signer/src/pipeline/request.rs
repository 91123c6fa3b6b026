//! The first step: who asks, whether this role may ask for it, an operation id, an operation.

use audit::{Decision, Entry};
use custody::Role;
use prost::Message;
use protocol::ops::{Attestation, Batch, NotAskedBy, OPERATION_ID_BYTES, Operation, Request};
use sealing::ClientKey;
use sha2::{Digest, Sha256};

use super::{context::SigningContext, stop::Stop};
use crate::store::OperationKey;

/// Who signed a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Role.
    pub role: Role,
    /// The ed25519 message key that signed.
    pub key: [u8; 32],
}

/// A request that is understood completely, from somebody who may ask for it.
pub(super) struct Accepted {
    pub(super) asker: Asker,
    pub(super) key: OperationKey,
    pub(super) operation: Operation,
    /// What seals the wallet's keys, where the asker has it.
    pub(super) client_key: Option<ClientKey>,
    /// Keeper's head that came with hot's signatures.
    pub(super) hot_head: Option<Attestation>,
}

impl Accepted {
    /// `digest` is SHA-256 of the request's exact bytes.
    pub(super) fn new(asker: Asker, request: Request, digest: [u8; 32]) -> Result<Self, Stop> {
        let (request, digest, hot_head) = take_hot_head(request, digest);
        let Request { operation_id, operation } = request;
        if operation_id.len() != OPERATION_ID_BYTES {
            let message = format!("the operation id has {} bytes, expected {OPERATION_ID_BYTES}", operation_id.len());
            return Err(Stop::refused("Malformed", message));
        }
        let mut operation = operation.ok_or_else(|| Stop::refused("Malformed", "the request names no operation"))?;
        operation.asked_by(asker.role).map_err(|NotAskedBy { reason, by }| {
            Stop::refused(reason, format!("{} may not ask for {}; only {by} may", asker.role, operation.name()))
        })?;
        let client_key = take_client_key(&mut operation)?;
        let key = OperationKey { sender: asker.role.as_str(), operation_id, digest };
        Ok(Self { asker, key, operation, client_key, hot_head })
    }

    /// What the audit chain says of it, before it is decided.
    pub(super) fn entry(&self, serving: &SigningContext, at_ms: u64) -> Entry {
        Entry {
            at_ms,
            role: serving.role.to_string(),
            custody_id: serving.custody_id().as_bytes().to_vec(),
            requester: self.asker.role.to_string(),
            requester_key: self.asker.key.to_vec(),
            operation_id: self.key.operation_id.clone(),
            operation: self.operation.name().to_owned(),
            wallet: self.operation.wallet().to_owned(),
            chain: self.operation.chain().to_owned(),
            digest: Vec::new(),
            decision: Decision::Refused,
            reason: String::new(),
            policy_digest: serving.policy.digest().to_vec(),
            trust_digest: serving.trust_digest.to_vec(),
        }
    }
}

/// The head is of the moment: with a later one it is the same operation, so its id stands for the rest of the request.
fn take_hot_head(mut request: Request, digest: [u8; 32]) -> (Request, [u8; 32], Option<Attestation>) {
    let head = request.operation.as_mut().and_then(Operation::hot_head_mut).and_then(Option::take);
    let digest = if head.is_some() { self::digest(&request) } else { digest };
    (request, digest, head)
}

/// The key leaves the message, which may be printed or kept, for a type that may not.
fn take_client_key(operation: &mut Operation) -> Result<Option<ClientKey>, Stop> {
    let Some(key) = operation.client_key_mut() else { return Ok(None) };
    if key.is_empty() {
        return Ok(None);
    }
    let key = zeroize::Zeroizing::new(std::mem::take(key));
    ClientKey::from_slice(&key).map(Some).map_err(|error| Stop::refused("Malformed", error.to_string()))
}

/// SHA-256 of a request's one encoding: what its operation id stands for.
pub fn digest(request: &Request) -> [u8; 32] {
    Sha256::digest(request.encode_to_vec()).into()
}

/// A batch's requests, each as if it had come alone.
pub(super) fn items(asker: Asker, batch: Batch) -> Result<Vec<Result<Accepted, Stop>>, Stop> {
    batch.check().map_err(|error| Stop::refused("Malformed", error.to_string()))?;
    let accept = |request: Request| {
        let digest = digest(&request);
        Accepted::new(asker, request, digest)
    };
    Ok(batch.requests.into_iter().map(accept).collect())
}
