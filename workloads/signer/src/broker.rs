//! The session with the broker as the agent wants it: what the signer answers and shows over it, opened anew when its
//! address changes, told of new credentials and peers without a break, drained at the end.

use std::{sync::Arc, time::Duration};

use custody::{
    CustodyId, Role,
    config::{Credentials, NatsConfig},
};
use futures::future::join_all;
use protocol::{
    envelope::{Party, Peers},
    ops::{OPERATION_ID_BYTES, Operation, Outcome, Refused, Request, Response},
    subject::Lane,
    vouching::SUPERSEDED,
};
use rand_core::{OsRng, RngCore};
use signer::{
    identity::Keys,
    pipeline::{Asker, Lock, Signer, SigningContext, reason, vouchers},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use transport::{Bounds, Call, Caller, Endpoint, Session, SessionState};

use crate::metrics::Metrics;

/// How long requests in flight may take when the process ends.
const GRACE: Duration = Duration::from_secs(10);
/// Between two rounds of asking for vouchers.
const LOCKED_PAUSE: Duration = Duration::from_millis(500);
/// Between two rounds while the lock is open.
const OPEN_PAUSE: Duration = Duration::from_secs(1);
/// How long one voucher is asked.
const PATIENCE: Duration = Duration::from_secs(4);
/// The same while the lock is open: one that is away does not keep the head from the others.
const OPEN_PATIENCE: Duration = Duration::from_secs(1);

/// At most one session.
pub(crate) struct Broker {
    signer: Arc<Signer>,
    metrics: Arc<Metrics>,
    link_metrics: transport::Metrics,
    open: Option<Open>,
    trouble: String,
}

/// A session, and what goes on over it.
struct Open {
    session: Session,
    serving: transport::Serving,
    heads: JoinHandle<()>,
}

/// What the session speaks as.
pub(crate) struct Speaker<'a> {
    pub(crate) custody: CustodyId,
    pub(crate) role: Role,
    pub(crate) keys: &'a Keys,
    pub(crate) peers: &'a Peers,
}

impl Broker {
    pub(crate) fn new(signer: Arc<Signer>, metrics: Arc<Metrics>) -> Self {
        let link_metrics = metrics.register(transport::Metrics::register);
        Self { signer, metrics, link_metrics, open: None, trouble: "not connected yet".to_owned() }
    }

    /// Connected, and with which credentials, or not and why.
    pub(crate) fn state(&mut self) -> SessionState {
        match &mut self.open {
            Some(open) => open.session.state(),
            None => SessionState::Away(self.trouble.clone()),
        }
    }

    /// Whose clock is known to differ from the one here, in one line.
    pub(crate) fn clocks(&self) -> Option<String> {
        self.link_metrics.clocks()
    }

    /// Brings the session to what is wanted; does nothing when it is.
    pub(crate) async fn connect(&mut self, nats: &NatsConfig, credentials: Credentials, speaker: Speaker<'_>) {
        if let Err(trouble) = self.try_connect(nats, credentials, speaker).await {
            tracing::warn!(trouble, "no connection to the broker");
            self.trouble = trouble;
        }
    }

    async fn try_connect(
        &mut self,
        nats: &NatsConfig,
        credentials: Credentials,
        speaker: Speaker<'_>,
    ) -> Result<(), String> {
        let Speaker { custody, role, keys, peers } = speaker;
        let nkey = keys.nats().map_err(|error| error.to_string())?;
        let endpoint = Endpoint { urls: nats.urls.clone(), ca_pem: nats.ca_bundle.clone(), nkey };
        let party = Party::new(custody, role, keys.own().clone(), peers.clone()).map_err(|error| error.to_string())?;
        if let Some(Open { session, .. }) = &mut self.open
            && session.is_for(&endpoint, &party)
        {
            session.speak_as(party);
            session.offer(credentials);
            return Ok(());
        }
        self.disconnect().await;
        let session = Session::open(endpoint, party, credentials, self.link_metrics.clone());
        let session = session.await.map_err(|error| error.to_string())?;
        let (signer, metrics) = (self.signer.clone(), self.metrics.clone());
        let answer = move |call| {
            let (signer, metrics) = (signer.clone(), metrics.clone());
            async move { answer(&signer, &metrics, call).await }
        };
        let serving = session.server().serve(Bounds::default(), answer).await.map_err(|error| error.to_string())?;
        let heads = tokio::spawn(show_heads(self.signer.clone(), session.caller()));
        self.open = Some(Open { session, serving, heads });
        Ok(())
    }

