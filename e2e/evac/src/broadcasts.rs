//! The broadcaster, as often as it takes.

use std::{fs, time::Duration};

use anyhow::{Result, bail, ensure};

use crate::{
    chain::Chain,
    miner::Miner,
    narrate::say,
    place::{FLOAT, FULL, KILLS, Place},
    proof::Left,
    shell::{Ran, Running, Shell},
    wallets::Holder,
};

/// Until it must be over.
const RUNS: usize = 8;
/// Where no block is made: so long it may wait for what an earlier run has sent, before it is killed all the same.
const STILL: Duration = Duration::from_secs(3);
/// The longest that one run may take.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// How it ran.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    pub(crate) kills: usize,
    /// The newest block when it began.
    pub(crate) begun: u64,
    /// How many transactions the float had sent when each run began.
    pub(crate) sent: Vec<u64>,
}

/// Killed twice, and started again until nothing movable is left.
pub(crate) async fn broadcasts(
    place: &Place,
    shell: &Shell,
    chain: &Chain,
    holders: &[Holder],
    miner: &Miner,
) -> Result<Runs> {
    let broadcast = place.page.command("multisig evac broadcast", &chain.node.url())?;
    // A small plan is one transaction: there the broadcaster is killed before it is mined.
    let small = holders.len() < FULL / 2;
    let sends = if small { 1 } else { 3 };
    let float = &chain.account(FLOAT)?.address;
    let mut runs = Runs { begun: chain.newest().await?, ..Runs::default() };
    for number in 0..RUNS {
        say(format!("run {} of the broadcaster: {broadcast}", number + 1));
        let sent = || chain.node.count("eth_sendRawTransaction");
        let before = sent();
        runs.sent.push(chain.sent(float).await?);
        let held = small && runs.kills < KILLS;
        miner.hold(held);
        let mut running = shell.start(&format!("broadcast-{number}"), &broadcast, "").await?;
        let kills = runs.kills;
        let enough = |it: &Running| kills < KILLS && (sent() >= before + sends || held && it.lasts() > STILL);
        match ended(&mut running, enough).await? {
            None => {
                running.kill().await?;
                runs.kills += 1;
                say(format!("killed (kill -9) when it had sent {}", sent() - before));
            }
            Some(ran) => {
                ensure!(runs.kills == KILLS, "the broadcaster ended before it could be killed:\n{}", ran.said);
                let left = Left::read(chain, holders).await?;
                let (open, code) = (left.movable.len(), ran.code);
                say(format!("it ends with {code:?}; {open} wallets still hold something movable"));
                ensure!([Some(0), Some(1)].contains(&code), "the broadcaster fails:\n{}", ran.said);
                if open == 0 {
                    return Ok(runs);
                }
            }
        }
    }
    let last = fs::read_to_string(shell.file(&format!("broadcast-{}.log", RUNS - 1))).unwrap_or_default();
    let tail: Vec<&str> = last.lines().rev().take(10).collect();
    bail!("after {RUNS} runs wallets still hold something movable:\n{}", tail.join("\n"))
}

/// What became of it, unless it has done enough before.
async fn ended(running: &mut Running, enough: impl Fn(&Running) -> bool) -> Result<Option<Ran>> {
    loop {
        match running.look().await? {
            Some(ran) => return Ok(Some(ran)),
            None if enough(running) => return Ok(None),
            None => ensure!(running.lasts() < PATIENCE, "the broadcaster does not end"),
        }
    }
}
