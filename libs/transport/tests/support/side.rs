//! The workloads' sides of a broker: their keys, links and handlers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use custody::{Role, identity::PeerKeys};
use futures::{FutureExt, future::BoxFuture};
use prometheus_client::registry::Registry;
use protocol::{
    envelope::{OwnKeys, Party, Peers},
    ops::{Allowed, CreateWallet, Operation, Outcome, Request, Response},
    subject::Lane,
};
use rand_core::OsRng;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout},
};
use transport::{Bounds, Call, CallError, Caller, Link, Metrics, Options, Server, Serving, State};

use super::{Broker, PATIENCE, User};

/// Long enough for any answer that comes, short enough to wait for one that doesn't.
pub(crate) const SHORTLY: Duration = Duration::from_millis(1_500);

/// Everybody's keys, and who is told which.
pub(crate) struct Keys(pub(crate) BTreeMap<Role, Arc<OwnKeys>>);

impl Keys {
    pub(crate) fn new() -> Self {
        Self(Role::ALL.into_iter().map(|role| (role, Arc::new(OwnKeys::generate(&mut OsRng)))).collect())
    }

    pub(crate) fn party(&self, broker: &Broker, role: Role) -> Party {
        let others = self.0.iter().filter(|(other, _)| **other != role);
        let approved: BTreeMap<Role, Vec<PeerKeys>> =
            others.map(|(other, keys)| (*other, vec![keys.public().clone()])).collect();
        Party::new(broker.custody, role, self.0[&role].clone(), Peers::new(&approved).unwrap()).unwrap()
    }
}

/// One workload's side.
pub(crate) struct Side {
    pub(crate) link: Link,
    pub(crate) metrics: Metrics,
    pub(crate) jwt: watch::Sender<String>,
    pub(crate) party: watch::Sender<Party>,
}

impl Side {
    /// Connected, or at least trying to be.
    pub(crate) async fn connect(broker: &Broker, user: &User, role: Role, party: Party) -> Self {
        let (jwt, newest) = watch::channel(user.jwt.clone());
        let options = Options {
            urls: vec![broker.nats.url()],
            ca_pem: broker.nats.ca_pem().to_owned(),
            custody: broker.custody,
            role,
            nkey: user.key.clone(),
            jwt: newest,
        };
        let link = Link::connect(options).await.unwrap();
        Self { link, metrics: Metrics::register(&mut Registry::default()), jwt, party: watch::channel(party).0 }
    }

    pub(crate) async fn start(broker: &Broker, keys: &Keys, role: Role) -> Self {
        let side = Self::connect(broker, &broker.user(role), role, keys.party(broker, role)).await;
        side.comes_to(State::is_healthy).await;
        side
    }

    pub(crate) async fn comes_to(&self, wanted: impl Fn(&State) -> bool) -> State {
        let mut state = self.link.state();
        let found = timeout(PATIENCE, state.wait_for(|state| wanted(state))).await;
        found.unwrap_or_else(|_| panic!("still {:?}", self.link.state().borrow())).unwrap().clone()
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::new(self.link.clone(), self.party.subscribe(), self.metrics.clone())
    }

    pub(crate) async fn ask_within(&self, to: Role, lane: Lane, within: Duration) -> Result<Response, CallError> {
        self.caller().call(to, lane, &request(), Instant::now() + within).await
    }

    pub(crate) async fn ask(&self, to: Role, lane: Lane) -> Result<Response, CallError> {
        self.ask_within(to, lane, PATIENCE).await
    }

    pub(crate) async fn serve<F>(&self, bounds: Bounds, handler: impl Fn(Call) -> F + Send + Sync + 'static) -> Serving
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let server = Server::new(self.link.clone(), self.party.subscribe(), self.metrics.clone());
        server.serve(bounds, handler).await.unwrap()
    }

    pub(crate) async fn comes_to_reject(&self, reason: &'static str) {
        let counted = async {
            while self.metrics.rejected(reason) == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, counted).await.unwrap_or_else(|_| panic!("nothing was rejected as {reason}"));
    }
}

pub(crate) fn request() -> Request {
    let operation =
        Some(Operation::CreateWallet(CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() }));
    Request { operation_id: vec![5; 16], operation }
}

pub(crate) fn allowed(digest: &[u8]) -> Response {
    Response { outcome: Some(Outcome::Allowed(Allowed { digest: digest.to_vec() })) }
}

/// A handler that says when a call has come in and answers it once the gate lets it.
pub(crate) fn gated(
    entered: Arc<Notify>,
    gate: Arc<Semaphore>,
) -> impl Fn(Call) -> BoxFuture<'static, Response> + Send + Sync + 'static {
    move |call: Call| {
        let (entered, gate) = (entered.clone(), gate.clone());
        async move {
            entered.notify_one();
            let _turn = gate.acquire().await.unwrap();
            allowed(&call.digest)
        }
        .boxed()
    }
}

pub(crate) async fn agree(call: Call) -> Response {
    allowed(&call.digest)
}
