//! Operations that are not App's to ask for, and requests that are not what they seem.

use anyhow::{Result, ensure};
use chain::Claim;
use clock::now_ms;
use custodies::CHAIN;
use custody::Role;
use prost::Message;
use protocol::{
    attestation::attest_audit_head,
    ops::{
        AuditHead, Batch, EchoHead, Freeze, Lease, MAX_LEASE_MS, Operation, Outcome as Answer, Request, Settle,
        Settlement,
    },
};

use super::outcome::Outcome;
use crate::{
    refusals::{By, KEEPER},
    world::{Granted, Kind, PER_TRANSACTION, World, asked, operation_id, reason},
};

/// Asks both signers, which refuse.
async fn refused(world: &World, granted: &mut Granted, operation: Operation) -> Result<()> {
    for signer in [Role::Keeper, Role::Cooler] {
        let outcome = world.ask(signer, operation.clone()).await?;
        ensure!(granted.take(By::Party(signer), outcome).is_none(), "{signer} does what only others may ask for");
    }
    Ok(())
}

/// Keeps a payment back, says that it is settled, and asks for the next. All that it says is true of the payment: only
/// who says it is wrong.
pub(super) async fn settlement(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let (wallet, first, next) = (arena.wallet(), arena.theft(PER_TRANSACTION, 0), arena.theft(PER_TRANSACTION, 1));
    let mut kept = world.both(wallet, &first).await?;
    let mut granted = Granted::default();
    let digest = first.digest(world.rules.number(), wallet.address);
    let said = Settlement::new(&wallet.id, CHAIN, Claim::Sequence(0), digest);
    refused(world, &mut granted, Operation::Settle(Settle { settlements: vec![said] })).await?;
    let next = world.both(wallet, &next).await?;
    ensure!(next.hot.is_none() && next.cool.is_none(), "two nonces are outstanding");
    granted.refusals.extend(next.refusals);
    world.release(wallet, &first, &mut kept).await?;
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

/// A lease as the sentinel grants it, for no longer than it may.
pub(super) async fn lease(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let mut granted = Granted::default();
    refused(world, &mut granted, Operation::Lease(Lease { until_ms: now_ms() + MAX_LEASE_MS / 2 })).await?;
    Outcome::of(&arena, granted.refusals, 0).await
}

/// A head of App's own, well attested: a signer that held it would believe App's history.
pub(super) async fn head(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let custody = &world.pair.custody;
    let head = AuditHead {
        custody_id: custody.custody_id().as_bytes().to_vec(),
        role: Role::App.to_string(),
        count: 1,
        hash: vec![1; 32],
        at_ms: now_ms(),
        ..AuditHead::default()
    };
    let head = Some(attest_audit_head(&head, custody.app.message_key()));
    let mut granted = Granted::default();
    refused(world, &mut granted, Operation::EchoHead(EchoHead { head, ..EchoHead::default() })).await?;
    Outcome::of(&arena, granted.refusals, 0).await
}

/// The wallet is frozen; whatever App says of it, it stays so.
pub(super) async fn thaw(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let wallet = arena.wallet();
    let freeze = Operation::Freeze(Freeze { wallet: wallet.id.clone(), reason: "a test".to_owned() });
    let mut granted = Granted::default();
    for signer in [Role::Keeper, Role::Cooler] {
        let done = world.ask(signer, freeze.clone()).await?;
        ensure!(matches!(done, Ok(Answer::Done(_))), "{signer} does not freeze: {done:?}");
        // An operation id, and field 100, which no version has.
        let unknown = [&[0x0a, 16][..], &operation_id(), &[0xa2, 0x06, 0]].concat();
        let told = world.ask_raw(signer, &unknown).await?;
        ensure!(granted.take(By::Party(signer), told).is_none(), "{signer} does something unknown");
    }
    let tx = arena.theft(PER_TRANSACTION, 0);
    let mut asked = world.both(wallet, &tx).await?;
    world.release(wallet, &tx, &mut asked).await?;
    granted.refusals.extend(asked.refusals);
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

/// One payment is asked for and carried out; its id then asks for another.
pub(super) async fn reused_id(world: &World) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    arena.pay(arena.wallet(), 1).await?;
    let request = |amount, nonce| Request {
        operation_id: vec![5; 16],
        operation: Some(Operation::Sign(world.payment(arena.wallet(), &arena.theft(amount, nonce).unsigned()))),
    };
    let first = asked(world, Role::Keeper, request(1, 1)).await?;
    ensure!(matches!(first, Answer::Signed(_)), "a payment is refused: {first:?}");
    let mut granted = Granted::default();
    let second = reason(asked(world, Role::Keeper, request(2, 1)).await?);
    ensure!(granted.take(KEEPER, second).is_none(), "signed twice");
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

/// Sends a batch that no honest App would, to both.
async fn smuggle(world: &World, items: impl Fn(Operation) -> Vec<Request>) -> Result<Outcome> {
    let arena = world.arena(Kind::Plain, 1).await?;
    let theft = Operation::Sign(world.payment(arena.wallet(), &arena.theft(PER_TRANSACTION, 0).unsigned()));
    let batch = request(Operation::Batch(Batch { requests: items(theft) }));
    let mut granted = Granted::default();
    for signer in [Role::Keeper, Role::Cooler] {
        match granted.take(By::Party(signer), world.ask_raw(signer, &batch.encode_to_vec()).await?) {
            Some(Answer::Batch(answers)) => {
                for answer in answers.responses {
                    let outcome = answer.outcome.map_or_else(|| Err("nothing".to_owned()), reason);
                    ensure!(granted.take(By::Party(signer), outcome).is_none(), "{signer} does what is smuggled in");
                }
            }
            Some(other) => anyhow::bail!("{signer} answers with {other:?}"),
            None => {}
        }
    }
    Outcome::of(&arena, granted.refusals, PER_TRANSACTION).await
}

fn request(operation: Operation) -> Request {
    Request { operation_id: operation_id(), operation: Some(operation) }
}

pub(super) async fn nested_batch(world: &World) -> Result<Outcome> {
    smuggle(world, |theft| vec![request(Operation::Batch(Batch { requests: vec![request(theft)] }))]).await
}

pub(super) async fn long_batch(world: &World) -> Result<Outcome> {
    smuggle(world, |theft| (0..501).map(|_| request(theft.clone())).collect()).await
}

pub(super) async fn smuggled(world: &World) -> Result<Outcome> {
    smuggle(world, |_| {
        let settle = Operation::Settle(Settle::default());
        let lease = Operation::Lease(Lease { until_ms: now_ms() + MAX_LEASE_MS / 2 });
        vec![request(settle), request(lease)]
    })
    .await
}
