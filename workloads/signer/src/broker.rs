//! The connection to the broker as the agent wants it: made anew when its address changes, told of new credentials and
//! peers without a break, drained at the end.

use std::{sync::Arc, time::Duration};

use custody::{
    CustodyId, Role,
    config::{Credentials, NatsConfig},
};
use protocol::{
    envelope::{Party, Peers},
    ops::{Attestation, EchoHead, OPERATION_ID_BYTES, Operation, Outcome, Request},
    subject::Lane,
};
use rand_core::{OsRng, RngCore};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use transport::{Bounds, Call, Caller, Link, Options, Server};

use crate::{agent::assess, metrics::Metrics};
use signer::{
    identity::Keys,
    pipeline::{Asker, Lock, Signer, name, reason, vouchers},
};

/// How long requests in flight may take when the process ends.
const GRACE: Duration = Duration::from_secs(10);
/// Between two rounds of asking for vouchers.
const LOCKED_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at whether the audit chain has grown.
const OPEN_PAUSE: Duration = Duration::from_secs(1);
/// A head that has not grown is shown again after this.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long one voucher is asked.
const PATIENCE: Duration = Duration::from_secs(4);

/// At most one connection.
pub(crate) struct Broker {
    signer: Arc<Signer>,
    metrics: Arc<Metrics>,
    link_metrics: transport::Metrics,
    connection: Option<Connection>,
    trouble: String,
}

struct Connection {
    target: Target,
    link: Link,
    serving: transport::Serving,
    heads: JoinHandle<()>,
    party: watch::Sender<Party>,
    jwt: watch::Sender<String>,
    state: watch::Receiver<transport::State>,
    offered: u64,
    in_use: Option<u64>,
}

/// What can't be changed without another connection.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    custody: CustodyId,
    role: Role,
    nats: NatsConfig,
    nats_user: String,
}

/// What the connection speaks as.
pub(crate) struct Speaker<'a> {
    pub(crate) custody: CustodyId,
    pub(crate) role: Role,
    pub(crate) keys: &'a Keys,
    pub(crate) peers: &'a Peers,
}

impl Broker {
    pub(crate) fn new(signer: Arc<Signer>, metrics: Arc<Metrics>) -> Self {
        let link_metrics = metrics.register(transport::Metrics::register);
        Self { signer, metrics, link_metrics, connection: None, trouble: "not connected yet".to_owned() }
    }

    /// Connected, and with which credentials, or not and why.
    pub(crate) fn state(&mut self) -> assess::Broker {
        match &mut self.connection {
            Some(connection) => connection.state(),
            None => assess::Broker::Away(self.trouble.clone()),
        }
    }

    /// Brings the connection to what is wanted; does nothing when it is.
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
        let nats_user = keys.nats_user().to_owned();
        let target = Target { custody, role, nats: nats.clone(), nats_user };
        let party = Party::new(custody, role, keys.own().clone(), peers.clone()).map_err(|error| error.to_string())?;
        if let Some(connection) = &mut self.connection
            && connection.target == target
        {
            connection.party.send_replace(party);
            connection.offer(credentials);
            return Ok(());
        }
        self.disconnect().await;
        let (jwt, newest) = watch::channel(credentials.user_jwt);
        let options = Options {
            urls: nats.urls.clone(),
            ca_pem: nats.ca_bundle.clone(),
            custody,
            role,
            nkey: keys.nats().map_err(|error| error.to_string())?,
            jwt: newest,
        };
        let link = Link::connect(options).await.map_err(|error| error.to_string())?;
        let (party, present) = watch::channel(party);
        let server = Server::new(link.clone(), present, self.link_metrics.clone());
        let (signer, metrics) = (self.signer.clone(), self.metrics.clone());
        let answer = move |call| {
            let (signer, metrics) = (signer.clone(), metrics.clone());
            async move { answer(&signer, &metrics, call).await }
        };
        let serving = server.serve(Bounds::default(), answer).await.map_err(|error| error.to_string())?;
        let caller = Caller::new(link.clone(), party.subscribe(), self.link_metrics.clone());
        let heads = tokio::spawn(show_heads(self.signer.clone(), caller));
        let state = link.state();
        let offered = credentials.generation;
        self.connection = Some(Connection { target, link, serving, heads, party, jwt, state, offered, in_use: None });
        Ok(())
    }

    /// Takes nothing more, answers what was taken, closes.
    pub(crate) async fn disconnect(&mut self) {
        if let Some(Connection { link, serving, heads, .. }) = self.connection.take() {
            heads.abort();
            if !serving.stop(GRACE).await {
                tracing::warn!("requests were still in flight; they can be asked again");
            }
            link.close().await;
            self.trouble = "not connected: something that is needed is missing".to_owned();
        }
    }
}

