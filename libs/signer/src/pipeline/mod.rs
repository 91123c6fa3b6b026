//! One request, from the sender's verified bytes to the answer. Each step is a type that the next one needs: nothing
//! undecoded reaches the policy, nothing unjudged the watermark, nothing unrecorded the key.
//!
//! accept -> idempotency -> registry and decode -> countersignature -> policy -> watermark on disk -> unseal -> sign ->
//! verify -> result on disk -> answer. A freeze will stand before idempotency.

mod create;
mod payment;
mod register;
mod request;
mod stop;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use chain::ChainId;
use custody::{CustodyId, KeyRole, Role, manifest::VerifiedManifest};
use ed25519_dalek::VerifyingKey;
use prost::Message;
use protocol::{
    envelope::Peers,
    ops::{Allowed, Operation, Outcome, Refused, Request, Response},
};
use sealing::{Context, Sealer};

use crate::{
    chains::Rules,
    identity::Keys,
    policy::Policy,
    store::{Finished, Recall, Store},
};
use request::Accepted;
use stop::Stop;

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

/// What Keeper and Cooler share: answers requests while it has something to serve with.
pub struct Signer {
    store: Arc<Store>,
    serving: ArcSwapOption<Serving>,
}

impl Signer {
    /// Serves nothing until [`Signer::serve`].
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, serving: ArcSwapOption::empty() }
    }

    /// Requests that begin from now on are served with this, or refused as unavailable.
    pub fn serve(&self, serving: Option<Arc<Serving>>) {
        self.serving.store(serving);
    }

    /// Answers a request that `sender` signed; `digest` is SHA-256 of its exact bytes.
    pub async fn answer(&self, sender: Role, request: Request, digest: [u8; 32]) -> Response {
        let outcome = match self.try_answer(sender, request, digest).await {
            Ok(outcome) => outcome,
            Err(stop) => stop.into_outcome(),
        };
        Response { outcome: Some(outcome) }
    }

    async fn try_answer(&self, sender: Role, request: Request, digest: [u8; 32]) -> Result<Outcome, Stop> {
        let serving = self.serving.load_full().ok_or_else(Stop::not_serving)?;
        let accepted = Accepted::new(sender, request, digest)?;
        if let Operation::Check(payment) = &accepted.operation {
            let digest = payment::check(&self.store, &serving, payment).await?.to_vec();
            return Ok(Outcome::Allowed(Allowed { digest }));
        }
        match self.store.recall(accepted.key.clone()).await? {
            Recall::Finished(result) => return stored(&result),
            Recall::Reused => return Err(Stop::reused()),
            Recall::Open => {}
        }
        let outcome = match self.act(&serving, &accepted).await {
            Err(Stop::Refused(refusal)) => Stop::Refused(refusal).into_outcome(),
            other => other?,
        };
        self.settle(accepted, outcome).await
    }

    async fn act(&self, serving: &Serving, accepted: &Accepted) -> Result<Outcome, Stop> {
        match &accepted.operation {
            Operation::CreateWallet(create) => create::create(&self.store, serving, create).await,
            Operation::RegisterWallet(register) => register::register(&self.store, serving, register).await,
            Operation::Sign(payment) => payment::sign(&self.store, serving, &accepted.key, payment).await,
            Operation::Check(_)
            | Operation::Announce(_)
            | Operation::Batch(_)
            | Operation::Freeze(_)
            | Operation::EchoHead(_)
            | Operation::Settle(_)
            | Operation::Lease(_) => Err(Stop::refused("Malformed", "a check has no result to keep")),
        }
    }

    /// The result on disk is the answer, whoever wrote it first.
    async fn settle(&self, accepted: Accepted, outcome: Outcome) -> Result<Outcome, Stop> {
        let result = Response { outcome: Some(outcome) }.encode_to_vec();
        match self.store.finish(accepted.key, result).await? {
            Finished::Result(result) => stored(&result),
            Finished::Reused => Err(Stop::reused()),
        }
    }
}

fn stored(result: &[u8]) -> Result<Outcome, Stop> {
    let unreadable = || Stop::unavailable("StoreDamaged", "a stored result is not readable; restore the volume");
    Response::decode(result).ok().and_then(|response| response.outcome).ok_or_else(unreadable)
}

/// The reason of an outcome for metrics: the operation's success, or why not.
pub fn reason(response: &Response) -> &str {
    match &response.outcome {
        Some(Outcome::Refused(Refused { reason, .. }) | Outcome::Unavailable(Refused { reason, .. })) => reason,
        Some(_) => "Done",
        None => "Nothing",
    }
}
