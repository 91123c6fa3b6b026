//! A second copy of Keeper's volume beside the first, and a volume that loses records, with Keeper's own keys, Vault and
//! credentials: at real signers, over the broker.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Result, bail, ensure};
use custody::Role;
use data_center::Member;
use protocol::ops::{Operation, Outcome, Payment, Signed};
use tokio::time::{Instant, sleep};

use crate::{
    files::{copy, open},
    refusals::{KEEPER, Refusals},
    report::{Row, Suite},
    world::{Arena, Kind, World},
};

/// Longest wait for a signer to notice, or to serve.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is cut off a chain.
const CUT: u64 = 10;

/// Of payments.
type Digests = BTreeSet<Vec<u8>>;

pub(super) async fn attacks() -> Result<Vec<Row>> {
    let world = World::start().await?;
    let folder = tempfile::tempdir()?;
    let aside = |name: &str| folder.path().join(name);
    // So many records that there is something to cut off.
    world.arena(Kind::Plain, 6).await?;
    let mut rows = vec![at_once(&world, &aside("at-once")).await?, later(&world, &aside("later")).await?];
    rows.extend(shortened(&world, &aside("whole")).await?);
    Ok(rows)
}

/// Both take the same epoch: the first that is vouched for serves.
async fn at_once(world: &World, aside: &Path) -> Result<Row> {
    let (arena, keeper) = (world.arena(Kind::Plain, 1).await?, &world.pair.keeper);
    held(world).await?;
    world.pair.stopped(Role::Keeper, async { snapshot(keeper, aside) }).await?;
    keeper.ready().await;
    let second = keeper.run_copy(aside);
    shows(async || second.http("/readyz").await, "superseded").await?;
    let digests = asked(&arena).await?;
    ensure!(digests.len() == 1, "{} payments have both signatures at one nonce", digests.len());
    ensure!(keeper.http("/readyz").await.0 == 200, "the first does not serve any more");
    // It stays locked, by now also for what the first has signed.
    shows(async || second.http("/readyz").await, "Locked").await?;
    second.terminate().await;
    row(&arena, "keeper: a copy of its volume beside it, both started with the same epoch", "Superseded").await
}

/// The copy takes the next epoch and takes over. From then on a second payment at the same nonce is asked for.
async fn later(world: &World, aside: &Path) -> Result<Row> {
    let (arena, keeper) = (world.arena(Kind::Plain, 1).await?, &world.pair.keeper);
    held(world).await?;
    snapshot(keeper, aside)?;
    let second = keeper.run_copy(aside);
    shows(async || second.http("/readyz").await, "Serving").await?;
    let lock = shows(async || Some(keeper.http("/readyz").await), "superseded");
    let (noticed, meanwhile) = tokio::join!(lock, asked(&arena));
    noticed?;
    let digests: Digests = meanwhile?.into_iter().chain(asked(&arena).await?).collect();
    ensure!(digests.len() == 1, "{} payments have both signatures at one nonce", digests.len());
    ensure!(keeper.http("/readyz").await.0 != 200, "both serve");
    second.terminate().await;
    // The one that served goes on.
    world.pair.stopped(Role::Keeper, async { copy(aside, &keeper.data_dir()) }).await?;
    keeper.ready().await;
    row(&arena, "keeper: a copy of its volume started beside it while it runs", "Superseded").await
}

/// Ten records, and what belongs to them, are gone: from under the process, and then while it is down.
async fn shortened(world: &World, whole: &Path) -> Result<[Row; 2]> {
    let (arena, keeper) = (world.arena(Kind::Plain, 1).await?, &world.pair.keeper);
    let signed = hot(&arena, 1).await?;
    ensure!(matches!(signed, Ok(Outcome::Signed(_))), "keeper does not serve: {signed:?}");
    held(world).await?;
    snapshot(keeper, whole)?;
    cut(keeper)?;
    refused(&arena).await?;
    shows(async || Some(keeper.http("/readyz").await), "rolled back").await?;
    refused(&arena).await?;
    let alive = row(&arena, "keeper: ten records cut off its chain while it runs", "Locked").await?;

    let down = async {
        copy(whole, &keeper.data_dir())?;
        cut(keeper)
    };
    world.pair.stopped(Role::Keeper, down).await?;
    // What it compares itself comes before what its peers know, and before it connects.
    shows(async || page(keeper).await, "StoreTampered").await?;
    Ok([alive, row(&arena, "keeper: ten records cut off its chain while it is down", "StoreTampered").await?])
}

