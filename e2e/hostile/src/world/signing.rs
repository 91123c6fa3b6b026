//! Asking the signers with App's keys, and what came of it.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use custody::Role;
use data_center::CHAIN;
use protocol::{
    envelope::Party,
    exact,
    ops::{OPERATION_ID_BYTES, Operation, Outcome, Payment, Request, Response},
    subject::{Lane, inbox_prefix, subject},
};
use rand_core::{OsRng, RngCore};
use tokio::time::Instant;

use super::{Wallet, Wire, World, next, safe::SafeTx};

/// For a decision.
const PATIENCE: Duration = Duration::from_secs(60);
/// For "not now", which is asked again until this is over.
const IMPATIENCE: Duration = Duration::from_secs(3);

/// What an attacker got of the two signatures, and why not more.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    pub(crate) hot: Option<Vec<u8>>,
    pub(crate) cool: Option<Vec<u8>>,
    /// Stable reasons.
    pub(crate) refusals: BTreeSet<String>,
}

pub(crate) fn operation_id() -> Vec<u8> {
    let mut id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut id);
    id
}

/// Asks for one operation, with an id of its own, until there is a decision.
pub(crate) async fn ask(world: &World, signer: Role, operation: Operation) -> Result<Outcome> {
    asked(world, signer, Request { operation_id: operation_id(), operation: Some(operation) }).await
}

/// Sends this very request until there is a decision. "Not now" is taken for an answer after a while.
pub(crate) async fn asked(world: &World, signer: Role, request: Request) -> Result<Outcome> {
    let deadline = Instant::now() + IMPATIENCE;
    let response = match world.app.call(signer, Lane::Op, &request, deadline).await {
        Err(transport::CallError::NoAnswer { .. }) => {
            world.app.call(signer, Lane::Op, &request, Instant::now() + PATIENCE).await?
        }
        other => other?,
    };
    response.outcome.context("a response has an outcome")
}

/// The reason of a refusal; what was granted otherwise.
pub(crate) fn reason(outcome: Outcome) -> Result<Outcome, String> {
    match outcome {
        Outcome::Refused(why) | Outcome::Unavailable(why) => Err(why.reason),
        Outcome::Pending(_) => Err("Pending".to_owned()),
        granted => Ok(granted),
    }
}

impl World {
    /// One operation of App: the reason, or what was granted.
    pub(crate) async fn ask(&self, signer: Role, operation: Operation) -> Result<Result<Outcome, String>> {
        ask(self, signer, operation).await.map(reason)
    }

    /// App with its keys.
    pub(crate) fn app_party(&self) -> Party {
        let custody = &self.pair.custody;
        custody.party(Role::App, &custody.app, &self.pair.signers)
    }

    /// Where a signer listens to App.
    pub(crate) fn op(&self, signer: Role) -> String {
        subject(self.pair.custody.custody_id(), signer, Lane::Op)
    }

    /// Sends these very bytes as App's request: the reason, or what was granted.
    pub(crate) async fn ask_raw(&self, signer: Role, payload: &[u8]) -> Result<Result<Outcome, String>> {
        let wire = Wire::connect(&self.pair.custody.nats, self.pair.custody.credentials(Role::App)).await?;
        let inbox = format!("{}.raw", inbox_prefix(Role::App));
        let mut answers = wire.subscribe(&inbox).await?;
        let op = self.op(signer);
        let (bytes, ticket) = self.app_party().request(signer, &op, payload, now_ms(), &mut OsRng)?;
        wire.publish(&op, Some(&inbox), bytes).await?;
        let answer = ticket.open_response(&next(&mut answers, |_| true).await?.bytes, now_ms())?;
        let response: Response = exact::decode(answer.payload())?;
        Ok(reason(response.outcome.context("a response has an outcome")?))
    }

    /// A payment as it is asked for.
    pub(crate) fn payment(&self, wallet: &Wallet, unsigned: &[u8]) -> Payment {
        Payment {
            wallet: wallet.id.clone(),
            chain: CHAIN.to_owned(),
            unsigned: unsigned.to_vec(),
            ..Payment::default()
        }
    }

    /// Asks a signer for its signature over any payment.
    pub(crate) async fn sign(&self, signer: Role, payment: Payment) -> Result<Result<Vec<u8>, String>> {
        let outcome = self.ask(signer, Operation::Sign(payment)).await?;
        Ok(outcome.and_then(|granted| match granted {
            Outcome::Signed(signed) => Ok(signed.signature),
            other => Err(format!("{other:?}")),
        }))
    }

    /// Keeper's signature.
    pub(crate) async fn hot(&self, wallet: &Wallet, unsigned: &[u8]) -> Result<Result<Vec<u8>, String>> {
        self.sign(Role::Keeper, self.payment(wallet, unsigned)).await
    }

    /// Cooler's signature, which wants hot's.
    pub(crate) async fn cool(&self, wallet: &Wallet, unsigned: &[u8], hot: &[u8]) -> Result<Result<Vec<u8>, String>> {
        let payment = Payment { hot_signature: hot.to_vec(), ..self.payment(wallet, unsigned) };
        self.sign(Role::Cooler, payment).await
    }

    /// Both signatures, as far as they are given. Cooler is asked even if Keeper refuses; that it then misses hot's
    /// signature says nothing new.
    pub(crate) async fn both(&self, wallet: &Wallet, unsigned: &[u8]) -> Result<Granted> {
        let mut granted = Granted::default();
        granted.hot = granted.take(self.hot(wallet, unsigned).await?);
        let cool = self.cool(wallet, unsigned, granted.hot.as_deref().unwrap_or(&[27; 65])).await?;
        if granted.hot.is_some() || cool != Err("HotSignatureInvalid".to_owned()) {
            granted.cool = granted.take(cool);
        }
        Ok(granted)
    }

    /// Executes with whatever was granted, and has the sentinel attest what came of it.
    pub(crate) async fn release(&self, wallet: &Wallet, tx: &SafeTx, granted: &mut Granted) -> Result<()> {
        let both = granted.hot.is_some() && granted.cool.is_some();
        match self.chain().execute(wallet, tx, granted.hot.as_deref(), granted.cool.as_deref()).await? {
            Ok(()) => self.pair.sentinel.attest(&wallet.id, wallet.address).await,
            // Of two missing signatures the chain's reason says nothing new.
            Err(why) => {
                if both || granted.refusals.is_empty() {
                    granted.refusals.insert(why);
                }
            }
        }
        Ok(())
    }
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Granted {
    /// Keeps a signature, or the reason.
    pub(crate) fn take<T>(&mut self, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|reason| self.refusals.insert(reason)).ok()
    }
}
