//! What floods one lane, class or sender is in the way of no other, over a real broker.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_nats::Client;
use custody::Role;
use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use prost::Message;
use protocol::{
    envelope::MAX_BYTES,
    ops::{
        Batch, Class, CreateWallet, EchoHead, Freeze, Lease, MAX_BATCH_ITEMS, Operation, Outcome, Request, Response,
        Settle,
    },
    subject::{Lane, subject},
};
use rand_core::{OsRng, RngCore};
use support::{
    Broker, PATIENCE, now,
    side::{Keys, SHORTLY, Side, agree, allowed},
};
use tokio::{sync::Semaphore, time::Instant};
use transport::{Bounds, Call};

fn asking(operation: Operation) -> Request {
    let mut operation_id = vec![0; 16];
    OsRng.fill_bytes(&mut operation_id);
    Request { operation_id, operation: Some(operation) }
}

fn freeze() -> Operation {
    Operation::Freeze(Freeze::default())
}

fn create() -> Operation {
    Operation::CreateWallet(CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() })
}

fn echo() -> Operation {
    Operation::EchoHead(EchoHead::default())
}

/// One try: "not now" would be the answer.
async fn once(side: &Side, lane: Lane, operation: Operation) -> Response {
    let asked = side.caller().call_once(Role::Keeper, lane, &asking(operation), Instant::now() + PATIENCE).await;
    asked.unwrap()
}

fn served(response: &Response) -> bool {
    matches!(response.outcome, Some(Outcome::Allowed(_)))
}

fn reason(response: &Response) -> &str {
    match &response.outcome {
        Some(Outcome::Unavailable(why)) => &why.reason,
        other => panic!("{other:?}"),
    }
}

/// Everybody, and Keeper's handler, which answers what is of these classes only when the gate opens.
struct World {
    keeper: Side,
    app: Side,
    cooler: Side,
    sentinel: Side,
    keys: Keys,
    broker: Broker,
}

impl World {
    async fn start() -> Self {
        let (broker, keys) = (Broker::start().await, Keys::new());
        let [keeper, app, cooler, sentinel] = [
            Side::start(&broker, &keys, Role::Keeper).await,
            Side::start(&broker, &keys, Role::App).await,
            Side::start(&broker, &keys, Role::Cooler).await,
            Side::start(&broker, &keys, Role::Sentinel).await,
        ];
        Self { keeper, app, cooler, sentinel, keys, broker }
    }

    /// All that goes first is served at its first try.
    async fn what_goes_first_is_served(&self) {
        let (app, cooler, sentinel) = (&self.app, &self.cooler, &self.sentinel);
        let asked: [BoxFuture<'_, Response>; 7] = [
            once(app, Lane::Freeze, freeze()).boxed(),
            once(cooler, Lane::Peer, freeze()).boxed(),
            once(sentinel, Lane::Sentinel, freeze()).boxed(),
            once(sentinel, Lane::Sentinel, Operation::Lease(Lease::default())).boxed(),
            once(sentinel, Lane::Sentinel, Operation::Settle(Settle::default())).boxed(),
            once(cooler, Lane::Peer, echo()).boxed(),
            once(app, Lane::Op, freeze()).boxed(),
        ];
        for response in join_all(asked).await {
            assert!(served(&response), "{response:?}");
        }
        for reason in ["Busy", "SenderQuota"] {
            assert_eq!(self.keeper.metrics.turned_away(Class::Urgent, reason), 0);
        }
    }

    /// App's genuine envelope, as whoever has its message key makes one.
    fn genuine(&self, lane: Lane, request: &Request) -> Vec<u8> {
        let (to, now_ms) = (subject(self.broker.custody, Role::Keeper, lane), u64::try_from(now()).unwrap() * 1000);
        let party = self.keys.party(&self.broker, Role::App);
        party.request(Role::Keeper, &to, &request.encode_to_vec(), now_ms, &mut OsRng).unwrap().0
    }

    /// A bare connection with App's credentials.
    async fn bare(&self) -> Client {
        let options = self.broker.bare(&self.broker.user(Role::App)).client_capacity(8);
        options.connect(self.broker.nats.url()).await.unwrap()
    }
}

/// Answers what is of these classes once the gate is open, everything else at once; counts what is held.
fn holding(
    classes: &'static [Class],
    gate: Arc<Semaphore>,
    held: Arc<AtomicUsize>,
) -> impl Fn(Call) -> BoxFuture<'static, Response> + Send + Sync + 'static {
    move |call: Call| {
        let (gate, held) = (gate.clone(), held.clone());
        async move {
            if classes.contains(&call.request.operation.as_ref().unwrap().class()) {
                held.fetch_add(1, Ordering::Relaxed);
                let _turn = gate.acquire().await.unwrap();
            }
            allowed(&call.digest)
        }
        .boxed()
    }
}

