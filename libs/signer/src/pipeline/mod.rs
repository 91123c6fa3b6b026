//! One request, from the sender's verified bytes to the answer. Each step is a type that the next one needs: nothing
//! undecoded reaches the policy, nothing unjudged the watermark, nothing unrecorded the key.
//!
//! accept -> freeze, lock, lease -> idempotency -> registry and decode -> countersignature -> nonce, policy, watermark,
//! spend and audit record in one commit -> unseal -> sign -> verify -> answer.

mod create;
pub(crate) mod fault;
mod gate;
mod nonce;
mod observe;
mod payment;
mod register;
mod request;
mod stop;
#[cfg(test)]
mod tests;
mod vouch;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption};
use audit::{Decision, Entry, Head};
use chain::{ChainId, WalletDesc};
use custody::{CustodyId, KeyRole, Role, manifest::VerifiedManifest, trust::KeyProtection};
use ed25519_dalek::VerifyingKey;
use futures::future::join_all;
use policy::Policy;
use prost::Message;
use protocol::{
    envelope::Peers,
    ops::{Attestation, Operation, Outcome, Refused, Request, Response, Responses},
};
use sealing::{ClientKey, Context, Sealer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    chains::Rules,
    identity::Keys,
    store::{Ledger, OperationKey, Recall, Store, StoreError},
};
pub use gate::Lock;
pub(crate) use observe::vouchers;
pub use request::Asker;
pub(crate) use request::name;
use request::{Accepted, items};
pub(crate) use stop::Stop;

/// Wallets whose description is remembered; all are forgotten when there are more.
const MAX_KNOWN: usize = 100_000;

/// All that operations depend on beside the store, as one value that never changes: documents that were verified
/// together, opened keys, a Vault. Made by the wiring only.
pub struct Serving {
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
    /// Adapters of the chains that the floor names.
    pub rules: Rules,
    /// The Vault.
    pub sealer: Arc<Sealer>,
    /// What seals users' keys.
    pub protection: KeyProtection,
    /// Whether the trust bundle names an observer: it grants the lease and attests settlements.
    pub observed: bool,
    /// SHA-256 of the trust bundle.
    pub trust_digest: [u8; 32],
}

impl Serving {
    fn custody_id(&self) -> CustodyId {
        self.manifest.custody_id()
    }

    /// The owner that this signer signs as.
    fn owner(&self) -> KeyRole {
        if self.role == Role::Keeper { KeyRole::Hot } else { KeyRole::Cool }
    }

    /// The keys that attest hot public keys: Keeper's.
    fn keeper_keys(&self) -> Vec<VerifyingKey> {
        match self.role {
            Role::Keeper => vec![self.keys.own().message_key().verifying_key()],
            _ => self.peers.message_keys(Role::Keeper),
        }
    }

    fn rules(&self, chain: &str) -> Result<(ChainId, &dyn chain::ChainRules), Stop> {
        let known = chain.parse().ok().and_then(|chain: ChainId| self.rules.get_key_value(&chain));
        match known {
            Some((chain, rules)) => Ok((chain.clone(), rules.as_ref())),
            None => Err(Stop::refused("ChainNotAllowed", format!("the floor names no asset on chain '{chain}'"))),
        }
    }

    /// Opens a user's or the cool key, by whatever seals it.
    async fn open(
        &self,
        context: Context,
        sealed: String,
        client_key: Option<&ClientKey>,
    ) -> Result<Zeroizing<Vec<u8>>, Stop> {
        match client_key {
            None => Ok(self.sealer.open(context, sealed).await?),
            Some(key) => key
                .open(context, &sealed)
                .map_err(|_| Stop::unavailable("KeyDamaged", "a sealed key does not open; restore the volume")),
        }
    }

    /// A client's key is there exactly where the trust bundle asks for one.
    fn require_client_key(&self, key: Option<&ClientKey>) -> Result<(), Stop> {
        let wanted = self.role == Role::Keeper && self.protection == KeyProtection::ClientKey;
        match (wanted, key) {
            (true, Some(_)) | (false, None) => Ok(()),
            (true, None) => Err(Stop::refused("Malformed", "this keeper seals by client keys; send the wallet's key")),
            (false, Some(_)) => Err(Stop::refused("Malformed", "this signer seals by its Vault; send no client key")),
        }
    }
}

/// The context of a user's hot key for a family of chains.
pub(crate) fn hot_key_context(custody: CustodyId, wallet: &str, namespace: &str) -> Context {
    Context::new(custody.as_bytes(), wallet, &format!("hot.{namespace}.v1"))
}

/// The context of the entropy of a user's phrase.
pub(crate) fn entropy_context(custody: CustodyId, wallet: &str) -> Context {
    Context::new(custody.as_bytes(), wallet, "entropy.v1")
}

/// The context of the cool key for a family of chains.
pub(crate) fn cool_key_context(custody: CustodyId, namespace: &str) -> Context {
    Context::new(custody.as_bytes(), "", &format!("cool.{namespace}.v1"))
}

