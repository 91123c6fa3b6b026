//! More than the local policy allows, by all ways of adding up.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use anyhow::{Result, ensure};
use custodies::CHAIN;
use custody::Role;
use ed25519_dalek::SigningKey;
use futures::future::try_join_all;
use protocol::{
    attestation::attest_payment_intent,
    ops::{Attestation, Operation, Payment, PaymentIntent},
};
use rand_core::OsRng;

use super::outcome::Outcome;
use crate::{
    refusals::{COOLER, KEEPER, Refusals},
    world::{
        Arena, Granted, Kind, PER_TRANSACTION, PER_WALLET, SHORT_WINDOW_SECONDS, THRESHOLD, TOTAL, Wallet, World,
        reason, safe::SafeTx,
    },
};

/// More wallets than the total limit has room for.
const WALLETS: usize = 12;
const RACERS: usize = 100;

/// A theft with what was granted for it.
type Loot = (Wallet, SafeTx, Granted);

/// Asks for one payment of the highest amount at a wallet's first nonce.
async fn theft(arena: &Arena<'_>, wallet: &Wallet) -> Result<Loot> {
    let tx = arena.theft(PER_TRANSACTION, 0);
    let granted = arena.world.both(wallet, &tx).await?;
    Ok((wallet.clone(), tx, granted))
}

/// Executes everything; all reasons.
async fn release(world: &World, loot: Vec<Loot>) -> Result<Refusals> {
    let mut refusals = Refusals::default();
    for (wallet, tx, mut granted) in loot {
        // Without both there is nothing to release; the chain's refusal is shown by the other attacks.
        if granted.hot().is_some() && granted.cool.is_some() {
            world.release(&wallet, &tx, &mut granted).await?;
        }
        refusals.extend(granted.refusals);
    }
    Ok(refusals)
}

pub(super) async fn in_one(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let tx = arena.theft(PER_TRANSACTION + 1, 0);
    let mut granted = world.both(arena.wallet(), &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

pub(super) async fn in_many(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (step, mut refusals) = (PER_WALLET / 5, Refusals::default());
    for nonce in 0.. {
        let tx = arena.theft(step, nonce);
        let mut granted = world.both(arena.wallet(), &tx).await?;
        let refused = !granted.refusals.is_empty();
        world.release(arena.wallet(), &tx, &mut granted).await?;
        refusals.extend(granted.refusals);
        if refused {
            break;
        }
        ensure!(u128::from(nonce) < 10, "{nonce} payments were signed");
    }
    Outcome::of(&arena, refusals, PER_WALLET).await
}

pub(super) async fn in_many_wallets(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, WALLETS).await?;
    let mut refusals = Refusals::default();
    for wallet in &arena.wallets {
        refusals.extend(release(world, vec![theft(&arena, wallet).await?]).await?);
    }
    Outcome::of(&arena, refusals, TOTAL).await
}

pub(super) async fn raced(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, RACERS).await?;
    let loot = try_join_all(arena.wallets.iter().map(|wallet| theft(&arena, wallet))).await?;
    let refusals = release(world, loot).await?;
    Outcome::of(&arena, refusals, TOTAL).await
}

pub(super) async fn raced_in_a_batch(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, RACERS).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    let payment = |wallet: &Wallet| Operation::Sign(world.payment(wallet, &tx.unsigned()));
    let mut granted: Vec<Granted> = Vec::new();
    let first = world.batch(Role::Keeper, arena.wallets.iter().map(payment).collect()).await?;
    for (wallet, outcome) in arena.wallets.iter().zip(first) {
        let mut item = Granted::default();
        item.hot = item.take(KEEPER, signature(outcome));
        if item.hot.is_none() {
            item.forged_hot = Some(world.forged_hot(wallet, &tx).await?);
        }
        granted.push(item);
    }
    let with_hot = |(wallet, item): (&Wallet, &Granted)| {
        let hot_signatures = vec![item.hot().unwrap_or_default().to_vec()];
        Operation::Sign(Payment { hot_signatures, ..world.payment(wallet, &tx.unsigned()) })
    };
    let second = arena.wallets.iter().zip(&granted).map(with_hot).collect();
    for (item, outcome) in granted.iter_mut().zip(world.batch(Role::Cooler, second).await?) {
        item.cool = item.take(COOLER, signature(outcome));
    }
    let loot = arena.wallets.iter().cloned().zip(granted).map(|(wallet, item)| (wallet, tx.clone(), item));
    let refusals = release(world, loot.collect()).await?;
    Outcome::of(&arena, refusals, TOTAL).await
}

fn signature(outcome: protocol::ops::Outcome) -> Result<Vec<u8>, String> {
    reason(outcome).and_then(|granted| match granted {
        protocol::ops::Outcome::Signed(signed) => Ok(signed.signatures.concat()),
        other => Err(format!("{other:?}")),
    })
}