async fn comes_to(what: &str, wanted: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_first_is_served_while_apps_requests_have_every_place() {
    let world = World::start().await;
    let (gate, held) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = holding(&[Class::Ordinary, Class::Reading], gate.clone(), held.clone());
    let _serving = world.keeper.serve(Bounds::default(), handler).await;
    let app = world.bare().await;
    let op = subject(world.broker.custody, Role::Keeper, Lane::Op);
    let turned = || world.keeper.metrics.turned_away(Class::Ordinary, "SenderQuota");
    // More than run and wait, as fast as they are taken: nothing is lost unopened.
    for burst in 0.. {
        for _ in 0..100 {
            let bytes = world.genuine(Lane::Op, &asking(create()));
            app.publish_with_reply(op.clone(), "_INBOX.app.flood.1", bytes.into()).await.unwrap();
        }
        app.flush().await.unwrap();
        if turned() > 0 {
            break;
        }
        assert!(burst < 100, "never full");
    }
    assert_eq!(held.load(Ordering::Relaxed), Bounds::default().ordinary.running);
    world.what_goes_first_is_served().await;
    assert_eq!(held.load(Ordering::Relaxed), Bounds::default().ordinary.running, "not one place was free");
    gate.add_permits(10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_first_is_served_while_a_lane_is_flooded_with_garbage() {
    let world = World::start().await;
    let _serving = world.keeper.serve(Bounds::default(), agree).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut floods = Vec::new();
    for (lane, size) in [(Lane::Op, 300), (Lane::Op, MAX_BYTES), (Lane::Freeze, 300), (Lane::Records, MAX_BYTES)] {
        let (client, stop) = (world.bare().await, stop.clone());
        let subject = subject(world.broker.custody, Role::Keeper, lane);
        floods.push(tokio::spawn(async move {
            let garbage = vec![0xa5; size];
            while !stop.load(Ordering::Relaxed) {
                let sent = client.publish_with_reply(subject.clone(), "_INBOX.app.x", garbage.clone().into()).await;
                sent.unwrap();
            }
        }));
    }
    let garbage = || world.keeper.metrics.rejected("Malformed");
    comes_to("garbage is opened", || garbage() > 100).await;
    for _ in 0..10 {
        let before = garbage();
        // App's own lane for freezes is flooded too, with App's own credentials: not those of the others.
        let (sentinel, cooler) = (&world.sentinel, &world.cooler);
        for response in [
            once(sentinel, Lane::Sentinel, freeze()).await,
            once(sentinel, Lane::Sentinel, Operation::Lease(Lease::default())).await,
            once(sentinel, Lane::Sentinel, Operation::Settle(Settle::default())).await,
            once(cooler, Lane::Peer, echo()).await,
        ] {
            assert!(served(&response), "{response:?}");
        }
        comes_to("the flood goes on", || garbage() > before).await;
    }
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await.unwrap();
    }
    assert_eq!(world.keeper.metrics.unopened(Lane::Sentinel) + world.keeper.metrics.unopened(Lane::Peer), 0);
    assert!(world.keeper.metrics.rejected("TooLarge") > 0, "no lane but App's takes a mebibyte");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_asks_for_too_much_is_told_so_and_takes_nothing_from_another() {
    let world = World::start().await;
    let (gate, held) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = holding(&[Class::Peer], gate.clone(), held.clone());
    let _serving = world.keeper.serve(Bounds::default(), handler).await;
    let most = Bounds::default().peer.sender.in_flight;
    let first = join_all((0..most).map(|_| once(&world.cooler, Lane::Peer, echo())));
    let second = async {
        comes_to("all are held", || held.load(Ordering::Relaxed) == most).await;
        let over = once(&world.cooler, Lane::Peer, echo()).await;
        assert_eq!(reason(&over), "SenderQuota");
        // The sentinel has its own, and what is urgent has nothing to do with it.
        assert!(served(&once(&world.cooler, Lane::Peer, freeze()).await));
        let settle = once(&world.sentinel, Lane::Sentinel, Operation::Settle(Settle::default()));
        let release = async {
            comes_to("the sentinel's is taken", || held.load(Ordering::Relaxed) == most + 1).await;
            gate.add_permits(100);
        };
        tokio::join!(settle, release).0
    };
    let (first, settled) = tokio::join!(first, second);
    assert!(served(&settled) && first.iter().all(served));
    assert!(served(&once(&world.cooler, Lane::Peer, echo()).await), "what is over counts no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_large_requests_and_of_their_answers_are_bounded_together() {
    let world = World::start().await;
    let (gate, held) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let handler = holding(&[Class::Ordinary], gate.clone(), held.clone());
    let _serving = world.keeper.serve(Bounds::default(), handler).await;
    let batch = || {
        let name = "a".repeat(900);
        let create =
            || asking(Operation::CreateWallet(CreateWallet { wallet: name.clone(), ..CreateWallet::default() }));
        Operation::Batch(Batch { requests: (0..MAX_BATCH_ITEMS).map(|_| create()).collect() })
    };
    // Each may be answered with a mebibyte.
    let bytes = asking(batch()).encoded_len() + MAX_BATCH_ITEMS * 2 * 1024;
    let most = Bounds::default().ordinary.sender.bytes / bytes;
    let first = join_all((0..most).map(|_| once(&world.app, Lane::Op, batch())));
    let second = async {
        comes_to("all are held", || held.load(Ordering::Relaxed) == most).await;
        assert_eq!(reason(&once(&world.app, Lane::Op, batch()).await), "SenderQuota");
        world.what_goes_first_is_served().await;
        gate.add_permits(100);
    };
    let (first, ()) = tokio::join!(first, second);
    assert!(first.iter().all(served));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_too_large_for_its_lane_does_not_leave() {
    let world = World::start().await;
    let large = Operation::Freeze(Freeze { wallet: String::new(), reason: "x".repeat(Lane::Freeze.max_bytes()) });
    let refused = world
        .app
        .caller()
        .call(Role::Keeper, Lane::Freeze, &asking(large), Instant::now() + SHORTLY)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("at most 16384 may be sent here"), "{refused}");
}
