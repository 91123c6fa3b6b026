//! What each role may do at a real broker, with nothing but its connection's key: what the design lists and no more.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod support;

use async_nats::{Client, Event, ServerError};
use custody::Role;
use futures::StreamExt;
use natsauth::{Claims, Permissions, User as UserClaims, role_permissions, user_claims};
use nkeys::KeyPair;
use protocol::subject::{Lane, queue, subject};
use serde::Serialize;
use support::{Broker, PATIENCE, User, now};
use tokio::{sync::mpsc, time::timeout};

/// A user that tries things and hears what the broker refuses.
struct Prober {
    client: Client,
    complaints: mpsc::UnboundedReceiver<String>,
    count: usize,
}

impl Prober {
    async fn connect(broker: &Broker, user: &User) -> Self {
        let (heard, complaints) = mpsc::unbounded_channel();
        let options = broker.bare(user).event_callback(move |event| {
            if let Event::ServerError(ServerError::Other(said)) = event {
                let _ = heard.send(said);
            }
            std::future::ready(())
        });
        Self { client: options.connect(broker.nats.url()).await.unwrap(), complaints, count: 0 }
    }

    /// What the broker complained of since the last time. It answers in order, and this ends with something that it
    /// refuses to everybody, so nothing is missed and nothing is waited for in vain.
    async fn refused(&mut self) -> Vec<String> {
        self.count += 1;
        let marker = format!("nobody.may.publish.{}", self.count);
        self.client.publish(marker.clone(), "".into()).await.unwrap();
        let mut refused = Vec::new();
        loop {
            let said = timeout(PATIENCE, self.complaints.recv()).await.unwrap().unwrap();
            if said.contains(&marker) {
                return refused;
            }
            refused.push(said);
        }
    }

    async fn may_publish(&mut self, subject: &str) -> bool {
        self.client.publish(subject.to_owned(), "".into()).await.unwrap();
        self.refused().await.is_empty()
    }

    async fn may_subscribe(&mut self, subject: &str, queue: Option<&str>) -> bool {
        let subscriber = match queue {
            Some(queue) => self.client.queue_subscribe(subject.to_owned(), queue.to_owned()).await,
            None => self.client.subscribe(subject.to_owned()).await,
        };
        let _subscriber = subscriber.unwrap();
        self.refused().await.is_empty()
    }
}

