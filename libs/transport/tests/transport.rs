//! Asking and answering over a real broker, with everything that may happen to the connection meanwhile.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod support;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use custody::{Role, config::Credentials};
use futures::StreamExt;
use prometheus_client::registry::Registry;
use prost::Message;
use protocol::{
    batch::BatchError,
    envelope::{MAX_BYTES, OwnKeys, Party, Peers, Rejected},
    ops::{Batch, CreateWallet, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, Operation, Outcome, Refused, Request, Response},
    subject::{Lane, subject},
};
use rand_core::OsRng;
use support::{
    Broker, PATIENCE, now,
    side::{Keys, SHORTLY, Side, agree, allowed, gated, request},
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{Instant, timeout},
};
use transport::{
    Bounds, Call, CallError, Caller, Capacity, Endpoint, Link, Metrics, Options, Server, Session, SessionState, State,
};

fn not_now() -> Response {
    let why = Refused { reason: "VaultAway".to_owned(), message: "the Vault is away".to_owned() };
    Response { outcome: Some(Outcome::Unavailable(why)) }
}

const GRACE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reaches_the_handler_verified_and_its_answer_comes_back() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let [keeper, app, cooler] = [
        Side::start(&broker, &keys, Role::Keeper).await,
        Side::start(&broker, &keys, Role::App).await,
        Side::start(&broker, &keys, Role::Cooler).await,
    ];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let seen = seen.clone();
        move |call: Call| {
            seen.lock().unwrap().push((call.sender, call.key, call.lane, call.request.clone()));
            agree(call)
        }
    };
    let _serving = keeper.serve(Bounds::default(), handler).await;
    assert!(matches!(app.ask(Role::Keeper, Lane::Op).await.unwrap().outcome, Some(Outcome::Allowed(_))));
    assert!(matches!(cooler.ask(Role::Keeper, Lane::Peer).await.unwrap().outcome, Some(Outcome::Allowed(_))));
    let key = |role| keys.0[&role].message_key().verifying_key().to_bytes();
    let expected =
        [(Role::App, key(Role::App), Lane::Op, request()), (Role::Cooler, key(Role::Cooler), Lane::Peer, request())];
    let mut seen = seen.lock().unwrap();
    // On a slow machine a try may be repeated.
    seen.dedup();
    assert_eq!(*seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn not_now_is_asked_again_as_the_same_operation() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (keeper, app) = (Side::start(&broker, &keys, Role::Keeper).await, Side::start(&broker, &keys, Role::App).await);
    let digests = Arc::new(Mutex::new(Vec::new()));
    let handler = {
        let digests = digests.clone();
        move |call: Call| {
            let mut digests = digests.lock().unwrap();
            digests.push(call.digest);
            let response = if digests.len() < 3 { not_now() } else { allowed(&call.digest) };
            async move { response }
        }
    };
    let _serving = keeper.serve(Bounds::default(), handler).await;
    let answer = app.ask(Role::Keeper, Lane::Op).await.unwrap();
    let digests = digests.lock().unwrap().clone();
    assert_eq!(answer, allowed(&digests[0]));
    assert_eq!(digests, [digests[0]; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn not_now_is_the_answer_when_it_stays_so_until_the_deadline() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (keeper, app) = (Side::start(&broker, &keys, Role::Keeper).await, Side::start(&broker, &keys, Role::App).await);
    let _serving = keeper.serve(Bounds::default(), |_| async { not_now() }).await;
    assert_eq!(app.ask_within(Role::Keeper, Lane::Op, SHORTLY).await.unwrap(), not_now());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listening_is_said_and_tried_again_until_somebody_does() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let app = Side::start(&broker, &keys, Role::App).await;
    let error = app.ask_within(Role::Keeper, Lane::Op, SHORTLY).await.unwrap_err();
    assert!(error.to_string().contains("keeper is not listening"), "{error}");
    let late = async {
        let keeper = Side::start(&broker, &keys, Role::Keeper).await;
        let serving = keeper.serve(Bounds::default(), agree).await;
        (keeper, serving)
    };
    let (answer, _serving) = tokio::join!(app.ask(Role::Keeper, Lane::Op), late);
    answer.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_broker_is_survived_by_both_sides_and_by_a_request_made_meanwhile() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (keeper, app) = (Side::start(&broker, &keys, Role::Keeper).await, Side::start(&broker, &keys, Role::App).await);
    let _serving = keeper.serve(Bounds::default(), agree).await;
    app.ask(Role::Keeper, Lane::Op).await.unwrap();
    broker.nats.stop().await;
    let away = |state: &State| matches!(state, State::Disconnected { .. });
    keeper.comes_to(away).await;
    let said = app.comes_to(away).await.to_string();
    assert!(said.contains("not connected to the broker"), "{said}");
    let error = app.ask_within(Role::Keeper, Lane::Op, Duration::from_millis(300)).await.unwrap_err();
    assert!(error.to_string().contains("not connected to the broker"), "{error}");
    let (answer, started) = tokio::join!(app.ask(Role::Keeper, Lane::Op), broker.nats.start_again());
    started.unwrap();
    answer.unwrap();
    keeper.comes_to(State::is_healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_at_the_start_is_no_error() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    broker.nats.stop().await;
    let party = keys.party(&broker, Role::App);
    let app = Side::connect(&broker, &broker.user(Role::App), Role::App, party).await;
    app.comes_to(|state| matches!(state, State::Disconnected { why } if why.contains("IO"))).await;
    broker.nats.start_again().await.unwrap();
    app.comes_to(State::is_healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_gets_no_answer_and_is_counted_until_the_admin_approves_it() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let keeper = Side::start(&broker, &keys, Role::Keeper).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = {
        let calls = calls.clone();
        move |call| {
            calls.fetch_add(1, Ordering::Relaxed);
            agree(call)
        }
    };
    let _serving = keeper.serve(Bounds::default(), handler).await;
    let stranger = Keys(BTreeMap::from_iter([
        (Role::App, Arc::new(OwnKeys::generate(&mut OsRng))),
        (Role::Keeper, keys.0[&Role::Keeper].clone()),
        (Role::Cooler, keys.0[&Role::Cooler].clone()),
        (Role::Sentinel, keys.0[&Role::Sentinel].clone()),
    ]));
    let app = Side::start(&broker, &stranger, Role::App).await;
    let refused = app.ask_within(Role::Keeper, Lane::Op, SHORTLY).await.unwrap_err();
    assert!(matches!(refused, CallError::NoAnswer { to: Role::Keeper, .. }), "{refused}");
    assert!(keeper.metrics.rejected("BadSignature") > 0);
    assert_eq!(calls.load(Ordering::Relaxed), 0);

    keeper.party.send_replace(stranger.party(&broker, Role::Keeper));
    app.ask(Role::Keeper, Lane::Op).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_by_a_wrong_key_is_none() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let app = Side::start(&broker, &keys, Role::App).await;
    // It can open what App sends, since it has Keeper's XKey, but signs with a key of its own.
    let forged = OwnKeys::from_seeds(&[7; 32], &keys.0[&Role::Keeper].xkey_seed());
    let mut forgers = keys.0.clone();
    forgers.insert(Role::Keeper, Arc::new(forged));
    let keeper = Side::start(&broker, &Keys(forgers), Role::Keeper).await;
    let _serving = keeper.serve(Bounds::default(), agree).await;
    assert!(app.ask_within(Role::Keeper, Lane::Op, SHORTLY).await.is_err());
    assert!(app.metrics.rejected("BadSignature") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_jwt_is_logged_in_with_at_once() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let user = broker.user(Role::App);
    let app = Side::connect(&broker, &user, Role::App, keys.party(&broker, Role::App)).await;
    app.comes_to(State::is_healthy).await;
    let mut state = app.link.state();
    state.mark_unchanged();
    app.jwt.send_replace(broker.jwt_of(Role::App, &user.key, now() + 100));
    timeout(PATIENCE, state.changed()).await.unwrap().unwrap();
    app.comes_to(State::is_healthy).await;
    // Whoever still used the first JWT would be cut off now.
    state.mark_unchanged();
    broker.revoke(&user).await;
    let keeper = Side::start(&broker, &keys, Role::Keeper).await;
    let _serving = keeper.serve(Bounds::default(), agree).await;
    app.ask(Role::Keeper, Lane::Op).await.unwrap();
    assert!(!state.has_changed().unwrap());
}

async fn session_comes_to(session: &mut Session, wanted: impl Fn(&SessionState) -> bool) -> SessionState {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = session.state();
        if wanted(&state) {
            return state;
        }
        assert!(Instant::now() < deadline, "still {state:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_says_which_credentials_it_uses_and_is_for_one_endpoint_and_speaker_only() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let user = broker.user(Role::App);
    let credentials = |generation, user_jwt: &str| Credentials { generation, user_jwt: user_jwt.to_owned() };
    let endpoint =
        Endpoint { urls: vec![broker.nats.url()], ca_pem: broker.nats.ca_pem().to_owned(), nkey: user.key.clone() };
    let party = keys.party(&broker, Role::App);
    let metrics = Metrics::register(&mut Registry::default());
    let mut app = Session::open(endpoint.clone(), party.clone(), credentials(1, &user.jwt), metrics).await.unwrap();
    session_comes_to(&mut app, |state| *state == SessionState::Connected { generation: 1 }).await;

    // The same JWT under a newer generation is in use at once; another one is when it has logged in.
    app.offer(credentials(2, &user.jwt));
    assert_eq!(app.state(), SessionState::Connected { generation: 2 });
    app.offer(credentials(3, &broker.jwt_of(Role::App, &user.key, now() + 100)));
    session_comes_to(&mut app, |state| *state == SessionState::Connected { generation: 3 }).await;

    // With other peers it goes on over the same connection.
    let nobody = Party::new(broker.custody, Role::App, keys.0[&Role::App].clone(), Peers::default()).unwrap();
    let keeper = Side::start(&broker, &keys, Role::Keeper).await;
    let _serving = keeper.serve(Bounds::default(), agree).await;
    let caller = app.caller();
    let ask = async |within| caller.call(Role::Keeper, Lane::Op, &request(), Instant::now() + within).await;
    ask(PATIENCE).await.unwrap();
    app.speak_as(nobody);
    assert!(matches!(ask(PATIENCE).await, Err(CallError::Seal(_))));
    app.speak_as(party.clone());
    ask(PATIENCE).await.unwrap();
    assert_eq!(app.state(), SessionState::Connected { generation: 3 });

    assert!(app.is_for(&endpoint, &party));
    let elsewhere = Endpoint { urls: vec!["tls://127.0.0.1:1".to_owned()], ..endpoint.clone() };
    let other_user = Endpoint { nkey: broker.user(Role::App).key, ..endpoint.clone() };
    let other_roots = Endpoint { ca_pem: String::new(), ..endpoint.clone() };
    for other in [elsewhere, other_user, other_roots] {
        assert!(!app.is_for(&other, &party));
    }
    assert!(!app.is_for(&endpoint, &keys.party(&broker, Role::Keeper)));
    app.close().await;
    assert!(matches!(ask(SHORTLY).await, Err(CallError::NoAnswer { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_jwt_is_said_and_a_new_one_heals_it() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let user = broker.user(Role::App);
    let app = Side::connect(&broker, &user, Role::App, keys.party(&broker, Role::App)).await;
    app.comes_to(State::is_healthy).await;
    broker.revoke(&user).await;
    let said = app.comes_to(|state| *state == State::AuthorizationViolation).await.to_string();
    assert!(said.contains("does not accept the user JWT"), "{said}");
    app.jwt.send_replace(broker.jwt_of(Role::App, &user.key, now() + 100));
    app.comes_to(State::is_healthy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_another_role_is_said_to_lack_permissions() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let keeper = Side::connect(&broker, &broker.user(Role::App), Role::Keeper, keys.party(&broker, Role::Keeper)).await;
    let said = keeper.comes_to(|state| matches!(state, State::PermissionsViolation { .. })).await.to_string();
    assert!(said.contains("_INBOX.keeper"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_another_authority_is_never_spoken_to() {
    let (broker, other, keys) = (Broker::start().await, Broker::start().await, Keys::new());
    let user = broker.user(Role::App);
    let options = Options {
        urls: vec![broker.nats.url()],
        ca_pem: other.nats.ca_pem().to_owned(),
        custody: broker.custody,
        role: Role::App,
        nkey: user.key,
        jwt: watch::channel(user.jwt).1,
    };
    let link = Link::connect(options).await.unwrap();
    let mut state = link.state();
    timeout(PATIENCE, state.changed()).await.unwrap().unwrap();
    assert!(matches!(&*state.borrow(), State::Disconnected { .. }), "{:?}", state.borrow());
    let party = watch::channel(keys.party(&broker, Role::App)).1;
    let caller = Caller::new(link, party, Metrics::default());
    assert!(caller.call(Role::Keeper, Lane::Op, &request(), Instant::now() + SHORTLY).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_bounds_a_server_says_busy() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (keeper, app) = (Side::start(&broker, &keys, Role::Keeper).await, Side::start(&broker, &keys, Role::App).await);
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let handler = gated(entered.clone(), gate.clone());
    let one = Capacity { running: 1, waiting: 0, ..Bounds::default().ordinary };
    let _serving = keeper.serve(Bounds { ordinary: one, ..Bounds::default() }, handler).await;
    let first = app.ask(Role::Keeper, Lane::Op);
    let second = async {
        timeout(PATIENCE, entered.notified()).await.unwrap();
        let busy = app.ask_within(Role::Keeper, Lane::Op, SHORTLY).await.unwrap();
        gate.add_permits(10);
        busy
    };
    let (first, busy) = tokio::join!(first, second);
    assert!(matches!(busy.outcome, Some(Outcome::Unavailable(why)) if why.reason == "Busy"));
    assert!(matches!(first.unwrap().outcome, Some(Outcome::Allowed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_was_begun_and_takes_nothing_more() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (keeper, app) = (Side::start(&broker, &keys, Role::Keeper).await, Side::start(&broker, &keys, Role::App).await);
    let (entered, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let handler = gated(entered.clone(), gate.clone());
    let serving = keeper.serve(Bounds::default(), handler).await;
    let begun = app.ask_within(Role::Keeper, Lane::Op, SHORTLY);
    let stopping = async {
        timeout(PATIENCE, entered.notified()).await.unwrap();
        let stopped = tokio::spawn(serving.stop(GRACE));
        // Nothing new is taken from the moment that the broker knows.
        let refused = app.ask_within(Role::Keeper, Lane::Op, Duration::from_millis(100)).await;
        gate.add_permits(10);
        assert!(stopped.await.unwrap(), "all handlers finished");
        refused
    };
    let (begun, refused) = tokio::join!(begun, stopping);
    assert!(matches!(begun.unwrap().outcome, Some(Outcome::Allowed(_))));
    assert!(refused.is_err());
    keeper.link.close().await;
    assert_eq!(*keeper.link.state().borrow(), State::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_nobody_but_the_sender() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let keeper = Side::start(&broker, &keys, Role::Keeper).await;
    let _serving = keeper.serve(Bounds::default(), agree).await;
    let app = broker.bare(&broker.user(Role::App)).connect(broker.nats.url()).await.unwrap();
    let op = subject(broker.custody, Role::Keeper, Lane::Op);
    let genuine = |from: Role| {
        let now_ms = u64::try_from(now()).unwrap() * 1000;
        keys.party(&broker, from).request(Role::Keeper, &op, b"", now_ms, &mut OsRng).unwrap().0
    };
    app.publish_with_reply(op.clone(), "_INBOX.cooler.x", genuine(Role::App).into()).await.unwrap();
    keeper.comes_to_reject("ForeignInbox").await;
    app.publish(op.clone(), genuine(Role::App).into()).await.unwrap();
    keeper.comes_to_reject("NoReplySubject").await;
    // Cooler's genuine request on App's lane, brought there by whoever may publish on it.
    app.publish_with_reply(op.clone(), "_INBOX.cooler.x", genuine(Role::Cooler).into()).await.unwrap();
    keeper.comes_to_reject("WrongLane").await;
    let repeated = genuine(Role::App);
    app.publish_with_reply(op.clone(), "_INBOX.app.x", repeated.clone().into()).await.unwrap();
    app.publish_with_reply(op.clone(), "_INBOX.app.x", repeated.into()).await.unwrap();
    keeper.comes_to_reject("Replayed").await;
    app.publish_with_reply(op, "_INBOX.app.x", "rubbish".into()).await.unwrap();
    keeper.comes_to_reject("Malformed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let app = Side::start(&broker, &keys, Role::App).await;
    let operation =
        Some(Operation::CreateWallet(CreateWallet { wallet: "a".repeat(MAX_BYTES), ..CreateWallet::default() }));
    let large = Request { operation_id: vec![5; 16], operation };
    let refused = app.caller().call(Role::Keeper, Lane::Op, &large, Instant::now() + PATIENCE).await.unwrap_err();
    assert!(matches!(refused, CallError::Seal(_)), "{refused}");
    assert!(app.link.state().borrow().is_healthy(), "the broker would have cut the connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_nobody_would_serve_is_refused_before_it_is_sent() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let app = Side::start(&broker, &keys, Role::App).await;
    let batch = |requests| Request { operation_id: vec![6; 16], operation: Some(Operation::Batch(Batch { requests })) };
    let large = CreateWallet { wallet: "a".repeat(MAX_BATCH_BYTES), ..CreateWallet::default() };
    let large = Request { operation_id: vec![5; 16], operation: Some(Operation::CreateWallet(large)) };
    let cases = [
        (vec![], BatchError::Empty),
        (vec![request(); MAX_BATCH_ITEMS + 1], BatchError::TooMany(MAX_BATCH_ITEMS + 1)),
        (vec![request(), request()], BatchError::Twice(1)),
        (vec![batch(vec![request()])], BatchError::NotForABatch(0)),
    ];
    for (requests, why) in cases {
        let refused = app.caller().call(Role::Keeper, Lane::Op, &batch(requests), Instant::now() + PATIENCE).await;
        assert!(matches!(&refused, Err(CallError::Batch(found)) if *found == why), "{refused:?}");
    }
    let refused = app.caller().call(Role::Keeper, Lane::Op, &batch(vec![large]), Instant::now() + PATIENCE).await;
    assert!(matches!(refused, Err(CallError::Batch(BatchError::TooLarge(_)))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_fit_says_so() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (keeper, app) = (Side::start(&broker, &keys, Role::Keeper).await, Side::start(&broker, &keys, Role::App).await);
    let _serving = keeper.serve(Bounds::default(), |_| async { allowed(&vec![0; MAX_BYTES]) }).await;
    let answer = app.ask(Role::Keeper, Lane::Op).await.unwrap();
    assert!(matches!(&answer.outcome, Some(Outcome::Refused(why)) if why.reason == "AnswerTooLarge"), "{answer:?}");
}

/// The figure of a gauge in the text that monitoring reads.
fn figure(registry: &Registry, name: &str) -> i64 {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_show_on_both_sides_and_by_peer() {
    const BEHIND_MS: u64 = 20_000;
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (mut registry, op) = (Registry::default(), subject(broker.custody, Role::Keeper, Lane::Op));
    let mut keeper = Side::start(&broker, &keys, Role::Keeper).await;
    keeper.metrics = Metrics::register(&mut registry);
    let _serving = keeper.serve(Bounds::default(), agree).await;

    // App's clock is behind; a slow machine only adds to the difference.
    let app = broker.bare(&broker.user(Role::App)).connect(broker.nats.url()).await.unwrap();
    let now_ms = u64::try_from(now()).unwrap() * 1000 - BEHIND_MS;
    let (bytes, ticket) = keys
        .party(&broker, Role::App)
        .request(Role::Keeper, &op, &request().encode_to_vec(), now_ms, &mut OsRng)
        .unwrap();
    let mut inbox = app.subscribe("_INBOX.app.x").await.unwrap();
    app.publish_with_reply(op, "_INBOX.app.x", bytes.into()).await.unwrap();
    let answer = timeout(PATIENCE, inbox.next()).await.unwrap().unwrap();
    let skew = figure(&registry, "link_clock_skew_ms{peer=\"app\"}");
    assert!(skew >= i64::try_from(BEHIND_MS).unwrap() && skew < 60_000, "{skew}");
    let refused = ticket.open_response(&answer.payload, now_ms).err();
    assert!(matches!(refused, Some(Rejected::FromTheFuture(_))), "by App's clock: {refused:?}");

    let mut registry = Registry::default();
    let mut app = Side::start(&broker, &keys, Role::App).await;
    app.metrics = Metrics::register(&mut registry);
    app.ask(Role::Keeper, Lane::Op).await.unwrap();
    let skew = figure(&registry, "link_clock_skew_ms{peer=\"keeper\"}");
    assert!((0..60_000).contains(&skew), "{skew}");
}

/// A clock that is so far ahead of the machine's; behind, if it is negative.
fn shifted(by_ms: i64) -> clock::Clock {
    std::sync::Arc::new(move || clock::now_ms().saturating_add_signed(by_ms))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_can_know_says_that_a_clock_differs_and_by_how_much() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let (mut app, mut keeper) =
        (Side::start(&broker, &keys, Role::App).await, Side::start(&broker, &keys, Role::Keeper).await);
    let mut registry = Registry::default();
    keeper.metrics = Metrics::register(&mut registry);
    let serve = async |by_ms| {
        let server = Server::new(keeper.link.clone(), keeper.party.subscribe(), keeper.metrics.clone());
        server.with_clock(shifted(by_ms)).serve(Bounds::default(), agree).await.unwrap()
    };

    // Keeper is ahead: it takes what it is asked, and App can't take its answers.
    let ahead = serve(10_000).await;
    let error = app.ask_within(Role::Keeper, Lane::Op, Duration::from_secs(2)).await.unwrap_err().to_string();
    let told = "keeper's clock differs by 10 s from the clock here (ahead); set both by a time server";
    assert!(error.ends_with(told), "{error}");
    assert_eq!(app.metrics.clocks().as_deref(), Some(told));
    assert_eq!(keeper.metrics.clocks(), None, "to Keeper, App's requests may just be slow");
    assert!(ahead.stop(PATIENCE).await);

    // Keeper is behind: it drops what comes from its future, and so tells nobody but its own owner.
    let behind = serve(-10_000).await;
    let asking = app.ask_within(Role::Keeper, Lane::Op, Duration::from_secs(1));
    let (asked, ()) = tokio::join!(asking, keeper.comes_to_reject("FromTheFuture"));
    assert!(matches!(asked, Err(CallError::NoAnswer { .. })));
    let told = "app's clock differs by 10 s from the clock here (ahead); set both by a time server";
    assert_eq!(keeper.metrics.clocks().as_deref(), Some(told));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let figure = text.lines().find_map(|line| line.strip_prefix("link_clock_difference_seconds{peer=\"app\"} "));
    assert!((9.0..=10.0).contains(&figure.unwrap().parse::<f64>().unwrap()), "{figure:?}");
    assert!(behind.stop(PATIENCE).await);

    // Set right, both forget it.
    app.metrics = Metrics::default();
    let _right = serve(0).await;
    app.ask(Role::Keeper, Lane::Op).await.unwrap();
    assert_eq!((app.metrics.clocks(), keeper.metrics.clocks()), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_link_leaves_no_connection_behind() {
    let (broker, keys) = (Broker::start().await, Keys::new());
    let Side { link, .. } = Side::start(&broker, &keys, Role::App).await;
    let mut state = link.state();
    drop(link);
    // The client's own tasks hold the other end as long as they live.
    let ended = async { while state.changed().await.is_ok() {} };
    timeout(PATIENCE, ended).await.unwrap();
}
