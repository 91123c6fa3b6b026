//! Wallets that are not what was made: foreign owners, foreign keys, foreign names.

use anyhow::{Context, Result};
use chain::{ChainRules, Payload};
use custodies::CHAIN;
use custody::Role;
use prost::Message;
use protocol::{
    attestation::attest_hot_keys,
    ops::{Attestation, HotKeys, Operation, RegisterWallet},
};
use rand_core::{OsRng, RngCore};

use super::outcome::Outcome;
use crate::{
    refusals::{By, COOLER},
    world::{Granted, Kind, PER_TRANSACTION, Wallet, World},
};

/// A secret key that App made.
fn own_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    OsRng.fill_bytes(&mut secret);
    secret
}

/// Asks both signers to register.
async fn registered(world: &World, hot: Attestation, salt: Vec<u8>) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let mut granted = Granted::default();
    for signer in [Role::Keeper, Role::Cooler] {
        let (hot, chains) = (Some(hot.clone()), vec![CHAIN.to_owned()]);
        let register = Operation::RegisterWallet(RegisterWallet { hot, chains, salt: salt.clone() });
        if granted.take(By::Party(signer), world.ask(signer, register).await?).is_some() {
            anyhow::bail!("{signer} registers it");
        }
    }
    Outcome::of(&arena, granted.refusals, 0).await
}

/// A statement about hot keys, altered.
async fn statement(world: &World, alter: impl FnOnce(&mut HotKeys)) -> Result<(HotKeys, Wallet)> {
    let wallet = world.wallets(1).await?.pop().context("a wallet is made")?;
    let mut keys = HotKeys::decode(wallet.hot.body.as_slice())?;
    alter(&mut keys);
    Ok((keys, wallet))
}

pub(super) async fn own_hot_key(world: &World) -> Result<Outcome> {
    let own = world.rules.public_key(&own_secret())?;
    let (keys, _) = statement(world, |keys| {
        keys.wallet = "stolen".to_owned();
        keys.keys.iter_mut().for_each(|key| key.public_key.clone_from(&own));
    })
    .await?;
    registered(world, attest_hot_keys(&keys, world.pair.custody.app.message_key()), Vec::new()).await
}

/// Attested with Keeper's own key, as whoever has taken over Keeper would: a wallet with two keys that are one.
pub(super) async fn cold_as_hot(world: &World) -> Result<Outcome> {
    let cold = world.pair.custody.manifest().cold_key("eip155").context("there is a cold key")?.to_vec();
    attested_by_keeper(world, "one-of-two", &cold).await
}

/// The same with the cool key: then Cooler alone could spend.
pub(super) async fn cool_as_hot(world: &World) -> Result<Outcome> {
    let cool = world.pair.custody.manifest().cool_key("eip155").context("there is a cool key")?.to_vec();
    attested_by_keeper(world, "cooler-alone", &cool).await
}

async fn attested_by_keeper(world: &World, wallet: &str, key: &[u8]) -> Result<Outcome> {
    let (keys, _) = statement(world, |keys| {
        keys.wallet = wallet.to_owned();
        keys.keys.iter_mut().for_each(|hot| hot.public_key = key.to_vec());
    })
    .await?;
    registered(world, attest_hot_keys(&keys, &world.keeper.message_key().await?), Vec::new()).await
}

pub(super) async fn altered_attestation(world: &World) -> Result<Outcome> {
    let own = world.rules.public_key(&own_secret())?;
    let alter = |keys: &mut HotKeys| keys.keys.iter_mut().for_each(|key| key.public_key.clone_from(&own));
    let (keys, wallet) = statement(world, alter).await?;
    registered(world, Attestation { body: keys.encode_to_vec(), ..wallet.hot }, Vec::new()).await
}

pub(super) async fn other_salt(world: &World) -> Result<Outcome> {
    let wallet = world.wallets(1).await?.pop().context("a wallet is made")?;
    registered(world, wallet.hot, vec![1; 32]).await
}

pub(super) async fn foreign_wallet(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let foreign = Wallet { id: "somebody-else".to_owned(), ..arena.wallet().clone() };
    let tx = arena.theft(PER_TRANSACTION, 0);
    let mut granted = world.both(&foreign, &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, 0).await
}

/// Cooler alone, with `hot` in hot's place.
async fn cool_alone(world: &World, hot: impl FnOnce(&[u8; 32]) -> Result<Vec<u8>>) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    let digest = tx.digest(world.rules.number(), arena.wallet().address);
    let hot = hot(&digest)?;
    let mut granted = Granted::default();
    granted.cool = granted.take(COOLER, world.cool(arena.wallet(), &tx.unsigned(), &hot).await?);
    granted.hot = (!hot.is_empty()).then_some(hot);
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

pub(super) async fn unsigned_hot(world: &World) -> Result<Outcome> {
    cool_alone(world, |_| Ok(Vec::new())).await
}

pub(super) async fn other_hot(world: &World) -> Result<Outcome> {
    cool_alone(world, |digest| Ok(world.rules.sign(&own_secret(), &Payload::Digest(*digest))?)).await
}
