//! Secrets at rest. Each is sealed by the workload's own Transit key under a context that names custody, wallet and
//! purpose, so that a ciphertext moved to another row does not open. Values are opened when they are used and wiped
//! after it; there is no cache.
//!
//! Requests in flight are gathered: while one batch is at the Vault, the next one collects, so that a busy signer asks
//! the Vault once per round trip and not once per signature.

mod client;
pub mod rotation;

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use vault::{BATCH_LIMIT, CALL_DEADLINE, Error, Opened, Vault};
use zeroize::Zeroizing;

pub use client::{CLIENT_KEY_LEN, ClientKey, ClientKeyError, is_client_sealed};

/// Openings that may wait for the Vault; more wait at the door.
const QUEUE: usize = 4 * BATCH_LIMIT;

/// Longest wait for one opening: a batch under way, and the next.
const OPEN_DEADLINE: Duration = CALL_DEADLINE.saturating_mul(2);

/// What a sealed value belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context(vault::Context);

impl Context {
    /// SHA-256 over the three parts, each with its length before it. A part that does not apply is empty.
    pub fn new(custody_id: &[u8], wallet: &str, purpose: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [custody_id, wallet.as_bytes(), purpose.as_bytes()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

/// Seals and opens secrets by a workload's Vault.
pub struct Sealer {
    vault: Arc<Vault>,
    queue: mpsc::Sender<Opening>,
}

/// One value on its way to be opened.
struct Opening {
    context: Context,
    ciphertext: String,
    answer: oneshot::Sender<Opened>,
}

impl Sealer {
    /// Starts the gatherer, which ends with the sealer. Must be called on a tokio runtime.
    pub fn new(vault: Arc<Vault>) -> Self {
        let (queue, openings) = mpsc::channel(QUEUE);
        tokio::spawn(gather(vault.clone(), openings));
        Self { vault, queue }
    }

    /// The Vault that seals.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Seals each secret under its context, in the same order; all or nothing.
    pub async fn seal(&self, secrets: &[(Context, &[u8])]) -> Result<Vec<String>, Error> {
        let secrets: Vec<_> = secrets.iter().map(|(context, secret)| (context.0, *secret)).collect();
        self.vault.encrypt(&secrets).await
    }

    /// Opens one ciphertext, in a batch with whatever else is being opened. Waits for the batch before it and for its
    /// own, and no longer: behind a crowd at a slow Vault it fails.
    pub async fn open(&self, context: Context, ciphertext: String) -> Opened {
        let (answer, opened) = oneshot::channel();
        // Neither can fail while `self` lives: the gatherer ends only when the queue's last sender is gone.
        let stopped = || Error::Settings("the sealer has stopped".to_owned());
        let opening = async {
            self.queue.send(Opening { context, ciphertext, answer }).await.map_err(|_| stopped())?;
            opened.await.map_err(|_| stopped())?
        };
        tokio::time::timeout(OPEN_DEADLINE, opening).await.unwrap_or_else(|_| {
            let cause = format!("its turn did not come within {} s", OPEN_DEADLINE.as_secs());
            Err(Error::Away { address: self.vault.address().to_owned(), cause })
        })
    }

    /// Seals each value again by the newest version of the key, in the same order; one that does not open does not spoil
    /// the rest.
    pub async fn rewrap(&self, sealed: &[(Context, &str)]) -> Result<Vec<Result<String, Error>>, Error> {
        let sealed: Vec<_> = sealed.iter().map(|(context, ciphertext)| (context.0, *ciphertext)).collect();
        self.vault.rewrap(&sealed).await
    }

    /// Opens all, in the same order; one that does not open does not spoil the rest.
    pub async fn open_many(&self, sealed: &[(Context, &str)]) -> Result<Vec<Opened>, Error> {
        let sealed: Vec<_> = sealed.iter().map(|(context, ciphertext)| (context.0, *ciphertext)).collect();
        self.vault.decrypt(&sealed).await
    }
}

/// One batch at a time: what arrives meanwhile is the next batch.
async fn gather(vault: Arc<Vault>, mut openings: mpsc::Receiver<Opening>) {
    let mut batch = Vec::with_capacity(BATCH_LIMIT);
    while openings.recv_many(&mut batch, BATCH_LIMIT).await > 0 {
        // Whoever gave up waiting needs nothing opened.
        batch.retain(|opening| !opening.answer.is_closed());
        let sealed: Vec<_> = batch.iter().map(|opening| (opening.context.0, opening.ciphertext.as_str())).collect();
        match vault.decrypt(&sealed).await {
            Ok(opened) => batch.drain(..).zip(opened).for_each(|(opening, value)| reply(opening, value)),
            Err(error) => batch.drain(..).for_each(|opening| reply(opening, Err(error.clone()))),
        }
    }
}

fn reply(opening: Opening, value: Result<Zeroizing<Vec<u8>>, Error>) {
    // Nobody waits any more; the value is wiped as it drops.
    let _ = opening.answer.send(value);
}

/// The key version that sealed a Vault's ciphertext, `vault:vN:...`; none where something else sealed it.
pub fn version(ciphertext: &str) -> Option<u64> {
    let (digits, _) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ciphertext_names_the_version_that_sealed_it() {
        assert_eq!(version("vault:v1:AAAA"), Some(1));
        assert_eq!(version("vault:v120:"), Some(120));
        for other in ["client:v1:AAAA", "vault:v1", "vault:v:A", "vault:v+1:A", "vault:v-1:A", "vault:1:A", ""] {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn contexts_differ_by_every_part_and_no_part_runs_into_the_next() {
        let contexts = [
            Context::new(b"c", "wallet", "hot.eip155"),
            Context::new(b"d", "wallet", "hot.eip155"),
            Context::new(b"c", "walle", "thot.eip155"),
            Context::new(b"cw", "allet", "hot.eip155"),
            Context::new(b"", "wallet", "hot.eip155"),
        ];
        for (i, a) in contexts.iter().enumerate() {
            assert!(contexts[i + 1..].iter().all(|b| a != b));
        }
    }

    #[test]
    fn a_context_is_the_same_for_ever() {
        let expected = Sha256::digest(b"\0\0\0\0\0\0\0\x01c\0\0\0\0\0\0\0\x01w\0\0\0\0\0\0\0\x01p");
        assert_eq!(Context::new(b"c", "w", "p").0, <[u8; 32]>::from(expected));
    }
}