async fn row(arena: &Arena<'_>, attack: &str, why: &str) -> Result<Row> {
    let refusals = Refusals::one(KEEPER, why).to_string();
    Ok(Row::new(Suite::Database, attack, refusals.clone(), arena.moved().await?).expecting(&refusals))
}

/// Asks both signers for several payments at the wallet's first nonce, as App does: those that both have signed.
async fn asked(arena: &Arena<'_>) -> Result<Digests> {
    let mut digests = Digests::new();
    for amount in 1..=4 {
        let Ok(Outcome::Signed(Signed { digest, signatures, head })) = hot(arena, amount).await? else { continue };
        let payment = Payment { hot_signatures: signatures, hot_head: head, ..theft(arena, amount) };
        if let Ok(Outcome::Signed(_)) = arena.world.ask(Role::Cooler, Operation::Sign(payment)).await? {
            digests.insert(digest);
        }
    }
    Ok(digests)
}

fn theft(arena: &Arena<'_>, amount: u128) -> Payment {
    arena.world.payment(arena.wallet(), &arena.theft(amount, 0).unsigned())
}

/// Keeper's answer.
async fn hot(arena: &Arena<'_>, amount: u128) -> Result<Result<Outcome, String>> {
    arena.world.ask(Role::Keeper, Operation::Sign(theft(arena, amount))).await
}

/// Keeper signs no other payment at the nonce, since it is locked.
async fn refused(arena: &Arena<'_>) -> Result<()> {
    let answer = hot(arena, 2).await?;
    ensure!(answer == Err("Locked".to_owned()), "keeper answers {answer:?}");
    Ok(())
}

/// Waits until a signer says this of itself.
async fn shows(read: impl AsyncFn() -> Option<(u16, String)>, words: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match read().await {
            Some((_, text)) if text.contains(words) => return Ok(()),
            other if Instant::now() > deadline => bail!("it does not say '{words}', but {other:?}"),
            _ => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// While it starts it does not listen yet.
async fn page(keeper: &Member) -> Option<(u16, String)> {
    keeper.try_http("/readyz").await
}

/// Waits until Cooler holds Keeper's newest head.
async fn held(world: &World) -> Result<()> {
    let (keeper, cooler) = (open(&world.pair.keeper.data_dir())?, open(&world.pair.cooler.data_dir())?);
    let newest: i64 = keeper.query_row("SELECT max(seq) FROM audit", [], |row| row.get(0))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let held: i64 = cooler.query_row("SELECT count FROM heads WHERE role = 'keeper'", [], |row| row.get(0))?;
        if held >= newest {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "cooler holds record {held} of keeper, and not {newest}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// A whole copy of a volume, whether its signer runs or not.
fn snapshot(member: &Member, aside: &Path) -> Result<()> {
    fs::create_dir_all(aside)?;
    let into = aside.join(signer::store::FILE);
    open(&member.data_dir())?.execute("VACUUM INTO ?1", [into.to_string_lossy()])?;
    Ok(())
}

/// The newest records of the chain, and all that says what was signed.
fn cut(member: &Member) -> Result<()> {
    let connection = open(&member.data_dir())?;
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;
         DELETE FROM audit WHERE seq > (SELECT max(seq) FROM audit) - {CUT};
         DELETE FROM claims; DELETE FROM spends; DELETE FROM sums; DELETE FROM windows; DELETE FROM records;
         DELETE FROM operations;
         COMMIT"
    ))?;
    Ok(())
}