impl Connection {
    fn state(&mut self) -> assess::Broker {
        // Changed since another JWT was offered: the login since then used it.
        let changed = self.state.has_changed().unwrap_or(true);
        let present = self.state.borrow_and_update().clone();
        if !present.is_healthy() {
            self.in_use = None;
            return assess::Broker::Away(present.to_string());
        }
        if changed || self.in_use.is_none() {
            self.in_use = Some(self.offered);
        }
        assess::Broker::Connected { generation: self.in_use.unwrap_or(self.offered) }
    }

    /// Another JWT makes the link log in anew with it.
    fn offer(&mut self, credentials: Credentials) {
        self.offered = credentials.generation;
        let changed = self.jwt.send_if_modified(|present| {
            let changed = *present != credentials.user_jwt;
            if changed {
                self.state.mark_unchanged();
                *present = credentials.user_jwt;
            }
            changed
        });
        if !changed {
            self.in_use = self.in_use.map(|_| self.offered);
        }
    }
}

async fn answer(signer: &Signer, metrics: &Metrics, call: Call) -> protocol::ops::Response {
    let start = Instant::now();
    let operation = call.request.operation.as_ref().map_or("None", name);
    let asker = Asker { role: call.sender, key: call.key };
    let response = signer.answer(asker, call.request, call.digest).await;
    metrics.answered(operation, reason(&response), start.elapsed());
    response
}

/// Shows this signer's audit head to the others: until they have vouched for this start, and then whenever it has
/// grown, so that what they hold is never older than a moment.
async fn show_heads(signer: Arc<Signer>, caller: Caller) {
    let mut shown: Option<(audit::Head, Instant)> = None;
    loop {
        let locked = matches!(*signer.lock(), Lock::Locked(_));
        match show_head(&signer, &caller, locked, shown).await {
            Ok(head) => shown = head,
            Err(why) => {
                if locked {
                    signer.set_lock(Lock::Locked(why));
                } else {
                    tracing::debug!(why, "the audit head was not shown; it is shown again");
                }
            }
        }
        sleep(if locked { LOCKED_PAUSE } else { OPEN_PAUSE }).await;
    }
}

/// One round. Every voucher is asked, and each has to know this signer's history. Before the lock opens, all of them
/// hold the head that they have vouched for: whatever is signed from then on, there is somebody who knows that this
/// signer has a history.
async fn show_head(
    signer: &Signer,
    caller: &Caller,
    locked: bool,
    shown: Option<(audit::Head, Instant)>,
) -> Result<Option<(audit::Head, Instant)>, String> {
    let serving = signer.serving().ok_or("something that is needed is missing; the report says what")?;
    let (head, operation) = signer.own_head(&serving).await.map_err(|error| error.to_string())?;
    if !locked && shown.is_some_and(|(before, at)| before == head && at.elapsed() < HEARTBEAT) {
        return Ok(shown);
    }
    for voucher in vouchers(&serving) {
        let held = show_to(caller, voucher, operation.clone()).await?;
        if locked {
            signer.vouched(&serving, voucher, held.as_ref()).await.map_err(|error| error.to_string())??;
        }
    }
    if let (true, Operation::EchoHead(echo)) = (locked, operation) {
        for voucher in vouchers(&serving) {
            show_to(caller, voucher, Operation::EchoHead(EchoHead { locked: false, ..echo.clone() })).await?;
        }
        signer.set_lock(Lock::Open);
    }
    Ok(Some((head, Instant::now())))
}

/// What `voucher` held before.
async fn show_to(caller: &Caller, voucher: Role, operation: Operation) -> Result<Option<Attestation>, String> {
    let lane = if voucher == Role::Sentinel { Lane::In } else { Lane::Peer };
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    let request = Request { operation_id, operation: Some(operation) };
    let answer = caller.call(voucher, lane, &request, Instant::now() + PATIENCE).await;
    match answer.map_err(|error| error.to_string())?.outcome {
        Some(Outcome::Held(held)) => Ok(held.head),
        Some(Outcome::Refused(refused) | Outcome::Unavailable(refused)) => {
            Err(format!("{voucher} does not vouch: {}", refused.message))
        }
        _ => Err(format!("{voucher} answers another question; both sides must run the same version")),
    }
}
