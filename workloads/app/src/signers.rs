//! Asking Keeper and Cooler. Answers are decisions (stored by the signer, the same again) or "not now".

use std::{fmt, time::Duration};

use chain::{ChainId, Signatures};
use custody::{Role, WalletId};
use futures::future::BoxFuture;
use jiff::Timestamp;
use prost::Message;
use protocol::ops::{
    Allowed, Attestation, AuditHead, CreateWallet, OPERATION_ID_BYTES, Operation, Outcome, PAYMENT_ID_BYTES, Payment,
    Pending, ReadRecords, Records, RegisterWallet, Request, Response, Signed,
};
use rand_core::{OsRng, RngCore};
use tokio::time::Instant;

use crate::{domain::ClientKey, metrics::Metrics};

/// The signers' reason for refusing a second payment at a nonce.
const NONCE_TAKEN: &str = "NonceUsed";
/// The signers' reasons for refusing a nonce that is not the next one as far as they have been told.
const NONCE_NOT_NEXT: [&str; 2] = ["NonceSettled", "NonceNotNext"];

/// How long one operation is asked for before the asker is told that there is no answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Brings a request to a signer and its answer back, authenticated; asks again until the deadline.
pub(crate) trait Transport: Send + Sync {
    /// One operation, one answer.
    fn ask(&self, signer: Role, request: Request, deadline: Instant) -> BoxFuture<'_, Result<Response, Away>>;
}

/// No decision: the same operation may be asked again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Away {
    /// There is no answer, or none that can be understood.
    #[error("{signer} does not answer: {why}")]
    Silent { signer: Role, why: String },
    /// It says so itself: frozen, locked, without lease, or a settlement is not attested yet.
    #[error("{signer} can't decide now: {message} ({reason})")]
    NotNow { signer: Role, reason: String, message: String },
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

    /// Whether the signer has been told of other settlements than App's node shows. Neither is wrong for good: the node
    /// or the sentinel's attestations come after.
    pub(crate) fn nonce_is_not_next(&self) -> bool {
        NONCE_NOT_NEXT.contains(&self.reason.as_str())
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

/// What a signer has nothing against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent<T> {
    /// Now.
    Given(T),
    /// Once its time lock has passed; the Unix epoch: its time lock has not begun.
    Later(Timestamp),
}

/// A transaction that a signer is asked about.
pub(crate) struct Ask<'a> {
    /// Operation id.
    pub(crate) operation: Vec<u8>,
    pub(crate) wallet: &'a WalletId,
    pub(crate) chain: &'a ChainId,
    /// The chain's own encoding.
    pub(crate) unsigned: Vec<u8>,
    /// Which payment it is for; a cancel is for none.
    pub(crate) payment: Option<&'a [u8; PAYMENT_ID_BYTES]>,
    /// Of somebody whose key App does not hold.
    pub(crate) intent: Option<Attestation>,
    /// The wallet that is to be paid, where the order names one.
    pub(crate) to_wallet: Option<&'a WalletId>,
    /// Told to Keeper only.
    pub(crate) client_key: Option<&'a ClientKey>,
}

/// What a signer gives for a transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Given {
    /// One for each payload.
    pub(crate) signatures: Signatures,
    /// The signer's head that came with them, if it names the signer's start. One of a version before that names none,
    /// and a Cooler of then takes none.
    pub(crate) head: Option<Attestation>,
}

impl Ask<'_> {
    fn payment(self, signer: Role, hot: Given) -> (Vec<u8>, Payment) {
        let Self { operation, wallet, chain, unsigned, payment, intent, to_wallet, client_key } = self;
        let (wallet, chain, client_key) = (wallet.to_string(), chain.to_string(), told(signer, client_key));
        let payment_id = payment.map_or_else(Vec::new, |id| id.to_vec());
        let to_wallet = to_wallet.map_or_else(String::new, WalletId::to_string);
        let Given { signatures: hot_signatures, head: hot_head } = hot;
        let payment =
            Payment { wallet, chain, unsigned, hot_signatures, intent, client_key, payment_id, to_wallet, hot_head };
        (operation, payment)
    }
}