/// Unix milliseconds, from wherever the process takes them.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What Keeper and Cooler share: answers requests while it has something to serve with.
pub struct Signer {
    store: Arc<Store>,
    clock: Clock,
    serving: ArcSwapOption<Serving>,
    lock: ArcSwap<Lock>,
    lease_until_ms: AtomicU64,
    known: Mutex<Known>,
    attested: Mutex<Option<(Head, u64, Attestation)>>,
}

/// Descriptions that were recomputed once, of one manifest.
#[derive(Default)]
struct Known {
    manifest: [u8; 32],
    wallets: HashMap<(String, ChainId), Arc<WalletDesc>>,
}

impl Signer {
    /// Serves nothing until [`Signer::serve`], and is locked until others have vouched for its history.
    pub fn new(store: Arc<Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            serving: ArcSwapOption::empty(),
            lock: ArcSwap::from_pointee(Lock::Locked("the others were not asked yet".to_owned())),
            lease_until_ms: AtomicU64::new(0),
            known: Mutex::default(),
            attested: Mutex::default(),
        }
    }

    /// Requests that begin from now on are served with this, or refused as unavailable.
    pub fn serve(&self, serving: Option<Arc<Serving>>) {
        self.serving.store(serving);
    }

    /// What it serves with.
    pub(crate) fn serving(&self) -> Option<Arc<Serving>> {
        self.serving.load_full()
    }

    /// Whether this start has been vouched for.
    pub fn lock(&self) -> Arc<Lock> {
        self.lock.load_full()
    }

    /// The observer's lease, Unix milliseconds.
    pub fn lease_until_ms(&self) -> u64 {
        self.lease_until_ms.load(Ordering::Acquire)
    }

    fn extend_lease(&self, until_ms: u64) {
        self.lease_until_ms.fetch_max(until_ms, Ordering::AcqRel);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Stop> {
        Ok(self.store.decide(self.now_ms(), decide).await?)
    }

    /// Answers a request that `asker` signed; `digest` is SHA-256 of its exact bytes.
    pub async fn answer(&self, asker: Asker, request: Request, digest: [u8; 32]) -> Response {
        let outcome = match self.try_answer(asker, request, digest).await {
            Ok(outcome) => outcome,
            Err(stop) => stop.into_outcome(),
        };
        Response { outcome: Some(outcome) }
    }

    async fn try_answer(&self, asker: Asker, request: Request, digest: [u8; 32]) -> Result<Outcome, Stop> {
        let serving = self.serving.load_full().ok_or_else(Stop::not_serving)?;
        let mut accepted = Accepted::new(asker, request, digest)?;
        match &mut accepted.operation {
            Operation::EchoHead(echo) => {
                let echo = std::mem::take(echo);
                observe::echo(self, &serving, accepted, echo).await
            }
            Operation::Freeze(freeze) => {
                let freeze = freeze.clone();
                observe::freeze(self, &serving, accepted, freeze).await
            }
            Operation::Settle(settle) => {
                let settle = std::mem::take(settle);
                observe::settle(self, &serving, accepted, settle).await
            }
            Operation::Lease(lease) => {
                self.take_lease(lease.until_ms)?;
                Ok(Outcome::Done(protocol::ops::Done {}))
            }
            Operation::Batch(batch) => {
                let requests = std::mem::take(&mut batch.requests);
                self.batch(&serving, asker, requests).await
            }
            _ => self.operate(&serving, accepted).await,
        }
    }

    /// Each item as if it had come alone, all at once, so that they share commits and the Vault's batches.
    async fn batch(&self, serving: &Arc<Serving>, asker: Asker, requests: Vec<Request>) -> Result<Outcome, Stop> {
        let answers = items(asker, requests)?.into_iter().map(async |item| {
            let outcome = match item {
                Ok(accepted) => self.operate(serving, accepted).await,
                Err(stop) => Err(stop),
            };
            Response { outcome: Some(outcome.unwrap_or_else(Stop::into_outcome)) }
        });
        Ok(Outcome::Batch(Responses { responses: join_all(answers).await }))
    }

    /// An operation of App: the gates, what is known of its id, then the operation.
    async fn operate(&self, serving: &Arc<Serving>, accepted: Accepted) -> Result<Outcome, Stop> {
        let (wallet, _) = request::subject(&accepted.operation);
        let (wallet, key) = (wallet.to_owned(), accepted.key.clone());
        let look = move |ledger: &Ledger<'_>| Ok((ledger.frozen(&wallet)?, ledger.recall(&key)?));
        let (frozen, recall) = self.store.look(self.now_ms(), look).await?;
        if let Some(frozen) = frozen {
            return Err(Stop::frozen(&frozen));
        }
        self.gates(serving, &accepted.operation)?;
        match recall {
            Recall::Finished(result) => return stored(&result),
            Recall::Reused => return Err(Stop::reused()),
            Recall::Open => {}
        }
        match &accepted.operation {
            Operation::Check(_) => payment::check(self, serving, accepted).await,
            Operation::Announce(_) => payment::announce(self, serving, accepted).await,
            Operation::Sign(_) => payment::sign(self, serving, accepted).await,
            Operation::CreateWallet(_) => create::create(self, serving, accepted).await,
            Operation::RegisterWallet(_) => register::register(self, serving, accepted).await,
            other => Err(Stop::refused("Malformed", format!("{} stands alone", name(other)))),
        }
    }

    /// Stores a refusal for good, with its audit record. What is on disk is the answer, whoever wrote it first.
    async fn conclude(&self, serving: &Arc<Serving>, accepted: Accepted, stop: Stop) -> Result<Outcome, Stop> {
        let serving = serving.clone();
        self.decide(move |ledger| {
            let entry = accepted.entry(&serving, ledger.now_ms());
            conclude(ledger, &accepted.key, entry, stop)
        })
        .await?
    }

    /// The registered wallet, recomputed: a row that was changed does not get this far. With a client's key that is
    /// not the wallet's it is as if there were no wallet.
    async fn registered(
        &self,
        serving: &Serving,
        wallet: &str,
        chain: &ChainId,
        client_key: Option<&ClientKey>,
    ) -> Result<Arc<WalletDesc>, Stop> {
        serving.require_client_key(client_key)?;
        if let Some(key) = client_key {
            let verifier = self.store.hot_verifier(wallet).await?.unwrap_or_default();
            if !key.verifies(entropy_context(serving.custody_id(), wallet), &verifier) {
                return Err(register::unknown(wallet, chain));
            }
        }
        let name = (wallet.to_owned(), chain.clone());
        if let Some(known) = self.known(serving, |wallets| wallets.get(&name).cloned()) {
            return Ok(known);
        }
        let desc = Arc::new(register::recomputed(&self.store, serving, wallet, chain).await?);
        self.known(serving, |wallets| {
            if wallets.len() >= MAX_KNOWN {
                wallets.clear();
            }
            wallets.insert(name, desc.clone());
        });
        Ok(desc)
    }

    fn known<T>(
        &self,
        serving: &Serving,
        act: impl FnOnce(&mut HashMap<(String, ChainId), Arc<WalletDesc>>) -> T,
    ) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = serving.manifest.digest_bytes();
        if known.manifest != manifest {
            *known = Known { manifest, wallets: HashMap::new() };
        }
        act(&mut known.wallets)
    }

    /// The signed head; a group of signatures that share a commit shares it.
    fn attested(&self, serving: &Serving, head: Head, overrides: u64) -> Attestation {
        let mut attested = self.attested.lock().unwrap_or_else(PoisonError::into_inner);
        match &*attested {
            Some((known, of, attestation)) if *known == head && *of == overrides => attestation.clone(),
            _ => {
                let attestation = observe::attest(serving, head, overrides, self.now_ms());
                *attested = Some((head, overrides, attestation.clone()));
                attestation
            }
        }
    }
}

