//! While nothing is to be signed: frozen, locked, or without a lease.

use std::time::Duration;

use anyhow::{Result, ensure};
use custody::{Role, report::WorkloadState};
use data_center::LEASE;
use protocol::ops::{Freeze, Operation, Outcome as Answer, Payment, Request};

use super::outcome::Outcome;
use crate::{
    refusals::By,
    world::{Arena, Granted, Kind, PER_TRANSACTION, World, asked, operation_id, reason},
};

/// Freezes a wallet, or everything with an empty one, as App may.
async fn freeze(world: &World, wallet: &str) -> Result<()> {
    for signer in [Role::Keeper, Role::Cooler] {
        let freeze = Freeze { wallet: wallet.to_owned(), reason: "a test".to_owned() };
        let done = world.ask(signer, Operation::Freeze(freeze)).await?;
        ensure!(matches!(done, Ok(Answer::Done(_))), "{signer} does not freeze: {done:?}");
    }
    Ok(())
}

/// Asks for a theft when the signers have been stopped, and executes it.
async fn theft(world: &World, stop: impl AsyncFnOnce(&Arena<'_>) -> Result<()>) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    stop(&arena).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    let mut granted = world.both(arena.wallet(), &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

pub(super) async fn frozen_wallet(world: &World) -> Result<Outcome> {
    theft(world, async |arena| freeze(world, &arena.wallet().id).await).await
}

pub(super) async fn all_frozen(world: &World) -> Result<Outcome> {
    theft(world, async |_| freeze(world, "").await).await
}

/// What was signed before the freeze is asked for once more. A signature that App has kept it can still release.
pub(super) async fn frozen_retry(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (wallet, tx) = (arena.wallet(), arena.theft(PER_TRANSACTION, 0));
    let request =
        |payment: Payment| Request { operation_id: operation_id(), operation: Some(Operation::Sign(payment)) };
    let hot = request(world.payment(wallet, &tx.unsigned()));
    let Answer::Signed(first) = asked(world, Role::Keeper, hot.clone()).await? else {
        anyhow::bail!("keeper signs what the local policy allows");
    };
    let payment = Payment { hot_signatures: first.signatures.clone(), ..world.payment(wallet, &tx.unsigned()) };
    let cool = request(payment);
    ensure!(matches!(asked(world, Role::Cooler, cool.clone()).await?, Answer::Signed(_)), "cooler signs it too");
    freeze(world, &wallet.id).await?;
    let mut granted = Granted::default();
    for (signer, request) in [(Role::Keeper, hot), (Role::Cooler, cool)] {
        let again = granted.take(By::Party(signer), reason(asked(world, signer, request).await?));
        ensure!(again.is_none(), "{signer} gives out a stored signature of a frozen wallet");
    }
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

/// Both signers begin anew, and the sentinel vouches for nobody.
pub(super) async fn locked(world: &World) -> Result<Outcome> {
    let pair = &world.pair;
    let stop = async |_: &Arena<'_>| {
        pair.sentinel.sleep();
        for signer in [Role::Keeper, Role::Cooler] {
            pair.restart(signer).await;
        }
        tokio::join!(pair.keeper.state(WorkloadState::Locked), pair.cooler.state(WorkloadState::Locked));
        Ok(())
    };
    let outcome = theft(world, stop).await;
    pair.sentinel.wake();
    pair.serving().await;
    outcome
}

pub(super) async fn after_the_lease(world: &World) -> Result<Outcome> {
    let pair = &world.pair;
    let stop = async |_: &Arena<'_>| {
        pair.sentinel.sleep();
        tokio::time::sleep(LEASE + Duration::from_secs(2)).await;
        Ok(())
    };
    let outcome = theft(world, stop).await;
    pair.sentinel.wake();
    pair.serving().await;
    outcome
}