/// The design's table of who speaks where, written out once more.
fn speaks(from: Role, to: Role, lane: Lane) -> bool {
    matches!(
        (from, to, lane),
        (Role::App, Role::Keeper | Role::Cooler, Lane::Op | Lane::Freeze | Lane::Records)
            | (Role::Keeper, Role::Cooler, Lane::Peer)
            | (Role::Cooler, Role::Keeper, Lane::Peer)
            | (Role::Sentinel, Role::Keeper | Role::Cooler, Lane::Sentinel)
            | (Role::Keeper | Role::Cooler | Role::App, Role::Sentinel, Lane::In)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_exactly_what_the_design_lists() {
    let broker = Broker::start().await;
    for role in Role::ALL {
        let mut prober = Prober::connect(&broker, &broker.user(role)).await;
        for to in Role::ALL {
            for lane in Lane::ALL {
                let subject = subject(broker.custody, to, lane);
                assert_eq!(prober.may_publish(&subject).await, speaks(role, to, lane), "{role} publishes {subject}");
                let listened = Role::ALL.into_iter().any(|from| speaks(from, to, lane));
                let own = role == to && listened;
                assert_eq!(
                    prober.may_subscribe(&subject, Some(queue(role))).await,
                    own,
                    "{role} in its queue {subject}"
                );
                assert!(!prober.may_subscribe(&subject, None).await, "{role} taps {subject}");
                for foreign in Role::ALL.into_iter().filter(|other| *other != role).map(queue).chain(["other"]) {
                    let joined = prober.may_subscribe(&subject, Some(foreign)).await;
                    assert!(!joined, "{role} takes {subject} from queue {foreign}");
                }
            }
            for inbox in [format!("_INBOX.{to}.token.1"), format!("_INBOX.{to}.>"), format!("_INBOX.{to}.*")] {
                assert_eq!(prober.may_subscribe(&inbox, None).await, role == to, "{role} reads {inbox}");
            }
            let inbox = format!("_INBOX.{to}.token.1");
            assert!(!prober.may_publish(&inbox).await, "{role} writes to {inbox} without having been asked");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_reads_or_writes_by_wildcard_nor_outside_its_custody() {
    let broker = Broker::start().await;
    let (custody, other) = (broker.custody, custody::CustodyId::generate(&mut rand_core::OsRng));
    for role in Role::ALL {
        let mut prober = Prober::connect(&broker, &broker.user(role)).await;
        let everything = [
            ">",
            "*",
            "*.>",
            "ms.>",
            "_INBOX.>",
            "_INBOX.*",
            "_INBOX.*.>",
            "_INBOX.*.*.*",
            "$SYS.>",
            "$SYS.ACCOUNT.>",
            "$JS.>",
            "$JS.API.>",
            "$SRV.>",
            "$SRV.PING",
            "$G.>",
        ];
        let own = [
            format!("ms.{custody}.>"),
            format!("ms.{custody}.{role}.>"),
            format!("ms.{custody}.{role}.*"),
            format!("ms.{custody}.*.op"),
            format!("ms.*.{role}.op"),
            format!("ms.{other}.{role}.op"),
            format!("ms.{other}.>"),
        ];
        for wide in everything.into_iter().chain(own.iter().map(String::as_str)) {
            assert!(!prober.may_subscribe(wide, None).await, "{role} subscribes {wide}");
            assert!(!prober.may_subscribe(wide, Some(queue(role))).await, "{role} subscribes {wide} in its queue");
        }
        let system = ["$SYS.REQ.SERVER.PING", "$SYS.REQ.CLAIMS.UPDATE", "$JS.API.INFO", "$SRV.PING", "anything"];
        let lanes = Role::ALL.map(|to| Lane::ALL.map(|lane| subject(other, to, lane)));
        for foreign in system.into_iter().chain(lanes.as_flattened().iter().map(String::as_str)) {
            assert!(!prober.may_publish(foreign).await, "{role} publishes {foreign}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_the_design_lists_arrives_and_is_answered_once() {
    let broker = Broker::start().await;
    for to in Role::ALL {
        let mut listener = Prober::connect(&broker, &broker.user(to)).await;
        for lane in Lane::ALL {
            for from in Role::ALL.into_iter().filter(|from| speaks(*from, to, lane)) {
                let subject = subject(broker.custody, to, lane);
                let mut requests =
                    listener.client.queue_subscribe(subject.clone(), queue(to).to_owned()).await.unwrap();
                assert!(listener.refused().await.is_empty(), "{to} listens on {subject}");
                let asker = broker.bare(&broker.user(from)).connect(broker.nats.url()).await.unwrap();
                let inbox = format!("_INBOX.{from}.x.1");
                let mut answers = asker.subscribe(inbox.clone()).await.unwrap();
                asker.publish_with_reply(subject.clone(), inbox, "ask".into()).await.unwrap();
                let request = timeout(PATIENCE, requests.next()).await.unwrap().unwrap();
                let reply = request.reply.unwrap();
                assert!(listener.may_publish(&reply).await, "{to} answers {from} on {subject}");
                assert!(!listener.may_publish(&reply).await, "{to} answers {from} a second time");
                assert!(timeout(PATIENCE, answers.next()).await.unwrap().is_some(), "{from} hears {to}");
                drop(requests);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_user_is_cut_off_and_stays_out_while_others_stay() {
    let broker = Broker::start().await;
    let (user, other) = (broker.user(Role::Keeper), broker.user(Role::Cooler));
    let (gone, mut left) = mpsc::unbounded_channel();
    let options = broker.bare(&user).event_callback(move |event| {
        if event == Event::Disconnected {
            let _ = gone.send(());
        }
        std::future::ready(())
    });
    let _keeper = options.connect(broker.nats.url()).await.unwrap();
    let mut cooler = Prober::connect(&broker, &other).await;
    broker.revoke(&user).await;
    timeout(PATIENCE, left.recv()).await.unwrap().unwrap();
    let refused = broker.bare(&user).connect(broker.nats.url()).await.unwrap_err();
    assert_eq!(refused.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
    assert!(cooler.may_publish(&subject(broker.custody, Role::Keeper, Lane::Peer)).await);
}

/// Claims of a user that brings permissions along.
#[derive(Serialize)]
struct Wide {
    #[serde(flatten)]
    user: UserClaims,
    #[serde(flatten)]
    permissions: Permissions,
}

impl natsauth::Kind for Wide {
    const TYPE: &'static str = UserClaims::TYPE;
    const SUBJECT: nkeys::KeyPairType = UserClaims::SUBJECT;
    const ISSUER: nkeys::KeyPairType = UserClaims::ISSUER;

    fn claim_type(&self) -> &str {
        Self::TYPE
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roles_key_cannot_give_more_than_its_template() {
    let broker = Broker::start().await;
    let key = KeyPair::new_user();
    let claims = user_claims(&Role::App.into(), &key.public_key(), &broker.account.public_key(), now(), None);
    let Claims { exp, jti, iat, iss, name, sub, nats: user } = claims;
    let permissions = role_permissions(broker.custody, Role::Keeper);
    let wide = Claims { exp, jti, iat, iss, name, sub, nats: Wide { user, permissions } };
    let jwt = natsauth::encode(wide, &broker.role_keys[&Role::App]).unwrap();
    assert!(broker.bare(&User { key, jwt }).connect(broker.nats.url()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_accounts_user_hears_nothing() {
    let broker = Broker::start().await;
    let stranger = Broker { account: KeyPair::new_account(), ..broker };
    stranger.push(&stranger.account, now() - 100, Default::default()).await;
    let mut theirs = Prober::connect(&stranger, &stranger.user(Role::Keeper)).await;
    let op = subject(stranger.custody, Role::Keeper, Lane::Op);
    let mut requests = theirs.client.queue_subscribe(op.clone(), "keeper".to_owned()).await.unwrap();
    assert!(theirs.refused().await.is_empty());

    // The same subjects and role keys, in an account of its own.
    let ours = Broker { account: KeyPair::new_account(), ..stranger };
    ours.push(&ours.account, now() - 100, Default::default()).await;
    let app = ours.bare(&ours.user(Role::App)).custom_inbox_prefix("_INBOX.app");
    let app = app.connect(ours.nats.url()).await.unwrap();
    let refused = app.request(op.clone(), "pay".into()).await.unwrap_err();
    assert_eq!(refused.kind(), async_nats::RequestErrorKind::NoResponders, "nobody listens in this account");
    assert!(theirs.refused().await.is_empty());
    assert!(futures::poll!(requests.next()).is_pending());
}
