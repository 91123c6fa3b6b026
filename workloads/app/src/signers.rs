//! Asking Keeper and Cooler. Answers are decisions (stored by the signer, the same again) or "not now".

use std::{fmt, time::Duration};

use chain::ChainId;
use custody::{Role, WalletId};
use futures::future::BoxFuture;
use protocol::ops::{
    Attestation, CreateWallet, Operation, Outcome, Payment, RegisterWallet, Request, Response, Signed,
};
use tokio::time::Instant;

use crate::metrics::Metrics;

/// The signers' reason for refusing a second payment at a nonce.
const NONCE_TAKEN: &str = "NonceUsed";

/// How long one operation is asked for before the asker is told that there is no answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Brings a request to a signer and its answer back, authenticated; asks again until the deadline.
pub(crate) trait Transport: Send + Sync {
    /// One operation, one answer.
    fn ask(&self, signer: Role, request: Request, deadline: Instant) -> BoxFuture<'_, Result<Response, Away>>;
}

/// No decision: the same operation may be asked again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{signer} does not answer: {why}")]
pub(crate) struct Away {
    pub(crate) signer: Role,
    pub(crate) why: String,
}

/// A signer's decision against a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) signer: Role,
    /// CamelCase, the signer's.
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Refused {
    /// Whether the signer has signed, or may have signed, another transaction at this nonce.
    pub(crate) fn nonce_is_taken(&self) -> bool {
        self.reason == NONCE_TAKEN
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refuses: {}", self.signer, self.message)
    }
}

/// Why there is no signature.
#[derive(Debug)]
pub(crate) enum Denial {
    /// For good.
    Refused(Refused),
    /// For now.
    Away(Away),
}

impl Denial {
    /// The decision, if it is one.
    pub(crate) fn refusal(self) -> Result<Refused, Away> {
        match self {
            Denial::Refused(refused) => Ok(refused),
            Denial::Away(away) => Err(away),
        }
    }
}

/// A transaction that a signer is asked about.
pub(crate) struct Ask {
    /// Operation id.
    pub(crate) operation: Vec<u8>,
    pub(crate) wallet: WalletId,
    pub(crate) chain: ChainId,
    /// The chain's own encoding.
    pub(crate) unsigned: Vec<u8>,
}

/// Keeper and Cooler.
pub(crate) struct Signers {
    transport: Box<dyn Transport>,
    metrics: Metrics,
}

impl Signers {
    pub(crate) fn new(transport: Box<dyn Transport>, metrics: Metrics) -> Self {
        Self { transport, metrics }
    }

    /// Keeper makes the hot keys of a wallet, or attests those it has made.
    pub(crate) async fn create(&self, operation: Vec<u8>, wallet: &WalletId) -> Result<Attestation, Denial> {
        let create = CreateWallet { wallet: wallet.to_string(), ..CreateWallet::default() };
        match self.ask(Role::Keeper, operation, Operation::CreateWallet(create)).await? {
            Outcome::Created(hot) => Ok(hot),
            other => Err(unexpected(Role::Keeper, &other)),
        }
    }

    /// A signer records a wallet and attests its record.
    pub(crate) async fn register(
        &self,
        signer: Role,
        operation: Vec<u8>,
        hot: Attestation,
        chain: &ChainId,
    ) -> Result<Attestation, Denial> {
        let register = RegisterWallet { hot: Some(hot), chains: vec![chain.to_string()], salt: Vec::new() };
        match self.ask(signer, operation, Operation::RegisterWallet(register)).await? {
            Outcome::Registered(record) => Ok(record),
            other => Err(unexpected(signer, &other)),
        }
    }

    /// Would the signer sign this now?
    pub(crate) async fn check(&self, signer: Role, ask: Ask, digest: &[u8; 32]) -> Result<(), Denial> {
        let Ask { operation, wallet, chain, unsigned } = ask;
        let payment = payment(wallet, chain, unsigned, Vec::new());
        match self.ask(signer, operation, Operation::Check(payment)).await? {
            Outcome::Allowed(allowed) => same(signer, &allowed.digest, digest),
            other => Err(unexpected(signer, &other)),
        }
    }

    /// The signer's signature; Cooler is given hot's.
    pub(crate) async fn sign(
        &self,
        signer: Role,
        ask: Ask,
        hot_signature: Vec<u8>,
        digest: &[u8; 32],
    ) -> Result<Vec<u8>, Denial> {
        let Ask { operation, wallet, chain, unsigned } = ask;
        let payment = payment(wallet, chain, unsigned, hot_signature);
        match self.ask(signer, operation, Operation::Sign(payment)).await? {
            Outcome::Signed(Signed { digest: signed, signature, .. }) => {
                same(signer, &signed, digest)?;
                Ok(signature)
            }
            other => Err(unexpected(signer, &other)),
        }
    }

    async fn ask(&self, signer: Role, operation_id: Vec<u8>, operation: Operation) -> Result<Outcome, Denial> {
        let request = Request { operation_id, operation: Some(operation) };
        let answer = self.transport.ask(signer, request, Instant::now() + PATIENCE).await;
        self.metrics.answer(signer, &answer);
        match answer.map_err(Denial::Away)?.outcome {
            Some(Outcome::Refused(refused)) => {
                let (reason, message) = (line(&refused.reason), line(&refused.message));
                Err(Denial::Refused(Refused { signer, reason, message }))
            }
            Some(Outcome::Unavailable(refused)) => {
                let why = format!("{} ({})", line(&refused.message), line(&refused.reason));
                Err(Denial::Away(Away { signer, why }))
            }
            Some(outcome) => Ok(outcome),
            None => Err(away(signer, "its answer is empty; both sides must run the same version")),
        }
    }
}

fn payment(wallet: WalletId, chain: ChainId, unsigned: Vec<u8>, hot_signature: Vec<u8>) -> Payment {
    Payment { wallet: wallet.to_string(), chain: chain.to_string(), unsigned, hot_signature, ..Payment::default() }
}

/// The signer decoded the same bytes to another digest: one of the two is wrong, and nobody knows which.
fn same(signer: Role, theirs: &[u8], ours: &[u8; 32]) -> Result<(), Denial> {
    if theirs == ours {
        return Ok(());
    }
    let message = "it decodes this transaction to another digest than App; both must run the same version".to_owned();
    Err(Denial::Refused(Refused { signer, reason: "DigestMismatch".to_owned(), message }))
}

fn unexpected(signer: Role, outcome: &Outcome) -> Denial {
    let name = match outcome {
        Outcome::Created(_) => "Created",
        Outcome::Registered(_) => "Registered",
        Outcome::Allowed(_) => "Allowed",
        Outcome::Signed(_) => "Signed",
        Outcome::Refused(_) => "Refused",
        Outcome::Unavailable(_) => "Unavailable",
        Outcome::Pending(_) => "Pending",
        Outcome::Batch(_) => "Batch",
        Outcome::Done(_) => "Done",
        Outcome::Held(_) => "Held",
    };
    away(signer, &format!("its answer ({name}) is to another question; both sides must run the same version"))
}

fn away(signer: Role, why: &str) -> Denial {
    Denial::Away(Away { signer, why: why.to_owned() })
}

/// A signer's words, fit for a log line and a JSON field.
fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
