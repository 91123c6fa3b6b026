//! A request, or each of a batch, on its way to whoever carries it out.

use std::sync::Arc;

use futures::{StreamExt, stream};
use protocol::ops::{Batch, Done, Operation, Outcome, Request, Response, Responses};

use super::{
    context::SigningContext,
    create, payment, peers, records, register,
    request::{Accepted, Asker, items},
    results::answered,
    signer::Signer,
    stop::Stop,
};
use crate::store::Ledger;

/// Items of one batch that are carried out at the same time: enough to share commits and the Vault's batches, and what
/// they need meanwhile does not grow with the batch.
const ITEMS: usize = 64;

impl Signer {
    /// Answers a request that `asker` signed; `digest` is SHA-256 of its exact bytes.
    pub async fn answer(&self, asker: Asker, request: Request, digest: [u8; 32]) -> Response {
        let outcome = match self.try_answer(asker, request, digest).await {
            Ok(outcome) => outcome,
            Err(stop) => stop.into_outcome(),
        };
        Response { outcome: Some(outcome) }
    }

    async fn try_answer(&self, asker: Asker, request: Request, digest: [u8; 32]) -> Result<Outcome, Stop> {
        let serving = self.serving().ok_or_else(Stop::not_serving)?;
        let mut accepted = Accepted::new(asker, request, digest)?;
        match &mut accepted.operation {
            Operation::Batch(batch) => self.batch(&serving, asker, std::mem::take(batch)).await,
            _ => self.dispatch(&serving, accepted).await,
        }
    }

    /// Each item as if it had come alone, many at once, answered in their order.
    async fn batch(&self, serving: &Arc<SigningContext>, asker: Asker, batch: Batch) -> Result<Outcome, Stop> {
        let answers = items(asker, batch)?.into_iter().map(|item| self.item(serving, item));
        Ok(Outcome::Batch(Responses { responses: stream::iter(answers).buffered(ITEMS).collect().await }))
    }

    async fn item(&self, serving: &Arc<SigningContext>, item: Result<Accepted, Stop>) -> Response {
        let outcome = match item {
            Ok(accepted) => self.dispatch(serving, accepted).await,
            Err(stop) => Err(stop),
        };
        Response { outcome: Some(outcome.unwrap_or_else(Stop::into_outcome)) }
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
            Operation::Records(asked) => records::read(self, asked).await,
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
        if let Some(answer) = answered(recall) {
            return answer;
        }
        match &accepted.operation {
            Operation::Check(_) => payment::ask(self, serving, accepted, false).await,
            Operation::Announce(_) => payment::ask(self, serving, accepted, true).await,
            Operation::CreateWallet(_) => create::create(self, serving, accepted).await,
            Operation::RegisterWallet(_) => register::register(self, serving, accepted).await,
            other => Err(Stop::refused("Malformed", format!("{} stands alone", other.name()))),
        }
    }
}