pub(super) async fn raced_at_one_nonce(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let wallet = arena.wallet();
    let race = (0..RACERS).map(async |number| {
        let tx = SafeTx::transfer(arena.token.contract, thief(number), PER_TRANSACTION, 0);
        let granted = world.both(wallet, &tx).await?;
        anyhow::Ok((wallet.clone(), tx, granted))
    });
    let loot = try_join_all(race).await?;
    let signed = loot.iter().filter(|(_, _, granted)| granted.hot.is_some()).count();
    ensure!(signed <= 1, "{signed} payments were signed for one nonce");
    let refusals = release(world, loot).await?;
    Outcome::of(&arena, refusals, PER_TRANSACTION).await
}

/// One of many addresses, so that no two payments are the same.
fn thief(number: usize) -> Address {
    Address::from_word(U256::from(0xbad_0000 + number).into())
}

/// Has as much signed as the local policy allows, keeps it back, and asks for more after something.
async fn hoard(world: &World, kind: Kind, after: impl Future<Output = ()>) -> Result<Outcome> {
    let arena = world.arena(kind, WALLETS).await?;
    let mut loot = Vec::new();
    for wallet in &arena.wallets[..WALLETS - 1] {
        loot.push(theft(&arena, wallet).await?);
    }
    after.await;
    loot.push(theft(&arena, &arena.wallets[WALLETS - 1]).await?);
    let refusals = release(world, loot).await?;
    Outcome::of(&arena, refusals, TOTAL).await
}

pub(super) async fn stockpile(world: &World) -> Result<Outcome> {
    hoard(world, Kind::Plain, async {}).await
}

pub(super) async fn stockpile_after_the_window(world: &World) -> Result<Outcome> {
    hoard(world, Kind::Short, tokio::time::sleep(Duration::from_secs(SHORT_WINDOW_SECONDS + 2))).await
}

pub(super) async fn stockpile_over_a_restart(world: &World) -> Result<Outcome> {
    let restart = async {
        world.pair.restart(Role::Keeper).await;
        world.pair.restart(Role::Cooler).await;
        world.pair.serving().await;
    };
    hoard(world, Kind::Plain, restart).await
}

pub(super) async fn stockpile_of_nonces(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let amount = PER_WALLET / 5;
    let mut loot = Vec::new();
    for nonce in 0..3 {
        let tx = arena.theft(amount, nonce);
        let granted = world.both(arena.wallet(), &tx).await?;
        loot.push((arena.wallet().clone(), tx, granted));
    }
    let refusals = release(world, loot).await?;
    Outcome::of(&arena, refusals, amount).await
}

/// Asks for a payment above the threshold with an intent, and executes it.
async fn with_intent(world: &World, arena: &Arena<'_>, nonce: u64, intent: Option<Attestation>) -> Result<Refusals> {
    let tx = arena.theft(PER_TRANSACTION, nonce);
    let payment = Payment { intent, ..world.payment(arena.wallet(), &tx.unsigned()) };
    let mut granted = world.granted(arena.wallet(), payment, &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Ok(granted.refusals)
}

/// A statement that somebody wants a payment of the highest amount to `to`.
fn intent(arena: &Arena<'_>, to: Address, key: &SigningKey) -> Attestation {
    let statement = PaymentIntent {
        custody_id: arena.world.pair.custody.custody_id().as_bytes().to_vec(),
        id: vec![7; 16],
        wallet: arena.wallet().id.clone(),
        chain: CHAIN.to_owned(),
        asset: arena.token.symbol.clone(),
        to: to.to_string(),
        amount: PER_TRANSACTION.to_string(),
        expires_at_ms: u64::MAX,
    };
    attest_payment_intent(&statement, key)
}

pub(super) async fn without_intent(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Intent, 1).await?;
    let refusals = with_intent(world, &arena, 0, None).await?;
    Outcome::of(&arena, refusals, THRESHOLD).await
}

pub(super) async fn own_intent(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Intent, 1).await?;
    let forged = intent(&arena, world.thief, &SigningKey::generate(&mut OsRng));
    let refusals = with_intent(world, &arena, 0, Some(forged)).await?;
    Outcome::of(&arena, refusals, THRESHOLD).await
}

pub(super) async fn another_intent(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Intent, 1).await?;
    let refusals = with_intent(world, &arena, 0, Some(intent(&arena, world.friend, &world.intent_key))).await?;
    Outcome::of(&arena, refusals, THRESHOLD).await
}

/// The first use is what the intent's signer wanted.
pub(super) async fn used_intent(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Intent, 1).await?;
    let wanted = intent(&arena, world.thief, &world.intent_key);
    let first = with_intent(world, &arena, 0, Some(wanted.clone())).await?;
    ensure!(first.is_empty(), "an intended payment is refused: {first}");
    arena.explain(PER_TRANSACTION);
    let refusals = with_intent(world, &arena, 1, Some(wanted)).await?;
    Outcome::of(&arena, refusals, THRESHOLD).await
}

pub(super) async fn locked(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Locked, 1).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    for signer in [Role::Keeper, Role::Cooler] {
        let announced = world.ask(signer, Operation::Announce(world.payment(arena.wallet(), &tx.unsigned()))).await?;
        ensure!(announced.err().as_deref() == Some("Pending"), "{signer} begins no time lock");
    }
    let mut granted = world.both(arena.wallet(), &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, THRESHOLD).await
}
