//! A genuine message with something changed, at every place.

use anyhow::Result;
use custody::Role;
use prost::Message;
use protocol::envelope::{Body, Sealed};

use super::{forge::Draft, post::Broker};
use crate::refusals::Refusals;

const SIGNER: Role = Role::Keeper;

/// Delivers each of these as App's request; each has to be dropped.
async fn dropped(broker: &Broker<'_>, altered: Vec<Vec<u8>>) -> Result<Refusals> {
    broker.injected(SIGNER, altered.into_iter().map(|bytes| broker.to(SIGNER, bytes)).collect()).await
}

/// One bit at each byte, another one at each.
fn flipped(bytes: &[u8]) -> Vec<Vec<u8>> {
    let flip = |position: usize| {
        let mut altered = bytes.to_vec();
        altered[position] ^= 1 << (position % 8);
        altered
    };
    (0..bytes.len()).map(flip).collect()
}

pub(super) async fn flipped_envelope(broker: &Broker<'_>) -> Result<Refusals> {
    dropped(broker, flipped(&broker.held(SIGNER, 0).await?.bytes)).await
}

/// As if the attacker had opened the box.
pub(super) async fn flipped_signed(broker: &Broker<'_>) -> Result<Refusals> {
    let draft = Draft::of_app(broker, SIGNER).await?;
    let signed = draft.signed(broker.world.pair.custody.app.message_key());
    dropped(broker, flipped(&signed).iter().map(|signed| draft.sealed(signed)).collect::<Result<_>>()?).await
}

/// The signature is App's, over the body as it was.
pub(super) async fn altered_fields(broker: &Broker<'_>) -> Result<Refusals> {
    let draft = Draft::of_app(broker, SIGNER).await?;
    let alterations: [fn(&mut Body); 11] = [
        |body| body.v = 2,
        |body| body.custody_id[0] ^= 1,
        |body| body.id[0] ^= 1,
        |body| body.in_reply_to = vec![1; 32],
        |body| body.subject.push('x'),
        |body| body.sender = "cooler".to_owned(),
        |body| body.recipient = "cooler".to_owned(),
        |body| body.iat_ms -= 1,
        |body| body.exp_ms += 1,
        |body| body.kind = 2,
        |body| body.payload[20] ^= 1,
    ];
    let altered =
        alterations.iter().map(|alter| draft.altered_after(broker.world.pair.custody.app.message_key(), alter));
    dropped(broker, altered.collect::<Result<_>>()?).await
}

pub(super) async fn truncated_envelope(broker: &Broker<'_>) -> Result<Refusals> {
    let bytes = broker.held(SIGNER, 0).await?.bytes;
    dropped(broker, (0..bytes.len()).map(|length| bytes[..length].to_vec()).collect()).await
}

pub(super) async fn truncated_signed(broker: &Broker<'_>) -> Result<Refusals> {
    let draft = Draft::of_app(broker, SIGNER).await?;
    let signed = draft.signed(broker.world.pair.custody.app.message_key());
    dropped(broker, (0..signed.len()).map(|length| draft.sealed(&signed[..length])).collect::<Result<_>>()?).await
}

/// A byte, a field that no version knows, a field twice; outside and inside the box.
pub(super) async fn extended(broker: &Broker<'_>) -> Result<Refusals> {
    let draft = Draft::of_app(broker, SIGNER).await?;
    let signed = draft.signed(broker.world.pair.custody.app.message_key());
    let sealed = draft.sealed(&signed)?;
    let more: [&[u8]; 3] = [&[0], &[0xfa, 0x01, 1, 7], &[0x08, 1]];
    let outside = more.map(|more| [&sealed, more].concat());
    let inside = more.map(|more| draft.sealed(&[&signed, more].concat()));
    let all = outside.into_iter().map(Ok).chain(inside);
    dropped(broker, all.collect::<Result<_>>()?).await
}

pub(super) async fn weak_ephemeral(broker: &Broker<'_>) -> Result<Refusals> {
    let genuine = Sealed::decode(broker.held(SIGNER, 0).await?.bytes.as_slice())?;
    let one = [&[1][..], &[0; 31]].concat();
    let keys = [vec![0; 32], one, vec![0xff; 32], vec![9; 31]];
    dropped(broker, keys.map(|eph_pub| Sealed { eph_pub, ..genuine.clone() }.encode_to_vec()).into()).await
}
