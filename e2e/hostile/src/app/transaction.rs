//! Transactions that are not what they seem. Both signers decode the very bytes that they sign.

use alloy_primitives::U256;
use anyhow::{Result, ensure};

use super::outcome::Outcome;
use crate::world::{
    Arena, Kind, PER_TRANSACTION, World,
    safe::{self, SafeTx},
};

/// Asks for a theft of the highest amount after `alter`, and executes whatever was signed.
async fn altered(world: &World, kind: Kind, alter: impl FnOnce(&Arena<'_>, &mut SafeTx)) -> Result<Outcome> {
    let arena = world.arena(kind, 1).await?;
    let mut tx = arena.theft(PER_TRANSACTION, 0);
    alter(&arena, &mut tx);
    let mut granted = world.both(arena.wallet(), &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    let owners = world.rpc.safe(arena.wallet().address, &[]).await?.owners;
    ensure!(owners == arena.wallet().owners, "the owners were changed to {owners:?}");
    let limit = if kind == Kind::Unlisted { 0 } else { PER_TRANSACTION };
    Outcome::of(&arena, granted.refusals, limit).await
}

/// Has one transaction signed and executes another with its signatures.
async fn swapped(world: &World, swap: impl FnOnce(&Arena<'_>) -> SafeTx) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let decent = SafeTx::transfer(arena.token.contract, world.friend, 1, 0);
    let mut granted = world.both(arena.wallet(), &decent).await?;
    ensure!(granted.refusals.is_empty(), "a decent payment is refused: {granted:?}");
    world.release(arena.wallet(), &swap(&arena), &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

pub(super) async fn other_destination(world: &World) -> Result<Outcome> {
    swapped(world, |arena| arena.theft(1, 0)).await
}

pub(super) async fn other_amount(world: &World) -> Result<Outcome> {
    swapped(world, |arena| SafeTx::transfer(arena.token.contract, world.friend, PER_TRANSACTION, 0)).await
}

/// Asks for bytes that are nearly a theft's, and executes the theft.
async fn in_other_bytes(world: &World, alter: impl FnOnce(&mut Vec<u8>)) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let tx = arena.theft(PER_TRANSACTION, 0);
    let mut unsigned = tx.unsigned();
    alter(&mut unsigned);
    let mut granted = world.both_for(arena.wallet(), &unsigned, &tx).await?;
    world.release(arena.wallet(), &tx, &mut granted).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

pub(super) async fn trailing_bytes(world: &World) -> Result<Outcome> {
    in_other_bytes(world, |unsigned| unsigned.extend([0; 32])).await
}

pub(super) async fn dirty_padding(world: &World) -> Result<Outcome> {
    in_other_bytes(world, |unsigned| unsigned[0] = 1).await
}

pub(super) async fn hidden_calldata(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |arena, tx| {
        let more = SafeTx::transfer(arena.token.contract, world.thief, PER_TRANSACTION, 0).data;
        tx.data = [tx.data.as_ref(), more.as_ref()].concat().into();
    })
    .await
}

pub(super) async fn delegatecall(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |_, tx| tx.operation = 1).await
}

pub(super) async fn owner_swapped(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |arena, tx| {
        let [hot, cool, _] = arena.wallet().owners;
        let swap = safe::swapOwnerCall { prevOwner: hot, oldOwner: cool, newOwner: world.thief };
        *tx = SafeTx::call(arena.wallet().address, &swap, 0);
    })
    .await
}

pub(super) async fn module_enabled(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |arena, tx| {
        *tx = SafeTx::call(arena.wallet().address, &safe::enableModuleCall { module: world.thief }, 0);
    })
    .await
}

pub(super) async fn approve(world: &World) -> Result<Outcome> {
    let approve = safe::approveCall { spender: world.thief, amount: U256::MAX };
    altered(world, Kind::Plain, |arena, tx| *tx = SafeTx::call(arena.token.contract, &approve, 0)).await
}

pub(super) async fn transfer_from(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |arena, tx| {
        let (from, to) = (arena.wallet().address, world.thief);
        let call = safe::transferFromCall { from, to, amount: U256::from(PER_TRANSACTION) };
        *tx = SafeTx::call(arena.token.contract, &call, 0);
    })
    .await
}

pub(super) async fn refund(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |_, tx| {
        (tx.gasPrice, tx.baseGas, tx.refundReceiver) = (U256::ONE, U256::from(100_000), world.thief);
    })
    .await
}

pub(super) async fn refund_in_token(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |arena, tx| {
        (tx.gasPrice, tx.baseGas, tx.refundReceiver) = (U256::ONE, U256::from(1_000), world.thief);
        tx.gasToken = arena.token.contract;
    })
    .await
}

pub(super) async fn refund_receiver(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |_, tx| tx.refundReceiver = world.thief).await
}

pub(super) async fn value_along(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |_, tx| tx.value = U256::ONE).await
}

pub(super) async fn native_coin(world: &World) -> Result<Outcome> {
    altered(world, Kind::Plain, |_, tx| {
        *tx = SafeTx { to: world.thief, value: U256::ONE, data: Default::default(), ..tx.clone() };
    })
    .await
}

pub(super) async fn to_the_factory(world: &World) -> Result<Outcome> {
    let factory = chain_evm::constants::FACTORY;
    altered(world, Kind::Plain, |arena, tx| {
        *tx = SafeTx::transfer(arena.token.contract, factory, PER_TRANSACTION, 0);
    })
    .await
}

pub(super) async fn unknown_token(world: &World) -> Result<Outcome> {
    altered(world, Kind::Unlisted, |_, _| {}).await
}