    /// Takes nothing more, answers what was taken, closes.
    pub(crate) async fn disconnect(&mut self) {
        if let Some(Open { session, serving, heads }) = self.open.take() {
            heads.abort();
            if !serving.stop(GRACE).await {
                tracing::warn!("requests were still in flight; they can be asked again");
            }
            session.close().await;
            self.trouble = "not connected: something that is needed is missing".to_owned();
        }
    }
}

async fn answer(signer: &Signer, metrics: &Metrics, call: Call) -> Response {
    let start = Instant::now();
    let operation = call.request.operation.as_ref().map_or("None", Operation::name);
    let asker = Asker { role: call.sender, key: call.key };
    let response = match &call.request.operation {
        Some(operation) if !operation.in_lane(call.lane) => misplaced(operation.name()),
        _ => signer.answer(asker, call.request, call.digest).await,
    };
    metrics.answered(operation, reason(&response), start.elapsed());
    response
}

/// Nothing is stored under its id: it may be asked again, in its own lane.
fn misplaced(operation: &str) -> Response {
    let message = format!("{operation} is not asked for in this lane");
    Response { outcome: Some(Outcome::Refused(Refused { reason: "WrongLane".to_owned(), message })) }
}

/// Shows this signer's audit head to the others: until they have vouched for this start, and then once a second, so that
/// what they hold is never older than a moment, and a loss or a second copy of the volume is noticed within one.
async fn show_heads(signer: Arc<Signer>, caller: Caller) {
    loop {
        let locked = signer.is_locked();
        if let Err(why) = show_head(&signer, &caller, locked).await {
            if locked {
                signer.still_locked(why);
            } else {
                tracing::debug!(why, "the audit head was not shown to all; it is shown again");
            }
        }
        sleep(if locked { LOCKED_PAUSE } else { OPEN_PAUSE }).await;
    }
}

/// One round. Every voucher is asked, and each has to know this signer's history. Before the lock opens, all of them
/// hold the head that they have vouched for: whatever is signed from then on, there is somebody who knows that this
/// signer has a history, and that this is its present start.
async fn show_head(signer: &Signer, caller: &Caller, locked: bool) -> Result<(), String> {
    let serving = signer.serving().ok_or("something that is needed is missing; the report says what")?;
    let vouchers = vouchers(&serving);
    let show = async |open: bool| {
        let shown = vouchers.iter().map(|voucher| show_to(signer, &serving, caller, *voucher, open));
        join_all(shown).await.into_iter().collect::<Result<Vec<bool>, String>>()
    };
    if !locked {
        return show(true).await.map(drop);
    }
    show(false).await?;
    if !show(true).await?.into_iter().all(|kept| kept) {
        return Err("the others have heard of another head meanwhile; they are asked again".to_owned());
    }
    signer.set_lock(Lock::Open);
    Ok(())
}

/// Whether `voucher` holds the head that it was shown; else why this start may not serve, or was not vouched for.
async fn show_to(
    signer: &Signer,
    serving: &SigningContext,
    caller: &Caller,
    voucher: Role,
    open: bool,
) -> Result<bool, String> {
    let echo = signer.own_head(serving, voucher, open).await.map_err(|error| error.to_string())??;
    let lane = if voucher == Role::Sentinel { Lane::In } else { Lane::Peer };
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    let request = Request { operation_id, operation: Some(Operation::EchoHead(echo)) };
    let patience = if signer.is_locked() { PATIENCE } else { OPEN_PATIENCE };
    let answer = caller.call(voucher, lane, &request, Instant::now() + patience).await;
    match answer.map_err(|error| error.to_string())?.outcome {
        Some(Outcome::Held(held)) => {
            signer.vouched(serving, voucher, held.head.as_ref()).await.map_err(|error| error.to_string())?
        }
        Some(Outcome::Refused(Refused { reason, .. })) if reason == SUPERSEDED => Err(signer.superseded(voucher)),
        Some(Outcome::Refused(refused) | Outcome::Unavailable(refused)) => {
            Err(format!("{voucher} does not vouch: {}", refused.message))
        }
        _ => Err(format!("{voucher} answers another question; both sides must run the same version")),
    }
}