/// What is sent of a client key.
fn told(signer: Role, client_key: Option<&ClientKey>) -> Vec<u8> {
    client_key.filter(|_| signer == Role::Keeper).map_or_else(Vec::new, ClientKey::to_vec)
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
    pub(crate) async fn create(
        &self,
        operation: Vec<u8>,
        wallet: &WalletId,
        client_key: Option<&ClientKey>,
    ) -> Result<Attestation, Denial> {
        let create = CreateWallet { wallet: wallet.to_string(), client_key: told(Role::Keeper, client_key) };
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
    pub(crate) async fn check(&self, signer: Role, ask: Ask<'_>, id: &[u8; 32]) -> Result<Consent<()>, Denial> {
        let (operation, payment) = ask.payment(signer, Given::default());
        consented(signer, self.ask(signer, operation, Operation::Check(payment)).await?, id)
    }

    /// Begins the signer's time lock, if it has one and it has not begun. Else as [`Signers::check`].
    pub(crate) async fn announce(&self, signer: Role, ask: Ask<'_>, id: &[u8; 32]) -> Result<Consent<()>, Denial> {
        let (operation, payment) = ask.payment(signer, Given::default());
        consented(signer, self.ask(signer, operation, Operation::Announce(payment)).await?, id)
    }

    /// The signer's signatures, one for each payload; Cooler is given hot's.
    pub(crate) async fn sign(
        &self,
        signer: Role,
        ask: Ask<'_>,
        hot: Given,
        id: &[u8; 32],
    ) -> Result<Consent<Given>, Denial> {
        let (operation, payment) = ask.payment(signer, hot);
        match self.ask(signer, operation, Operation::Sign(payment)).await? {
            Outcome::Signed(Signed { digest, signatures, head }) => {
                same(signer, &digest, id)?;
                Ok(Consent::Given(Given { signatures, head: head.filter(names_a_start) }))
            }
            Outcome::Pending(pending) => later(signer, &pending, id).map(Consent::Later),
            other => Err(unexpected(signer, &other)),
        }
    }

    /// What a signer has recorded of App's requests after this record. It refuses them to nobody who may ask at all.
    pub(crate) async fn records(&self, signer: Role, after: u64) -> Result<Records, Away> {
        let mut operation = vec![0; OPERATION_ID_BYTES];
        OsRng.fill_bytes(&mut operation);
        let asked = Operation::Records(ReadRecords { after, ..ReadRecords::default() });
        match self.ask(signer, operation, asked).await {
            Ok(Outcome::Records(records)) => Ok(records),
            Ok(other) => Err(mismatched(signer, &other)),
            Err(Denial::Refused(Refused { signer, reason, message })) => Err(Away::NotNow { signer, reason, message }),
            Err(Denial::Away(away)) => Err(away),
        }
    }

    async fn ask(&self, signer: Role, operation_id: Vec<u8>, operation: Operation) -> Result<Outcome, Denial> {
        let request = Request { operation_id, operation: Some(operation) };
        let answer = self.transport.ask(signer, request, Instant::now() + PATIENCE).await;
        self.metrics.answer(signer, answer.as_ref().ok());
        match answer.map_err(Denial::Away)?.outcome {
            Some(Outcome::Refused(refused)) => {
                let (reason, message) = (line(&refused.reason), line(&refused.message));
                Err(Denial::Refused(Refused { signer, reason, message }))
            }
            Some(Outcome::Unavailable(refused)) => {
                let (reason, message) = (line(&refused.reason), line(&refused.message));
                Err(Denial::Away(Away::NotNow { signer, reason, message }))
            }
            Some(outcome) => Ok(outcome),
            None => Err(away(signer, "its answer is empty; both sides must run the same version")),
        }
    }
}

/// The answer to a question before any signature.
fn consented(signer: Role, outcome: Outcome, digest: &[u8; 32]) -> Result<Consent<()>, Denial> {
    match outcome {
        Outcome::Allowed(Allowed { digest: theirs }) => same(signer, &theirs, digest).map(Consent::Given),
        Outcome::Pending(pending) => later(signer, &pending, digest).map(Consent::Later),
        other => Err(unexpected(signer, &other)),
    }
}

/// When the signer's time lock has passed.
fn later(signer: Role, pending: &Pending, digest: &[u8; 32]) -> Result<Timestamp, Denial> {
    same(signer, &pending.digest, digest)?;
    let time = i64::try_from(pending.not_before_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.ok_or_else(|| away(signer, "its time lock ends at an impossible time; ask its admin to check its clock"))
}

fn names_a_start(head: &Attestation) -> bool {
    AuditHead::decode(head.body.as_slice()).is_ok_and(|head| head.epoch > 0)
}

/// The signer decoded the same bytes to another transaction: one of the two is wrong, and nobody knows which.
fn same(signer: Role, theirs: &[u8], ours: &[u8; 32]) -> Result<(), Denial> {
    if theirs == ours {
        return Ok(());
    }
    let message = "it decodes this transaction differently from App; both must run the same version".to_owned();
    Err(Denial::Refused(Refused { signer, reason: "DigestMismatch".to_owned(), message }))
}

fn unexpected(signer: Role, outcome: &Outcome) -> Denial {
    Denial::Away(mismatched(signer, outcome))
}

fn mismatched(signer: Role, outcome: &Outcome) -> Away {
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
        Outcome::Records(_) => "Records",
    };
    let why = format!("its answer ({name}) does not match the question; both sides must run the same version");
    Away::Silent { signer, why }
}

fn away(signer: Role, why: &str) -> Denial {
    Denial::Away(Away::Silent { signer, why: why.to_owned() })
}

/// A signer's words, fit for a log line and a JSON field.
fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
