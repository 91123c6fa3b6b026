//! Asking a peer until there is an answer that can be believed.

use std::{sync::Arc, time::Duration};

use clock::{Clock, now_ms};
use custody::Role;
use prost::Message;
use protocol::{
    batch::BatchError,
    envelope::{Made, Party, Rejected, SealError, VerifiedResponse},
    exact,
    ops::{Operation, Outcome, Request, Response},
    subject::Lane,
};
use rand_core::{OsRng, RngCore};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};
use tracing::debug;

use crate::{
    inbox::Reply,
    link::{Link, RequestError},
    metrics::Metrics,
};

/// How long one try waits for its answer.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not until the deadline. It may have been carried out: only the same operation id may ask again.
    #[error("{to} gave no answer in {tries} tries: {last}")]
    NoAnswer {
        /// Who was asked.
        to: Role,
        /// How often.
        tries: usize,
        /// What the last try said.
        last: String,
    },
    /// It would be refused.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// It can't be sent.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It can't be sent.
    #[error(transparent)]
    TooLarge(RequestError),
    /// Genuine, but from another version.
    #[error("{0} answers what this version does not understand completely; both sides must run the same version")]
    Version(Role),
}

/// Asks peers. Clones share everything.
#[derive(Clone)]
pub struct Caller {
    link: Link,
    party: watch::Receiver<Party>,
    metrics: Metrics,
    clock: Clock,
}

/// What came of one try.
enum Try {
    Answered(Response),
    /// May be tried again.
    Failed(String),
}

/// A request's bytes, unless it would be refused.
fn payload(request: &Request) -> Result<Vec<u8>, BatchError> {
    if let Some(Operation::Batch(batch)) = &request.operation {
        batch.check()?;
    }
    Ok(request.encode_to_vec())
}

impl Caller {
    /// Asks over `link` with whatever keys and peers `party` holds at each try.
    pub fn new(link: Link, party: watch::Receiver<Party>, metrics: Metrics) -> Self {
        Self { link, party, metrics, clock: Arc::new(now_ms) }
    }

    /// By another clock than the machine's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Sends `request` to `to`, again and again until `deadline`: each try is another envelope around the same bytes,
    /// so the signer's operation id makes it one operation. "Not now" is tried again too, and returned if it is still
    /// the last word at the deadline.
    pub async fn call(
        &self,
        to: Role,
        lane: Lane,
        request: &Request,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        let payload = payload(request)?;
        let (mut tries, mut not_now, mut last) = (0, None, "the deadline had passed before the first".to_owned());
        while Instant::now() < deadline {
            if tries > 0 {
                self.metrics.retry();
            }
            tries += 1;
            match self.ask(to, lane, &payload, deadline).await? {
                Try::Answered(Response { outcome: Some(Outcome::Unavailable(why)) }) => {
                    last = why.message.clone();
                    not_now = Some(Response { outcome: Some(Outcome::Unavailable(why)) });
                }
                Try::Answered(response) => return Ok(response),
                Try::Failed(why) => (last, not_now) = (why, None),
            }
            debug!(%to, tries, "no answer yet: {last}");
            self.pause(tries, deadline).await;
        }
        not_now.ok_or(CallError::NoAnswer { to, tries, last })
    }

    /// One try of [`Self::call`], for whoever has something better to do than to wait: "not now" is returned.
    pub async fn call_once(
        &self,
        to: Role,
        lane: Lane,
        request: &Request,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        match self.ask(to, lane, &payload(request)?, deadline).await? {
            Try::Answered(response) => Ok(response),
            Try::Failed(last) => Err(CallError::NoAnswer { to, tries: 1, last }),
        }
    }

    async fn ask(&self, to: Role, lane: Lane, payload: &[u8], deadline: Instant) -> Result<Try, CallError> {
        let party = self.party.borrow().clone();
        let asked_ms = (self.clock)();
        let (bytes, ticket) = party.request(to, &self.link.subject(to, lane), payload, asked_ms, &mut OsRng)?;
        let mut replies = match self.link.request(to, lane, bytes).await {
            Ok(replies) => replies,
            Err(error @ RequestError::TooLarge { .. }) => return Err(CallError::TooLarge(error)),
            Err(error) => return Ok(Try::Failed(error.to_string())),
        };
        let until = deadline.min(Instant::now() + TRY_TIMEOUT);
        loop {
            let reply = timeout_at(until, replies.next()).await;
            let now_ms = (self.clock)();
            match reply {
                Ok(Some(Reply::Bytes(bytes))) => match ticket.open_response(&bytes, now_ms) {
                    Ok(response) => {
                        self.compare_clocks(to, response.iat_ms(), asked_ms, now_ms);
                        return self.read(to, &response, now_ms).map(Try::Answered);
                    }
                    // Not from the peer, so no word of the peer's: the right one may still come.
                    Err(rejected) => {
                        self.metrics.reject(rejected.reason());
                        // The peer's own answer to this very request, which only a clock has made useless.
                        if let Rejected::FromTheFuture(Made { at_ms, .. }) | Rejected::Expired(Made { at_ms, .. }) =
                            rejected
                        {
                            self.compare_clocks(to, at_ms, asked_ms, now_ms);
                        }
                    }
                },
                Ok(Some(Reply::NoResponders)) => return Ok(Try::Failed(format!("{to} is not listening"))),
                Ok(None) => return Ok(Try::Failed("the connection was closed".to_owned())),
                Err(_) => {
                    let clock = self.metrics.clock_of(to);
                    return Ok(Try::Failed(clock.unwrap_or_else(|| "no answer in time".to_owned())));
                }
            }
        }
    }

    fn compare_clocks(&self, to: Role, iat_ms: u64, asked_ms: u64, now_ms: u64) {
        self.metrics.compare_clocks(to, |clocks| clocks.answer(to, iat_ms, asked_ms, now_ms));
    }

    fn read(&self, from: Role, response: &VerifiedResponse, now_ms: u64) -> Result<Response, CallError> {
        self.metrics.observe_clock(from, now_ms, response.iat_ms());
        exact::decode(response.payload()).map_err(|_| CallError::Version(from))
    }

    /// Waits as long as the schedule says, or until the connection is there again.
    async fn pause(&self, failures: usize, deadline: Instant) {
        let failures = u32::try_from(failures).unwrap_or(u32::MAX);
        let wake = deadline.min(Instant::now() + backoff::jittered(failures, OsRng.next_u32()));
        let mut state = self.link.state();
        if state.borrow().is_healthy() {
            tokio::time::sleep_until(wake).await;
        } else {
            let _ = timeout(wake - Instant::now(), state.wait_for(|state| state.is_healthy())).await;
        }
    }
}
