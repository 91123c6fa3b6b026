//! Answering peers: what reaches the handler was opened, verified, decoded, and came from a role that may speak here.

use std::{sync::Arc, time::Duration};

use clock::{Clock, now_ms};
use custody::Role;
use prost::Message;
use protocol::{
    envelope::{MAX_LIFETIME_MS, Party, Rejected, ReplayFilter, SealError, VerifiedRequest},
    exact,
    ops::{Outcome, Refused, Request, Response},
    subject::{Lane, inbox_prefix, listens, speaks},
};
use rand_core::OsRng;
use tokio::{sync::watch, time::Instant};
use tracing::{debug, error, warn};

use crate::{
    connection::{Link, RequestError},
    metrics::Metrics,
    serve::{Bounds, Incoming, Serving},
};

/// The broker forgets how to bring an answer after this.
const ANSWER_WITHIN: Duration = Duration::from_millis(MAX_LIFETIME_MS);

/// A verified request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who signed it.
    pub sender: Role,
    /// The ed25519 public key that signed it.
    pub key: [u8; 32],
    /// Where it came in.
    pub lane: Lane,
    /// What is asked for.
    pub request: Request,
    /// SHA-256 of the request's exact bytes: the same in every retry of an operation, another for any other request.
    pub digest: [u8; 32],
}

/// Answers the requests of peers.
pub struct Server {
    link: Link,
    party: watch::Receiver<Party>,
    metrics: Metrics,
    replays: Arc<ReplayFilter>,
    clock: Clock,
}

impl Server {
    /// Answers over `link` with whatever keys and peers `party` holds at each request.
    pub fn new(link: Link, party: watch::Receiver<Party>, metrics: Metrics) -> Self {
        Self { link, party, metrics, replays: Arc::default(), clock: Arc::new(now_ms) }
    }

    /// By another clock than the machine's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Serves all lanes of the link's role. `handler` gets verified requests only; what fails a check is dropped
    /// without an answer and counted by reason. A handler is never cut off: what it has decided stays decided.
    pub async fn serve<H, F>(&self, bounds: Bounds, handler: H) -> Result<Serving, RequestError>
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let desk = Arc::new(Desk {
            party: self.party.clone(),
            metrics: self.metrics.clone(),
            replays: self.replays.clone(),
            clock: self.clock.clone(),
            role: self.link.role(),
            handler,
        });
        let answer = move |incoming| {
            let desk = desk.clone();
            async move { desk.answer(incoming).await }
        };
        self.link.serve(listens(self.link.role()), bounds, answer).await
    }
}

struct Desk<H> {
    party: watch::Receiver<Party>,
    metrics: Metrics,
    replays: Arc<ReplayFilter>,
    clock: Clock,
    role: Role,
    handler: H,
}

impl<H, F> Desk<H>
where
    H: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    async fn answer(&self, incoming: Incoming) -> Option<Vec<u8>> {
        let arrived = Instant::now();
        let party = self.party.borrow().clone();
        let verified = match self.open(&party, &incoming) {
            Ok(verified) => verified,
            Err(reason) => {
                debug!(lane = incoming.lane.as_str(), reason, "an envelope was dropped");
                self.metrics.reject(reason);
                return None;
            }
        };
        let (sender, iat_ms, now_ms) = (verified.sender(), verified.iat_ms(), (self.clock)());
        self.metrics.observe_clock(sender, now_ms, iat_ms);
        self.metrics.compare_clocks(sender, |clocks| clocks.request(sender, iat_ms, now_ms));
        let response = self.respond(&verified, &incoming).await;
        if arrived.elapsed() > ANSWER_WITHIN {
            warn!("an answer came too late to be sent; it will be asked for again");
            return None;
        }
        self.seal(&party, &verified, &response)
    }

    /// The sealed answer. One that is too large is replaced by saying so: silence would be asked again for ever.
    fn seal(&self, party: &Party, verified: &VerifiedRequest, response: &Response) -> Option<Vec<u8>> {
        let seal = |response: &Response| party.respond(verified, &response.encode_to_vec(), (self.clock)(), &mut OsRng);
        seal(response)
            .or_else(|why| match why {
                SealError::TooLarge(_) => {
                    seal(&refused("AnswerTooLarge", "it is done, but the answers do not fit; ask for fewer at once"))
                }
                why => Err(why),
            })
            .inspect_err(|why| error!("an answer could not be sealed: {why}"))
            .ok()
    }

    /// All checks; the reason if one fails.
    fn open(&self, party: &Party, incoming: &Incoming) -> Result<VerifiedRequest, &'static str> {
        let Incoming { lane, subject, payload, reply, overloaded: _ } = incoming;
        let reply = reply.as_ref().ok_or("NoReplySubject")?;
        let now_ms = (self.clock)();
        let verified = party.open_request(payload, subject, now_ms, &self.replays).map_err(|rejected| {
            // An expired one may have been held back, and says nothing of clocks.
            if let Rejected::FromTheFuture(made) = rejected {
                self.metrics.compare_clocks(made.by, |clocks| clocks.request(made.by, made.at_ms, now_ms));
            }
            rejected.reason()
        })?;
        if !speaks(verified.sender()).contains(&(self.role, *lane)) {
            return Err("WrongLane");
        }
        // The broker lets an answer go wherever the request says: it must not become a message to somebody else.
        let inbox = format!("{}.", inbox_prefix(verified.sender()));
        if reply.starts_with(&inbox) { Ok(verified) } else { Err("ForeignInbox") }
    }

    async fn respond(&self, verified: &VerifiedRequest, incoming: &Incoming) -> Response {
        if incoming.overloaded {
            self.metrics.overload();
            return not_now("Busy", "too many requests are waiting; ask again");
        }
        match exact::decode(verified.payload()) {
            Ok(request) => {
                let (sender, key, digest) = (verified.sender(), *verified.key(), verified.payload_digest());
                (self.handler)(Call { sender, key, lane: incoming.lane, request, digest }).await
            }
            Err(error) => refused("Malformed", &error.to_string()),
        }
    }
}

fn not_now(reason: &str, message: &str) -> Response {
    Response { outcome: Some(Outcome::Unavailable(words(reason, message))) }
}

fn refused(reason: &str, message: &str) -> Response {
    Response { outcome: Some(Outcome::Refused(words(reason, message))) }
}

fn words(reason: &str, message: &str) -> Refused {
    Refused { reason: reason.to_owned(), message: message.to_owned() }
}
