//! Messages made up, by somebody who has opened every box and holds other parties' keys. The format is written here once
//! more, so that an attacker is not held back by our own library.

use anyhow::{Context, Result};
use clock::now_ms;
use custody::Role;
use ed25519_dalek::{Signer, SigningKey};
use nkeys::XKey;
use prost::Message;
use protocol::{
    envelope::{Body, DOMAIN, Kind, LIFETIME_MS, Sealed, Signed, VERSION},
    ops::{Lease, Operation, Request, Settle},
    subject::{Lane, inbox_prefix},
};
use rand_core::{OsRng, RngCore};

use super::post::Broker;
use crate::{refusals::Refusals, world::operation_id};

/// A message before it is signed, and whom it is sealed to.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) body: Body,
    to_xkey: String,
}

impl Draft {
    /// App's request for a payment, as App would make it.
    pub(super) async fn of_app(broker: &Broker<'_>, to: Role) -> Result<Self> {
        Ok(Self::new(broker, Role::App, to, Lane::Op, broker.payload(0).await?))
    }

    /// A signer's answer to App, as far as somebody who does not have its key can make one.
    pub(super) fn answer(broker: &Broker<'_>, from: Role) -> Self {
        let mut draft = Self::new(broker, from, from, Lane::Op, Vec::new());
        draft.body.recipient = Role::App.to_string();
        draft.body.kind = Kind::Response.into();
        draft.body.in_reply_to = vec![1; 32];
        draft.to_xkey.clone_from(&broker.world.pair.custody.app.public().xkey);
        draft
    }

    pub(super) fn new(broker: &Broker<'_>, from: Role, to: Role, lane: Lane, payload: Vec<u8>) -> Self {
        let (mut id, now) = (vec![0; 16], now_ms());
        OsRng.fill_bytes(&mut id);
        let body = Body {
            v: VERSION,
            custody_id: broker.world.pair.custody.custody_id().as_bytes().to_vec(),
            id,
            in_reply_to: Vec::new(),
            subject: broker.lane(to, lane),
            sender: from.to_string(),
            recipient: to.to_string(),
            iat_ms: now,
            exp_ms: now + LIFETIME_MS,
            kind: Kind::Request.into(),
            payload,
        };
        Self { body, to_xkey: broker.world.pair.signers[&to].xkey.clone() }
    }

    /// The same with another payload, made now.
    pub(super) fn anew(&self, payload: Vec<u8>) -> Self {
        let (mut id, now) = (vec![0; 16], now_ms());
        OsRng.fill_bytes(&mut id);
        let body = Body { id, iat_ms: now, exp_ms: now + LIFETIME_MS, payload, ..self.body.clone() };
        Self { body, to_xkey: self.to_xkey.clone() }
    }

    /// Encoded and signed.
    pub(super) fn signed(&self, key: &SigningKey) -> Vec<u8> {
        let body = self.body.encode_to_vec();
        let mut covered = Vec::new();
        for part in [DOMAIN.as_bytes(), &body] {
            covered.extend((part.len() as u64).to_be_bytes());
            covered.extend(part);
        }
        let sig = key.sign(&covered).to_bytes().to_vec();
        Signed { body, sig }.encode_to_vec()
    }

