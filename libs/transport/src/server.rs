//! Answering peers: what reaches the handler was opened, verified, decoded, and came from a role that may speak here.

use std::{sync::Arc, time::Duration};

use clock::{Clock, now_ms};
use custody::Role;
use prost::Message;
use protocol::{
    envelope::{MAX_LIFETIME_MS, Party, Rejected, ReplayFilter, SealError, VerifiedRequest},
    exact::{self, NotExact},
    ops::{Class, Operation, Outcome, Refused, Request, Response},
    subject::{Lane, inbox_prefix, listens, speaks},
};
use rand_core::OsRng;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::Instant,
};
use tracing::{debug, error, warn};

use crate::{
    admission::{Admission, Admitted},
    bounds::{Bounds, Cost},
    link::{Link, RequestError},
    metrics::Metrics,
    serve::{Answer, Incoming, Serving},
};

/// The broker forgets how to bring an answer after this.
const ANSWER_WITHIN: Duration = Duration::from_millis(MAX_LIFETIME_MS);

/// Requests that are remembered against repetition, of each lane but App's operations: a megabyte.
const FEW_REQUESTS: usize = 16_384;

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
    replays: Arc<Replays>,
    clock: Clock,
}

/// What was seen, lane by lane: who floods one makes nothing be forgotten that came in by another.
struct Replays([(Lane, ReplayFilter); Lane::ALL.len()]);

impl Default for Replays {
    fn default() -> Self {
        Self(Lane::ALL.map(|lane| match lane {
            Lane::Op => (lane, ReplayFilter::default()),
            _ => (lane, ReplayFilter::new(FEW_REQUESTS)),
        }))
    }
}

impl Replays {
    fn of(&self, lane: Lane) -> Option<&ReplayFilter> {
        self.0.iter().find(|(of, _)| *of == lane).map(|(_, filter)| filter)
    }
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
    /// without an answer and counted by reason. What is verified waits for its own class alone, within its sender's
    /// quota. A handler is never cut off: what it has decided stays decided.
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
            admission: Admission::new(&bounds, self.metrics.clone()),
            handler,
        });
        let answer = move |incoming| {
            let desk = desk.clone();
            async move { desk.answer(incoming).await }
        };
        self.link.serve(listens(self.link.role()), &self.metrics, answer).await
    }
}

struct Desk<H> {
    party: watch::Receiver<Party>,
    metrics: Metrics,
    replays: Arc<Replays>,
    clock: Clock,
    role: Role,
    admission: Admission,
    handler: H,
}

/// A message that passed all checks, and what is asked for in it, if that is understood.
struct Opened {
    verified: VerifiedRequest,
    digest: [u8; 32],
    request: Result<Request, NotExact>,
}

/// What is held until an answer has left.
enum Place {
    Served { _admitted: Box<Admitted>, _turn: Option<OwnedSemaphorePermit> },
    Refused { _permit: OwnedSemaphorePermit },
}

impl<H, F> Desk<H>
where
    H: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    async fn answer(&self, incoming: Incoming) -> Option<Answer<Place>> {
        let arrived = Instant::now();
        let Incoming { lane, subject, payload, reply, unopened } = incoming;
        let party = self.party.borrow().clone();
        let opened = unopened.open(|| self.open(&party, lane, &subject, payload, reply.as_deref())).await;
        let Opened { verified, digest, request } = match opened {
            Ok(opened) => opened,
            Err(reason) => {
                debug!(lane = lane.as_str(), reason, "an envelope was dropped");
                self.metrics.reject(reason);
                return None;
            }
        };
        let (sender, iat_ms, now_ms) = (verified.sender(), verified.iat_ms(), (self.clock)());
        self.metrics.observe_clock(sender, now_ms, iat_ms);
        self.metrics.compare_clocks(sender, |clocks| clocks.request(sender, iat_ms, now_ms));
        let (response, place) = self.respond(&verified, lane, digest, request).await?;
        if arrived.elapsed() > ANSWER_WITHIN {
            warn!("an answer came too late to be sent; it will be asked for again");
            return None;
        }
        self.seal(&party, &verified, &response).map(|bytes| Answer { bytes, place })
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

    /// All checks, and the decoded request; the reason if one fails. Keeps nothing of the envelope but what is asked for.
    fn open(
        &self,
        party: &Party,
        lane: Lane,
        subject: &str,
        payload: Vec<u8>,
        reply: Option<&str>,
    ) -> Result<Opened, &'static str> {
        let reply = reply.ok_or("NoReplySubject")?;
        let now_ms = (self.clock)();
        let replays = self.replays.of(lane).ok_or("WrongLane")?;
        let verified = party.open_request(&payload, subject, now_ms, replays).map_err(|rejected| {
            // An expired one may have been held back, and says nothing of clocks.
            if let Rejected::FromTheFuture(made) = rejected {
                self.metrics.compare_clocks(made.by, |clocks| clocks.request(made.by, made.at_ms, now_ms));
            }
            rejected.reason()
        });
        drop(payload);
        let mut verified = verified?;
        if !speaks(verified.sender()).contains(&(self.role, lane)) {
            return Err("WrongLane");
        }
        // The broker lets an answer go wherever the request says: it must not become a message to somebody else.
        let inbox = format!("{}.", inbox_prefix(verified.sender()));
        if !reply.starts_with(&inbox) {
            return Err("ForeignInbox");
        }
        let digest = verified.payload_digest();
        let request = exact::decode(&verified.take_payload());
        Ok(Opened { verified, digest, request })
    }

    /// The handler's response once the request's turn has come, or why that is not now. None: too many are told so.
    async fn respond(
        &self,
        verified: &VerifiedRequest,
        lane: Lane,
        digest: [u8; 32],
        request: Result<Request, NotExact>,
    ) -> Option<(Response, Place)> {
        let (sender, key) = (verified.sender(), *verified.key());
        let decoded = request.as_ref().ok();
        let class = decoded.and_then(|request| request.operation.as_ref()).map_or(Class::Ordinary, Operation::class);
        let admitted = self.admission.admit((sender, key), class, Cost::of(decoded));
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(turned) => {
                let place = Place::Refused { _permit: self.admission.refuse(class)? };
                return Some((not_now(turned.reason(), turned.message()), place));
            }
        };
        let turn = admitted.turn().await;
        let response = match request {
            Ok(request) => (self.handler)(Call { sender, key, lane, request, digest }).await,
            Err(error) => refused("Malformed", &error.to_string()),
        };
        Some((response, Place::Served { _admitted: Box::new(admitted), _turn: turn }))
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
