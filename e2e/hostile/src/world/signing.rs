//! Asking the signers with App's keys, and what came of it.

use std::time::Duration;

use anyhow::{Context, Result};
use chain::{ChainRules, Payload};
use clock::now_ms;
use custodies::CHAIN;
use custody::Role;
use prost::Message;
use protocol::{
    envelope::Party,
    exact,
    ops::{HotKeys, OPERATION_ID_BYTES, Operation, Outcome, Payment, Request, Response},
    subject::{Lane, inbox_prefix, subject},
};
use rand_core::{OsRng, RngCore};
use tokio::time::Instant;

use super::{
    safe::SafeTx,
    stage::World,
    wallet::Wallet,
    wire::{Wire, next},
};
use crate::refusals::{By, COOLER, KEEPER, Refusals};

/// For a decision.
const PATIENCE: Duration = Duration::from_secs(60);
/// For "not now", which is asked again until this is over.
const IMPATIENCE: Duration = Duration::from_secs(3);

/// What an attacker got of the two signatures, and why not more.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    /// Keeper's.
    pub(crate) hot: Option<Vec<u8>>,
    /// Where Keeper refused: made with its stolen key, so that Cooler has to refuse on its own.
    pub(crate) forged_hot: Option<Vec<u8>>,
    /// Cooler's.
    pub(crate) cool: Option<Vec<u8>>,
    /// Each signer's own reasons.
    pub(crate) refusals: Refusals,
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
            Outcome::Signed(signed) => Ok(signed.signatures.concat()),
            other => Err(format!("{other:?}")),
        }))
    }

    /// Keeper's signature.
    pub(crate) async fn hot(&self, wallet: &Wallet, unsigned: &[u8]) -> Result<Result<Vec<u8>, String>> {
        self.sign(Role::Keeper, self.payment(wallet, unsigned)).await
    }

    /// Cooler's signature, which wants hot's.
    pub(crate) async fn cool(&self, wallet: &Wallet, unsigned: &[u8], hot: &[u8]) -> Result<Result<Vec<u8>, String>> {
        let payment = Payment { hot_signatures: vec![hot.to_vec()], ..self.payment(wallet, unsigned) };
        self.sign(Role::Cooler, payment).await
    }

    /// Both signatures, as far as they are given.
    pub(crate) async fn both(&self, wallet: &Wallet, tx: &SafeTx) -> Result<Granted> {
        self.both_for(wallet, &tx.unsigned(), tx).await
    }

    /// Asks both signers for their signatures over `unsigned`, for the sake of `tx`. Where Keeper refuses, Cooler is
    /// asked as if Keeper had signed: it has to know by itself.
    pub(crate) async fn both_for(&self, wallet: &Wallet, unsigned: &[u8], tx: &SafeTx) -> Result<Granted> {
        let payment = self.payment(wallet, unsigned);
        self.granted(wallet, payment, tx).await
    }

    /// The same with all that goes into a payment.
    pub(crate) async fn granted(&self, wallet: &Wallet, payment: Payment, tx: &SafeTx) -> Result<Granted> {
        let mut granted = Granted::default();
        granted.hot = granted.take(KEEPER, self.sign(Role::Keeper, payment.clone()).await?);
        if granted.hot.is_none() {
            granted.forged_hot = Some(self.forged_hot(wallet, tx).await?);
        }
        let hot_signatures = vec![granted.hot().unwrap_or_default().to_vec()];
        granted.cool = granted.take(COOLER, self.sign(Role::Cooler, Payment { hot_signatures, ..payment }).await?);
        Ok(granted)
    }

    /// Hot's signature by whoever has taken over Keeper.
    pub(crate) async fn forged_hot(&self, wallet: &Wallet, tx: &SafeTx) -> Result<Vec<u8>> {
        let name = HotKeys::decode(wallet.hot.body.as_slice())?.wallet;
        let key = self.keeper.hot(&name).await?;
        let digest = tx.digest(self.rules.number(), wallet.address);
        Ok(self.rules.sign(&key, &Payload::Digest(digest))?)
    }

    /// Executes with whatever was granted, and has the sentinel attest what came of it.
    pub(crate) async fn release(&self, wallet: &Wallet, tx: &SafeTx, granted: &mut Granted) -> Result<()> {
        let both = granted.hot().is_some() && granted.cool.is_some();
        match self.chain().execute(wallet, tx, granted.hot(), granted.cool.as_deref()).await? {
            Ok(()) => self.pair.sentinel.attest(&wallet.id, wallet.address).await,
            // Of a missing signature the chain's reason says nothing new.
            Err(why) => {
                if both || granted.refusals.is_empty() {
                    granted.refusals.note(By::Chain, &why);
                }
            }
        }
        Ok(())
    }
}

impl Granted {
    /// Keeps a signature, or the reason.
    pub(crate) fn take<T>(&mut self, by: By, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|reason| self.refusals.note(by, &reason)).ok()
    }

    /// A signature of hot, wherever it is from.
    pub(crate) fn hot(&self) -> Option<&[u8]> {
        self.hot.as_deref().or(self.forged_hot.as_deref())
    }
}