    /// Sealed to whom it is for.
    pub(super) fn sealed(&self, signed: &[u8]) -> Result<Vec<u8>> {
        let (own, to) = (XKey::new(), XKey::from_public_key(&self.to_xkey)?);
        let public = |key: &XKey| nkeys::from_public_key(&key.public_key()).map(|(_, bytes)| bytes.to_vec());
        let (to_xkey, eph_pub) = (public(&to)?, public(&own)?);
        Ok(Sealed { v: VERSION, to_xkey, eph_pub, r#box: own.seal(signed, &to)? }.encode_to_vec())
    }

    /// Signed and sealed.
    pub(super) fn finished(&self, key: &SigningKey) -> Result<Vec<u8>> {
        self.sealed(&self.signed(key))
    }

    /// Signed, then altered, then sealed with the signature of before.
    pub(super) fn altered_after(&self, key: &SigningKey, alter: &impl Fn(&mut Body)) -> Result<Vec<u8>> {
        let Signed { sig, .. } = Signed::decode(self.signed(key).as_slice())?;
        let mut altered = self.body.clone();
        alter(&mut altered);
        self.sealed(&Signed { body: altered.encode_to_vec(), sig }.encode_to_vec())
    }
}

/// App's genuine key, where a message of App's is altered before it is signed.
fn apps<'a>(broker: &'a Broker<'_>) -> &'a SigningKey {
    broker.world.pair.custody.app.message_key()
}

/// Both signers are sent what `make` makes of App's request; each has to drop it.
async fn to_both(broker: &Broker<'_>, make: impl Fn(Draft) -> Result<Vec<u8>>) -> Result<Refusals> {
    let mut refusals = Refusals::default();
    for signer in [Role::Keeper, Role::Cooler] {
        let bytes = make(Draft::of_app(broker, signer).await?)?;
        refusals.extend(broker.injected(signer, vec![broker.to(signer, bytes)]).await?);
    }
    Ok(refusals)
}

/// The same with a change of the body that App itself signs.
async fn resigned(broker: &Broker<'_>, alter: impl Fn(&mut Body)) -> Result<Refusals> {
    to_both(broker, |mut draft| {
        alter(&mut draft.body);
        draft.finished(apps(broker))
    })
    .await
}

pub(super) async fn unknown_key(broker: &Broker<'_>) -> Result<Refusals> {
    to_both(broker, |draft| draft.finished(&SigningKey::generate(&mut OsRng))).await
}

pub(super) async fn other_peer(broker: &Broker<'_>) -> Result<Refusals> {
    to_both(broker, |draft| draft.finished(broker.world.pair.custody.sentinel.message_key())).await
}

/// With a key of the attacker's and with App's.
pub(super) async fn sentinels_words(broker: &Broker<'_>) -> Result<Refusals> {
    let words = [Operation::Lease(Lease { until_ms: now_ms() + 500_000 }), Operation::Settle(Settle::default())];
    let mut refusals = Refusals::default();
    for operation in words {
        let payload = Request { operation_id: operation_id(), operation: Some(operation) }.encode_to_vec();
        for key in [&SigningKey::generate(&mut OsRng), apps(broker)] {
            let draft = Draft::new(broker, Role::Sentinel, Role::Keeper, Lane::Sentinel, payload.clone());
            let (lane, inbox) =
                (broker.lane(Role::Keeper, Lane::Sentinel), format!("{}.1", inbox_prefix(Role::Sentinel)));
            refusals.extend(broker.injected(Role::Keeper, vec![(lane, Some(inbox), draft.finished(key)?)]).await?);
        }
    }
    Ok(refusals)
}

pub(super) async fn no_peer(broker: &Broker<'_>) -> Result<Refusals> {
    let mut refusals = resigned(broker, |body| body.sender = body.recipient.clone()).await?;
    refusals.extend(resigned(broker, |body| body.sender = "admin".to_owned()).await?);
    Ok(refusals)
}

pub(super) async fn cross_audience(broker: &Broker<'_>) -> Result<Refusals> {
    let bytes = broker.held(Role::Keeper, 0).await?.bytes;
    broker.injected(Role::Cooler, vec![broker.to(Role::Cooler, bytes)]).await
}

/// As if Keeper passed on to Cooler what App asked it.
pub(super) async fn cross_audience_resealed(broker: &Broker<'_>) -> Result<Refusals> {
    let keepers = Draft::of_app(broker, Role::Keeper).await?;
    let coolers = Draft::of_app(broker, Role::Cooler).await?;
    let bytes = coolers.sealed(&keepers.signed(apps(broker)))?;
    broker.injected(Role::Cooler, vec![broker.to(Role::Cooler, bytes)]).await
}

/// App serves two custodies with one key.
pub(super) async fn cross_custody(broker: &Broker<'_>) -> Result<Refusals> {
    resigned(broker, |body| body.custody_id = vec![9; 16]).await
}

/// App's request, genuine, delivered where the sentinel speaks.
pub(super) async fn other_lane(broker: &Broker<'_>) -> Result<Refusals> {
    let bytes = broker.held(Role::Keeper, 0).await?.bytes;
    let lanes = [Lane::Peer, Lane::Sentinel].map(|lane| broker.lane(Role::Keeper, lane));
    broker.injected(Role::Keeper, lanes.map(|lane| (lane, Some(broker.inbox()), bytes.clone())).into()).await
}

/// App's word where only the sentinel speaks, and the sentinel's where only App does.
pub(super) async fn foreign_lane(broker: &Broker<'_>) -> Result<Refusals> {
    let payload = broker.payload(0).await?;
    let sentinels = broker.world.pair.custody.sentinel.message_key();
    let speakers = [(Role::App, Lane::Sentinel, apps(broker)), (Role::Sentinel, Lane::Op, sentinels)];
    let mut posts = Vec::new();
    for (from, lane, key) in speakers {
        let draft = Draft::new(broker, from, Role::Keeper, lane, payload.clone());
        posts.push((broker.lane(Role::Keeper, lane), Some(broker.inbox()), draft.finished(key)?));
    }
    broker.injected(Role::Keeper, posts).await
}

/// To a key that is not the signer's, and the same with the signer's name on it.
pub(super) async fn sealed_for_another(broker: &Broker<'_>) -> Result<Refusals> {
    let genuine = Draft::of_app(broker, Role::Keeper).await?;
    let other = Draft { to_xkey: XKey::new().public_key(), ..genuine.clone() };
    let sealed = other.finished(apps(broker))?;
    let (_, keepers) = nkeys::from_public_key(&genuine.to_xkey)?;
    let renamed = Sealed { to_xkey: keepers.to_vec(), ..Sealed::decode(sealed.as_slice())? }.encode_to_vec();
    let posts = [sealed, renamed].map(|bytes| broker.to(Role::Keeper, bytes)).into();
    broker.injected(Role::Keeper, posts).await
}

/// A signer's genuine answer sent back to it, and a response that App signs.
pub(super) async fn response_as_request(broker: &Broker<'_>) -> Result<Refusals> {
    let held = broker.held(Role::Keeper, 0).await?;
    let answer = broker.deliver(&held).await?.context("keeper answers")?;
    let mut refusals = broker.injected(Role::Keeper, vec![broker.to(Role::Keeper, answer)]).await?;
    refusals.extend(resigned(broker, |body| body.kind = Kind::Response.into()).await?);
    refusals.extend(resigned(broker, |body| body.in_reply_to = vec![1; 32]).await?);
    Ok(refusals)
}

/// What could be kept for later, if it were accepted.
pub(super) async fn unreal_times(broker: &Broker<'_>) -> Result<Refusals> {
    let mut refusals =
        resigned(broker, |body| (body.iat_ms, body.exp_ms) = (body.iat_ms + 20_000, body.exp_ms + 20_000)).await?;
    refusals.extend(resigned(broker, |body| body.exp_ms = body.iat_ms + 3_600_000).await?);
    refusals.extend(resigned(broker, |body| body.exp_ms = u64::MAX).await?);
    refusals.extend(resigned(broker, |body| body.iat_ms = 0).await?);
    Ok(refusals)
}
