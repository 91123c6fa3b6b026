//! App, with a sentinel that was taken too, or that was honest before the chain changed its mind. What it says can stop a
//! wallet for a while and never lets more than the windows go; payments go on when it is taken back.

use anyhow::{Result, ensure};
use chain::Claim;
use custodies::CHAIN;
use custody::Role;
use protocol::ops::{Outcome as Answer, Settlement, SettlementState};
use serde_json::json;

use super::outcome::Outcome;
use crate::{
    refusals::{By, Refusals},
    world::{Arena, Granted, Kind, PER_TRANSACTION, PER_WALLET, Wallet, World, reason, safe::SafeTx},
};

const SIGNERS: [Role; 2] = [Role::Keeper, Role::Cooler];
/// No transaction's id.
const MADE_UP: [u8; 32] = [9; 32];
/// More nonces than any wallet will use.
const FAR: u64 = 1_000_000_000;

fn said(wallet: &Wallet, nonce: u64, digest: [u8; 32], state: SettlementState) -> Settlement {
    Settlement::new(&wallet.id, CHAIN, Claim::Sequence(nonce), digest).stated(state)
}

/// The sentinel tells both, who believe it.
async fn tell(world: &World, settlement: Settlement) -> Result<()> {
    for signer in SIGNERS {
        let told = world.pair.sentinel.say(signer, vec![settlement.clone()]).await;
        ensure!(matches!(told, Answer::Done(_)), "{signer} does not take {settlement:?}: {told:?}");
    }
    Ok(())
}

/// Nonce 10^9 of every wallet.
pub(super) async fn far(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 3).await?;
    let mut refusals = Refusals::default();
    for wallet in &arena.wallets {
        for (signer, state) in
            SIGNERS.into_iter().flat_map(|it| [(it, SettlementState::Used), (it, SettlementState::Final)])
        {
            let told = world.pair.sentinel.say(signer, vec![said(wallet, FAR, MADE_UP, state)]).await;
            match reason(told) {
                Ok(told) => anyhow::bail!("{signer} takes nonce {FAR}: {told:?}"),
                Err(why) => refusals.note(By::Party(signer), &why),
            }
        }
        for _ in 0..2 {
            arena.pay(wallet, 1).await?;
        }
    }
    Outcome::of(&arena, refusals, 0).await
}

/// Each payment is kept back and said to be settled, so that the next is signed; then all are released.
pub(super) async fn stockpile(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (wallet, mut kept, mut refusals) = (arena.wallet(), Vec::new(), Refusals::default());
    for nonce in 0.. {
        let tx = arena.theft(PER_TRANSACTION, nonce);
        let granted = world.both(wallet, &tx).await?;
        if !granted.refusals.is_empty() {
            refusals.extend(granted.refusals);
            break;
        }
        ensure!(u128::from(nonce) <= PER_WALLET / PER_TRANSACTION, "{nonce} payments were signed");
        let digest = tx.digest(world.rules.number(), wallet.address);
        tell(world, said(wallet, nonce, digest, SettlementState::Final)).await?;
        kept.push((tx, granted));
    }
    for (tx, mut granted) in kept {
        world.release(wallet, &tx, &mut granted).await?;
        refusals.extend(granted.refusals);
    }
    Outcome::of(&arena, refusals, PER_WALLET).await
}

/// Says in order that nonces are used which nothing has used, and is asked for the payment that it holds up. The sentinel
/// takes it back where it may vanish, the admins where it was said for good; payments go on.
pub(super) async fn made_up(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 2).await?;
    let mut refusals = Refusals::default();
    for (wallet, state) in arena.wallets.iter().zip([SettlementState::Used, SettlementState::Final]) {
        for nonce in 0..3 {
            tell(world, said(wallet, nonce, MADE_UP, state)).await?;
        }
        refusals.extend(world.both(wallet, &arena.theft(1, 0)).await?.refusals);
        if state == SettlementState::Used {
            tell(world, said(wallet, 0, MADE_UP, SettlementState::Revoked)).await?;
        } else {
            revoked_by_the_admins(world, wallet).await?;
        }
        for _ in 0..2 {
            arena.pay(wallet, 1).await?;
        }
    }
    Outcome::of(&arena, refusals, 0).await
}

async fn revoked_by_the_admins(world: &World, wallet: &Wallet) -> Result<()> {
    let digest = alloy_primitives::hex::encode(MADE_UP);
    let file = json!([{"wallet": wallet.id, "chain": CHAIN, "nonce": 0, "digest": digest, "revoke": true}]).to_string();
    for signer in SIGNERS {
        let done = world.pair.member(signer).exec(&["settle", "-"], &file).await;
        ensure!(done.status.success(), "{signer}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

/// Both signatures of a payment to a friend.
async fn paid(arena: &Arena<'_>, nonce: u64) -> Result<(SafeTx, Granted)> {
    let (world, wallet) = (arena.world, arena.wallet());
    let tx = SafeTx::transfer(arena.token.contract, world.friend, 1, nonce);
    let granted = world.both(wallet, &tx).await?;
    ensure!(granted.refusals.is_empty(), "an honest payment is refused: {granted:?}");
    arena.explain(1);
    Ok((tx, granted))
}

/// A payment is executed and attested, the next one signed; the block vanishes and the sentinel says so. Thefts are asked
/// for at both nonces; then both payments are executed after all.
pub(super) async fn reorganised(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let wallet = arena.wallet();
    world.chain().deploy(wallet).await?;
    let (first, granted) = paid(&arena, 0).await?;
    let execute = async |tx: &SafeTx, granted: &Granted| {
        let done = world.chain().execute(wallet, tx, granted.hot(), granted.cool.as_deref()).await?;
        done.map_err(|why| anyhow::anyhow!("an honest payment is not executed: {why}"))
    };
    let digest = first.digest(world.rules.number(), wallet.address);
    let before: String = world.anvil.rpc("evm_snapshot", json!([])).await?;
    execute(&first, &granted).await?;
    tell(world, said(wallet, 0, digest, SettlementState::Used)).await?;
    let (second, next) = paid(&arena, 1).await?;
    let vanished: bool = world.anvil.rpc("evm_revert", json!([before])).await?;
    ensure!(vanished && arena.nonce(wallet).await? == 0, "the block is there still");
    tell(world, said(wallet, 0, digest, SettlementState::Revoked)).await?;
    let mut refusals = Refusals::default();
    for nonce in 0..2 {
        refusals.extend(world.both(wallet, &arena.theft(PER_TRANSACTION, nonce)).await?.refusals);
    }
    execute(&first, &granted).await?;
    world.pair.sentinel.attest(&wallet.id, wallet.address).await;
    execute(&second, &next).await?;
    world.pair.sentinel.attest(&wallet.id, wallet.address).await;
    arena.pay(wallet, 1).await?;
    Outcome::of(&arena, refusals, 0).await
}