/// Stores a refusal under its operation id; an earlier result stays.
fn conclude(
    ledger: &Ledger<'_>,
    key: &OperationKey,
    entry: Entry,
    stop: Stop,
) -> Result<Result<Outcome, Stop>, StoreError> {
    let entry = Entry { decision: Decision::Refused, reason: stop.reason().to_owned(), ..entry };
    finish(ledger, key, entry, stop.into_outcome())
}

/// Stores a result with its audit record, unless the id has one; what is on disk is the answer.
fn finish(
    ledger: &Ledger<'_>,
    key: &OperationKey,
    entry: Entry,
    outcome: Outcome,
) -> Result<Result<Outcome, Stop>, StoreError> {
    match ledger.recall(key)? {
        Recall::Finished(result) => return Ok(stored(&result)),
        Recall::Reused => return Ok(Err(Stop::reused())),
        Recall::Open => {}
    }
    ledger.finish(key, &Response { outcome: Some(outcome.clone()) }.encode_to_vec())?;
    ledger.append(entry)?;
    Ok(Ok(outcome))
}

fn stored(result: &[u8]) -> Result<Outcome, Stop> {
    let unreadable = || Stop::unavailable("StoreDamaged", "a stored result is not readable; restore the volume");
    Response::decode(result).ok().and_then(|response| response.outcome).ok_or_else(unreadable)
}

/// SHA-256 of a request's one encoding: what its operation id stands for.
pub(crate) fn digest(request: &Request) -> [u8; 32] {
    Sha256::digest(request.encode_to_vec()).into()
}

/// The reason of an outcome for metrics: the operation's success, or why not.
pub fn reason(response: &Response) -> &str {
    match &response.outcome {
        Some(Outcome::Refused(Refused { reason, .. }) | Outcome::Unavailable(Refused { reason, .. })) => reason,
        Some(Outcome::Pending(_)) => "Pending",
        Some(_) => "Done",
        None => "Nothing",
    }
}
