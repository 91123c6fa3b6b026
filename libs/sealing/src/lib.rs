//! Secrets at rest. Each is sealed by the workload's own Transit key under a context that names custody, wallet and
//! purpose, so that a ciphertext moved to another row does not open. Values are opened when they are used and wiped
//! after it; there is no cache.
//!
//! Requests in flight are gathered: while one batch is at the Vault, the next one collects, so that a busy signer asks
//! the Vault once per round trip and not once per signature or wallet. A value that several ask for in one batch is opened
//! once for all of them.

mod client;
pub mod rotation;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use vault::{BATCH_LIMIT, CALL_DEADLINE, Error, Opened, Vault};
use zeroize::Zeroizing;

pub use client::{CLIENT_KEY_LEN, ClientKey, ClientKeyError, is_client_sealed};

/// Requests that may wait for the Vault; more wait at the door.
const QUEUE: usize = 4 * BATCH_LIMIT;

/// Requests to seal in one batch; each has some secrets, and together they rarely are more than one call takes.
const SEALED_AT_ONCE: usize = BATCH_LIMIT / 4;

/// Longest wait for a request: a batch under way, and the next.
const DEADLINE: Duration = CALL_DEADLINE.saturating_mul(2);

/// An opened value. Whoever asked for it at the same time has the same one, and it is wiped when the last of them is done.
pub type Shared = Result<Arc<Zeroizing<Vec<u8>>>, Error>;

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
    openings: mpsc::Sender<Opening>,
    sealings: mpsc::Sender<Sealing>,
}

/// One value on its way to be opened.
struct Opening {
    context: Context,
    ciphertext: String,
    answer: oneshot::Sender<Shared>,
}

/// Secrets on their way to be sealed.
struct Sealing {
    secrets: Vec<(Context, Zeroizing<Vec<u8>>)>,
    answer: oneshot::Sender<Result<Vec<String>, Error>>,
}

impl Sealer {
    /// Starts the gatherers, which end with the sealer. Must be called on a tokio runtime.
    pub fn new(vault: Arc<Vault>) -> Self {
        let (openings, to_open) = mpsc::channel(QUEUE);
        let (sealings, to_seal) = mpsc::channel(QUEUE);
        tokio::spawn(open_batches(vault.clone(), to_open));
        tokio::spawn(seal_batches(vault.clone(), to_seal));
        Self { vault, openings, sealings }
    }

    /// The Vault that seals.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Seals each secret under its context, in the same order, in a batch with whatever else is being sealed; all or
    /// nothing. Waits as [`Sealer::open`] does.
    pub async fn seal(&self, secrets: &[(Context, &[u8])]) -> Result<Vec<String>, Error> {
        let copy = |(context, secret): &(Context, &[u8])| (*context, Zeroizing::new(secret.to_vec()));
        let secrets = secrets.iter().map(copy).collect();
        self.gathered(&self.sealings, |answer| Sealing { secrets, answer }).await
    }

    /// Opens one ciphertext, in a batch with whatever else is being opened. Waits for the batch before it and for its
    /// own, and no longer: behind a crowd at a slow Vault it fails.
    pub async fn open(&self, context: Context, ciphertext: String) -> Shared {
        self.gathered(&self.openings, |answer| Opening { context, ciphertext, answer }).await
    }

