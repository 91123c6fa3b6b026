//! Whether all is as it was promised, and the report of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    assets::Kind,
    broadcasts::Runs,
    chain::Chain,
    narrate::{chapter, say},
    place::{KILLS, PAYEE, SAFE, TAKER},
    proof::{Arrived, EXECUTIONS, Left, Sent, emptied, lost, movable, worth},
    report::{FrontRun, Moved, NotMoved, Report, rounded},
    shell::Shell,
    thief::{Faster, Thief},
    told,
    wallets::Holder,
};

/// What became of everybody's money.
pub(crate) async fn account(
    chain: &Chain,
    holders: &[Holder],
    thief: &Thief<'_>,
    runs: &Runs,
    float: &str,
    shell: &Shell,
) -> Result<Report> {
    chapter("Account: from the chain alone");
    let last = chain.newest().await?;
    let arrived = Arrived::read(chain, &[SAFE, PAYEE, TAKER], runs.begun, last).await?;
    let (left, sent) = (Left::read(chain, holders).await?, Sent::read(chain, float, runs.begun, last).await?);
    let Faster { paid, created, dusted } = thief.faster().await?;
    let (at_freeze, all) = (movable(holders), arrived.all());
    for (kind, (was, now)) in Kind::MOVABLE.into_iter().zip(at_freeze.into_iter().zip(all)) {
        ensure!(was == now, "of {was} {} that could be moved {now} arrived", kind.symbol());
    }
    ensure!(thief.loot().await? == 0, "the thief holds tokens that were the wallets'");
    let lost = lost(&paid, &left);
    ensure!(lost == 0, "{lost} wallets lost money to the thief");
    let kills = runs.kills;
    ensure!(kills == KILLS, "the broadcaster was killed {kills} times instead of {KILLS}");
    let asked = holders.len() / 10;
    ensure!(paid.len() >= asked, "the thief ran in front of {} wallets with a payment instead of {asked}", paid.len());
    ensure!(created >= asked / 2, "the thief has created {created} wallets in front of us instead of {}", asked / 2);
    let taken = worth(chain.movable(TAKER, last).await?);
    say(format!(
        "the thief was faster with {} payments and {created} creations; {taken:.2} by the prices went where he had hot and \
         cool pay before the freeze, as the policy allowed",
        paid.len()
    ));
    ensure!(dusted == holders.len(), "the thief has dusted {dusted} wallets instead of {}", holders.len());
    say(format!(
        "{} transactions of at most {} executions; {:.0} % of all executions were in one of {EXECUTIONS}, or within 10 % of its \
         gas or bytes",
        sent.transactions(),
        sent.most_executions(),
        sent.full_percent()
    ));
    let small = sent.small_for_nothing(&runs.sent);
    ensure!(small.is_empty(), "these transactions could have carried more that was sent after them: {small:?}");
    let (not_moved, emptied) = (stuck(&left, shell)?, emptied(holders, &left));
    let moved = Moved { value_percent: percent(all, at_freeze), wallets: emptied };
    Ok(Report {
        wallets: holders.len(),
        gas_per_wallet: sent.gas() / (emptied.max(1) as u64),
        moved,
        front_run: FrontRun { wallets: paid.len(), lost, created },
        blocks: arrived.blocks(at_freeze)?,
        kills,
        not_moved,
        sim: None,
        prices: by_symbol(),
    })
}

fn percent(arrived: [u128; 3], movable: [u128; 3]) -> f64 {
    if arrived == movable { 100.0 } else { rounded(worth(arrived) * 100.0 / worth(movable)) }
}

/// What can't be moved, by the reason that the broadcaster gives.
fn stuck(left: &Left, shell: &Shell) -> Result<Vec<NotMoved>> {
    let told = told::not_moved(&shell.file("report.json"))?;
    let mut by_reason: BTreeMap<String, NotMoved> = BTreeMap::new();
    for ((wallet, kind), value) in &left.stuck {
        let reason = told.get(&(wallet.clone(), kind.symbol().to_owned()));
        let reason = reason.with_context(|| format!("nobody is told that {} of {wallet} stays", kind.symbol()))?;
        let reason = format!("{}: {reason}", kind.symbol());
        let none = NotMoved { reason: reason.clone(), wallets: 0, value: 0.0 };
        let of = by_reason.entry(reason).or_insert(none);
        (of.wallets, of.value) = (of.wallets + 1, of.value + value);
    }
    Ok(by_reason.into_values().map(|of| NotMoved { value: rounded(of.value), ..of }).collect())
}

fn by_symbol() -> Value {
    Value::Object(Kind::ALL.into_iter().map(|kind| (kind.symbol().to_owned(), json!(kind.price()))).collect())
}
