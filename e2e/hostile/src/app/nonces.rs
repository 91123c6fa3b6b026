//! Signatures where they do not belong: at another nonce, wallet or chain, or again.

use alloy_primitives::Address;
use anyhow::{Context, Result, ensure};
use chain::{Amount, Asset, Claim, KeyRole};
use chain_adapters::Adapters;
use custodies::{CHAIN, SAFE};
use evacuation::{Balance, Bundle, ChainState, VerifiedBundle, WalletsExport};
use harness::{Options, evm::Anvil};
use protocol::ops::{PAYMENT_ID_BYTES, Payment};

use super::outcome::Outcome;
use crate::{
    refusals::{By, COOLER, KEEPER, Refusals},
    world::{
        Arena, Granted, Kind, PER_TRANSACTION, Wallet, World,
        safe::{SafeTx, Sender},
    },
};

/// Asks for a theft at `nonce` of a new wallet.
async fn at(world: &World, nonce: u64) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let tx = arena.theft(PER_TRANSACTION, nonce);
    let mut granted = world.both(arena.wallet(), &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

pub(super) async fn huge(world: &World) -> Result<Outcome> {
    at(world, u64::MAX).await
}

pub(super) async fn gap(world: &World) -> Result<Outcome> {
    at(world, 7).await
}

/// Keeper signs one payment; its signature goes to Cooler with another. Then each is asked for the other's.
pub(super) async fn two_payments(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let wallet = arena.wallet();
    let (one, other) = (arena.theft(PER_TRANSACTION, 0), arena.theft(PER_TRANSACTION - 1, 0));
    let mut granted = Granted::default();
    granted.hot = granted.take(KEEPER, world.hot(wallet, &one.unsigned()).await?);
    let hot = granted.hot.clone().context("keeper signs the first payment")?;
    let second = granted.take(COOLER, world.cool(wallet, &other.unsigned(), &hot).await?);
    let third = granted.take(KEEPER, world.hot(wallet, &other.unsigned()).await?);
    ensure!(second.is_none() && third.is_none(), "two payments were signed for one nonce");
    world.release(wallet, &other, &mut granted).await?;
    granted.cool = granted.take(COOLER, world.cool(wallet, &one.unsigned(), &hot).await?);
    world.release(wallet, &one, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

/// Asks for a payment under an id, as an App does also when it has forgotten an earlier one under the same.
async fn under_id(world: &World, id: u8, wallet: &Wallet, tx: &SafeTx) -> Result<Granted> {
    let payment = Payment { payment_id: vec![id; PAYMENT_ID_BYTES], ..world.payment(wallet, &tx.unsigned()) };
    world.granted(wallet, payment, tx).await
}

/// One payment is made, and then another under its id.
pub(super) async fn made_twice(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (wallet, mut refusals) = (arena.wallet(), Refusals::default());
    for nonce in 0..2 {
        let tx = arena.theft(PER_TRANSACTION, nonce);
        let mut granted = under_id(world, 1, wallet, &tx).await?;
        world.release(wallet, &tx, &mut granted).await?;
        refusals.extend(granted.refusals);
    }
    Outcome::of(&arena, refusals, PER_TRANSACTION).await
}

/// One payment is signed and kept back, another wallet is asked for it under its id, and both are released.
pub(super) async fn kept_and_asked_again(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 2).await?;
    let (tx, mut refusals) = (arena.theft(PER_TRANSACTION, 0), Refusals::default());
    let mut kept = Vec::new();
    for wallet in &arena.wallets {
        kept.push(under_id(world, 2, wallet, &tx).await?);
    }
    for (wallet, mut granted) in arena.wallets.iter().zip(kept) {
        world.release(wallet, &tx, &mut granted).await?;
        refusals.extend(granted.refusals);
    }
    Outcome::of(&arena, refusals, PER_TRANSACTION).await
}

pub(super) async fn foreign_cancel(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let tx = SafeTx { to: world.thief, data: Default::default(), ..arena.theft(1, 0) };
    let mut granted = world.both(arena.wallet(), &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, 0).await
}

/// Asks for one wallet's payment and executes it on another, and asks for one in the other's name.
pub(super) async fn other_wallet(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 2).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    let mut granted = signed(&arena, &tx).await?;
    world.release(&arena.wallets[1], &tx, &mut granted).await?;
    let hot = granted.hot.clone().unwrap_or_default();
    let foreign = world.cool(&arena.wallets[1], &tx.unsigned(), &hot).await?;
    ensure!(granted.take(COOLER, foreign).is_none(), "cooler takes one wallet's hot signature for another's");
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

/// Both signatures of a payment that the local policy allows.
async fn signed(arena: &Arena<'_>, tx: &SafeTx) -> Result<Granted> {
    let granted = arena.world.both(arena.wallet(), tx).await?;
    ensure!(granted.refusals.is_empty(), "what the local policy allows is refused: {granted:?}");
    Ok(granted)
}

/// The same wallet with the same token on a chain with another number.
pub(super) async fn other_chain(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (wallet, tx) = (arena.wallet(), arena.theft(PER_TRANSACTION, 0));
    let granted = signed(&arena, &tx).await?;
    let anvil = Anvil::start(world.anvil.chain_id() + 1, Options::default()).await?;
    let token = arena.token.contract.to_string();
    while anvil.deploy_token().await?.parse::<Address>()? != arena.token.contract {}
    anvil.fund_token(&token, &wallet.desc.address, PER_TRANSACTION).await?;
    let there = Sender { anvil: &anvil, rules: &world.rules, relayer: &world.relayer };
    let refused = there.execute(wallet, &tx, granted.hot(), granted.cool.as_deref()).await?;
    let left = anvil.token_balance(&token, &wallet.desc.address).await?;
    let refusals = Refusals::all(By::Chain, refused.err());
    let mut outcome = Outcome::of(&arena, refusals, PER_TRANSACTION).await?;
    outcome.moved += PER_TRANSACTION - left;
    Ok(outcome)
}

/// The cancel uses the nonce up; the payment's signatures are there still.
pub(super) async fn after_the_cancel(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (wallet, tx) = (arena.wallet(), arena.theft(PER_TRANSACTION, 0));
    let mut kept = signed(&arena, &tx).await?;
    let cancel = SafeTx { to: SAFE.parse()?, data: Default::default(), ..tx.clone() };
    let mut cancelled = signed(&arena, &cancel).await?;
    world.release(wallet, &cancel, &mut cancelled).await?;
    ensure!(arena.nonce(wallet).await? == 1, "the cancel uses no nonce up: {cancelled:?}");
    world.release(wallet, &tx, &mut kept).await?;
    Outcome::of(&arena, kept.refusals, PER_TRANSACTION).await
}

/// Keeper's alone.
pub(super) async fn one_signature_twice(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    let mut granted = Granted::default();
    granted.hot = granted.take(KEEPER, world.hot(arena.wallet(), &tx.unsigned()).await?);
    granted.cool.clone_from(&granted.hot);
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

pub(super) async fn executed_again(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    let mut granted = signed(&arena, &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

/// A kept back payment uses the nonce that the evacuation was planned for. Planned again, it still gets everything.
pub(super) async fn dust(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (wallet, dust) = (arena.wallet(), arena.theft(1, 0));
    let mut granted = signed(&arena, &dust).await?;
    let planned = evacuation(&arena).await?;
    world.release(wallet, &dust, &mut granted).await?;
    let refused = broadcast(world, &planned).await?.err().context("a used nonce is used again")?;
    let left = arena.balance().await?;
    let again = evacuation(&arena).await?;
    broadcast(world, &again).await?.map_err(|why| anyhow::anyhow!("the second evacuation fails: {why}"))?;
    ensure!(arena.balance().await? == 0, "the evacuation leaves something behind");
    arena.explain(left);
    let refusals = Refusals::one(By::Chain, &format!("{refused}, then evacuated at the next nonce"));
    Outcome::of(&arena, refusals, PER_TRANSACTION).await
}

/// Plans for what the chain says now; Cooler signs for its admin, cold on paper.
async fn evacuation(arena: &Arena<'_>) -> Result<VerifiedBundle> {
    let (world, wallet) = (arena.world, arena.wallet());
    let custody = &world.pair.custody;
    let exported = world.pair.cooler.exec(&["wallets", "export"], "").await.stdout;
    let mut export = WalletsExport::parse(&exported)?;
    export.wallets.retain(|record| record.id.as_str() == wallet.id);
    let state = world.rpc.safe(wallet.address, &[]).await?;
    let asset = Asset { symbol: arena.token.symbol.clone(), contract: Some(arena.token.contract.to_string()) };
    let balances = vec![Balance { asset, amount: Amount::from(arena.balance().await?) }];
    let state = ChainState { created: state.deployed, next: vec![Claim::Sequence(state.nonce)], balances };
    let states = [((wallet.id.parse()?, CHAIN.parse()?), state)].into();
    let plan = evacuation::plan(&export, &states, custody.manifest(), &Adapters::all(), &Default::default())?;
    let signed = world.pair.cooler.exec(&["evac", "sign"], &plan.to_json()).await;
    ensure!(signed.status.success(), "cooler signs no evacuation: {}", String::from_utf8_lossy(&signed.stderr));
    let mut bundle = Bundle::parse(&signed.stdout)?.verify(custody.manifest(), &Adapters::all())?;
    let cold = custody.cold.keys();
    bundle.sign(KeyRole::Cold, |namespace| cold.secret(namespace))?;
    Ok(bundle)
}

async fn broadcast(world: &World, bundle: &VerifiedBundle) -> Result<Result<(), String>> {
    let step = bundle.steps().first().context("an evacuation has a step")?;
    ensure!(step.step().destination == SAFE, "money goes to {}", step.step().destination);
    let creation = step.rules().creation(step.wallet())?;
    if let Some(creation) = creation.filter(|_| step.step().deploy) {
        // Whoever released something has done it meanwhile: then it is refused, and there is nothing to create.
        let _ = world.chain().send(&creation).await?;
    }
    world.chain().send(&step.call()?).await
}