    async fn gathered<R, T>(
        &self,
        queue: &mpsc::Sender<R>,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> R,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        // Neither can fail while `self` lives: a gatherer ends only when its queue's last sender is gone.
        let stopped = || Error::Settings("the sealer has stopped".to_owned());
        let turn = async {
            queue.send(request(answer)).await.map_err(|_| stopped())?;
            answered.await.map_err(|_| stopped())?
        };
        tokio::time::timeout(DEADLINE, turn).await.unwrap_or_else(|_| {
            let cause = format!("its turn did not come within {} s", DEADLINE.as_secs());
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
async fn open_batches(vault: Arc<Vault>, mut openings: mpsc::Receiver<Opening>) {
    let mut batch = Vec::with_capacity(BATCH_LIMIT);
    while openings.recv_many(&mut batch, BATCH_LIMIT).await > 0 {
        let askers = askers(batch.drain(..));
        let sealed: Vec<_> = askers.keys().map(|(context, ciphertext)| (*context, ciphertext.as_str())).collect();
        match vault.decrypt(&sealed).await {
            Ok(opened) => askers.into_values().zip(opened).for_each(|(askers, value)| share(askers, value)),
            Err(error) => askers.into_values().for_each(|askers| share(askers, Err(error.clone()))),
        }
    }
}

type Askers<T> = Vec<oneshot::Sender<T>>;

/// Who asked for each value, by context and ciphertext.
fn askers(openings: impl Iterator<Item = Opening>) -> BTreeMap<(vault::Context, String), Askers<Shared>> {
    let mut askers: BTreeMap<_, Askers<Shared>> = BTreeMap::new();
    // Whoever gave up waiting needs nothing opened.
    for Opening { context, ciphertext, answer } in openings.filter(|opening| !opening.answer.is_closed()) {
        askers.entry((context.0, ciphertext)).or_default().push(answer);
    }
    askers
}

fn share(askers: Askers<Shared>, value: Opened) {
    let value = value.map(Arc::new);
    for asker in askers {
        // Whoever does not wait any more drops its share.
        let _ = asker.send(value.clone());
    }
}

async fn seal_batches(vault: Arc<Vault>, mut sealings: mpsc::Receiver<Sealing>) {
    let mut batch = Vec::with_capacity(SEALED_AT_ONCE);
    while sealings.recv_many(&mut batch, SEALED_AT_ONCE).await > 0 {
        batch.retain(|sealing| !sealing.answer.is_closed());
        let secrets: Vec<_> = batch.iter().flat_map(|sealing| &sealing.secrets).collect();
        let secrets: Vec<_> = secrets.into_iter().map(|(context, secret)| (context.0, secret.as_slice())).collect();
        let mut sealed = vault.encrypt(&secrets).await.map(Vec::into_iter);
        for Sealing { secrets, answer } in batch.drain(..) {
            let own = sealed.as_mut().map(|sealed| sealed.take(secrets.len()).collect()).map_err(|error| error.clone());
            let _ = answer.send(own);
        }
    }
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
    fn equal_openings_of_a_batch_are_one_and_a_value_in_another_place_is_another() {
        let (alice, bob) = (Context::new(b"c", "alice", "hot"), Context::new(b"c", "bob", "hot"));
        let (mut waiting, mut openings) = (Vec::new(), Vec::new());
        for (context, ciphertext) in [(alice, "x"), (bob, "x"), (alice, "x"), (alice, "y"), (alice, "x")] {
            let (answer, answered) = oneshot::channel();
            waiting.push(answered);
            openings.push(Opening { context, ciphertext: ciphertext.to_owned(), answer });
        }
        // One gave up, and nobody else wants that value.
        drop(waiting.remove(3));
        let askers = askers(openings.into_iter());
        assert_eq!(askers.len(), 2);
        for (((context, _), askers), secret) in askers.into_iter().zip([1_u8, 2]) {
            assert_eq!(askers.len(), if context == alice.0 { 3 } else { 1 });
            share(askers, Ok(Zeroizing::new(vec![secret])));
        }
        let opened: Vec<_> = waiting.iter_mut().map(|asker| asker.try_recv().unwrap().unwrap()).collect();
        assert!(Arc::ptr_eq(&opened[0], &opened[2]) && Arc::ptr_eq(&opened[0], &opened[3]), "one value for all");
        assert_ne!(opened[0], opened[1]);
        assert_eq!(Arc::strong_count(&opened[0]), 3, "and nobody else has it");
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
