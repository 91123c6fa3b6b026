//! One request, from the sender's verified bytes to the answer. Each step is a type that the next one needs: nothing
//! undecoded reaches the policy, nothing unjudged the watermark, nothing unrecorded the key.
//!
//! accept -> freeze, lock, lease -> idempotency -> registry and decode -> countersignature -> claims, policy, watermark,
//! spend and audit record in one commit -> unseal -> sign -> verify -> answer.

mod claims;
mod context;
mod create;
mod decoded;
mod gate;
mod nonce;
mod payment;
mod peers;
mod register;
mod registry;
mod request;
mod results;
mod settlement;
mod signing;
mod stop;
#[cfg(test)]
mod tests;
mod vouch;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use audit::Head;
use futures::future::join_all;
use protocol::ops::{Attestation, Batch, Done, Operation, Outcome, Request, Response, Responses};

use crate::store::{Ledger, Recall, Store, StoreError};
pub use context::{SigningContext, cool_key_context, entropy_context, hot_key_context};
pub use gate::Lock;
pub use peers::{attest, vouchers};
use registry::Known;
pub use request::Asker;
use request::{Accepted, items};
use results::{conclude, finish, stored};
pub use results::{digest, reason};
pub use settlement::note_settlements;
use stop::Stop;

/// Unix milliseconds, from wherever the process takes them.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What Keeper and Cooler share: answers requests while it has something to serve with.
pub struct Signer {
    store: Arc<Store>,
    clock: Clock,
    serving: ArcSwapOption<SigningContext>,
    lock: ArcSwap<Lock>,
    lease_until_ms: AtomicU64,
    known: Mutex<Known>,
    attested: Mutex<Option<(Head, u64, Attestation)>>,
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
    pub fn serve(&self, serving: Option<Arc<SigningContext>>) {
        self.serving.store(serving);
    }

    /// What it serves with.
    pub fn serving(&self) -> Option<Arc<SigningContext>> {
        self.serving.load_full()
    }

    /// Whether this start has been vouched for.
    pub fn lock(&self) -> Arc<Lock> {
        self.lock.load_full()
    }

    /// The sentinel's lease, Unix milliseconds.
    pub fn lease_until_ms(&self) -> u64 {
        self.lease_until_ms.load(Ordering::Acquire)
    }

    fn extend_lease(&self, until_ms: u64) {
        self.lease_until_ms.fetch_max(until_ms, Ordering::AcqRel);
    }

    /// Now, by its clock.
    pub fn now_ms(&self) -> u64 {
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
            Operation::Batch(batch) => self.batch(&serving, asker, std::mem::take(batch)).await,
            _ => self.dispatch(&serving, accepted).await,
        }
    }

    /// Each item as if it had come alone, all at once, so that they share commits and the Vault's batches.
    async fn batch(&self, serving: &Arc<SigningContext>, asker: Asker, batch: Batch) -> Result<Outcome, Stop> {
        let answers = items(asker, batch)?.into_iter().map(async |item| {
            let outcome = match item {
                Ok(accepted) => self.dispatch(serving, accepted).await,
                Err(stop) => Err(stop),
            };
            Response { outcome: Some(outcome.unwrap_or_else(Stop::into_outcome)) }
        });
        Ok(Outcome::Batch(Responses { responses: join_all(answers).await }))
    }

    async fn dispatch(&self, serving: &Arc<SigningContext>, accepted: Accepted) -> Result<Outcome, Stop> {
        match &accepted.operation {
            Operation::EchoHead(echo) => {
                let echo = echo.clone();
                peers::echo(self, serving, accepted, echo).await
            }
            Operation::Freeze(freeze) => {
                let freeze = freeze.clone();
                peers::freeze(self, serving, accepted, freeze).await
            }
            Operation::Settle(settle) => {
                let settle = settle.clone();
                peers::settle(self, serving, accepted, settle).await
            }
            Operation::Lease(lease) => {
                self.take_lease(lease.until_ms)?;
                Ok(Outcome::Done(Done {}))
            }
            _ => self.operate(serving, accepted).await,
        }
    }

    /// An operation of App: the gates, what is known of its id, then the operation.
    async fn operate(&self, serving: &Arc<SigningContext>, accepted: Accepted) -> Result<Outcome, Stop> {
        if let Operation::Sign(_) = &accepted.operation {
            // Freeze and idempotency are the first things in its own transaction; looking before would cost as much.
            self.gates(serving, &accepted.operation)?;
            return payment::sign(self, serving, accepted).await;
        }
        let (wallet, key) = (accepted.operation.wallet().to_owned(), accepted.key.clone());
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
            Operation::Check(_) => payment::ask(self, serving, accepted, false).await,
            Operation::Announce(_) => payment::ask(self, serving, accepted, true).await,
            Operation::CreateWallet(_) => create::create(self, serving, accepted).await,
            Operation::RegisterWallet(_) => register::register(self, serving, accepted).await,
            other => Err(Stop::refused("Malformed", format!("{} stands alone", other.name()))),
        }
    }

    /// Stores a refusal for good, with its audit record. What is on disk is the answer, whoever wrote it first.
    async fn conclude(&self, serving: &Arc<SigningContext>, accepted: Accepted, stop: Stop) -> Result<Outcome, Stop> {
        let serving = serving.clone();
        self.decide(move |ledger| {
            if let Some(frozen) = ledger.frozen(accepted.operation.wallet())? {
                return Ok(Err(Stop::frozen(&frozen)));
            }
            let entry = accepted.entry(&serving, ledger.now_ms());
            conclude(ledger, &accepted.key, entry, stop)
        })
        .await?
    }

    /// The signed head; a group of signatures that share a commit shares it.
    fn attested(&self, serving: &SigningContext, head: Head, overrides: u64) -> Attestation {
        let mut attested = self.attested.lock().unwrap_or_else(PoisonError::into_inner);
        match &*attested {
            Some((known, of, attestation)) if *known == head && *of == overrides => attestation.clone(),
            _ => {
                let attestation = serving.attest(head, overrides, self.now_ms());
                *attested = Some((head, overrides, attestation.clone()));
                attestation
            }
        }
    }
}
