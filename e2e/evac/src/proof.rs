//! What became of everybody's money, read from the chain: block by block at the destinations, and at the end in each wallet.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, Bytes};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{
    assets::Kind,
    chain::{Chain, number},
    report::Blocks,
    safe::{executes, parts},
    thief::DUST,
    wallets::Holder,
};

/// Gas of one transaction (EIP-7825).
const MOST_GAS: u64 = 1 << 24;
/// Bytes of one transaction in a node's pool (geth), less what stands around the calls.
const MOST_BYTES: usize = 124 * 1024;
/// Executions in one transaction.
pub(crate) const EXECUTIONS: usize = 100;

/// What had arrived at the end of each block, smallest units in the order of [`Kind::MOVABLE`].
pub(crate) struct Arrived {
    /// From the block before the first broadcast on.
    pub(crate) by_block: Vec<[u128; 3]>,
}

impl Arrived {
    /// At these destinations, less what was there before, between these blocks.
    pub(crate) async fn read(chain: &Chain, destinations: &[&str], first: u64, last: u64) -> Result<Self> {
        let mut by_block: Vec<[u128; 3]> = Vec::new();
        for block in first..=last {
            let mut sum = [0; 3];
            for destination in destinations {
                let held = chain.movable(destination, block).await?;
                sum = std::array::from_fn(|place| sum[place] + held[place]);
            }
            by_block.push(sum);
        }
        Ok(Self { by_block })
    }

    /// At the end.
    pub(crate) fn all(&self) -> [u128; 3] {
        self.by_block.last().copied().unwrap_or_default()
    }

    /// How many blocks it took until such parts of `movable` had arrived.
    pub(crate) fn blocks(&self, movable: [u128; 3]) -> Result<Blocks> {
        let until = |part: f64| {
            let enough = |arrived: &[u128; 3]| match part {
                whole if whole >= 1.0 => *arrived == movable,
                part => worth(*arrived) >= part * worth(movable),
            };
            let at = self.by_block.iter().position(enough);
            at.map(|at| at as u64).with_context(|| format!("{} % of the value has not arrived", part * 100.0))
        };
        Ok(Blocks { p50: until(0.5)?, p90: until(0.9)?, p99: until(0.99)?, p100: until(1.0)? })
    }
}

/// By the prices.
pub(crate) fn worth(units: [u128; 3]) -> f64 {
    Kind::MOVABLE.into_iter().zip(units).map(|(kind, units)| kind.worth(units)).sum()
}

/// All that could be moved at the freeze.
pub(crate) fn movable(holders: &[Holder]) -> [u128; 3] {
    std::array::from_fn(|place| holders.iter().map(|holder| holder.of(Kind::MOVABLE[place])).sum())
}

/// What is left in the wallets: movable value that did not leave, by wallet, and what can't be moved, by wallet and asset.
pub(crate) struct Left {
    pub(crate) movable: BTreeMap<Address, f64>,
    pub(crate) stuck: BTreeMap<(String, Kind), f64>,
}

impl Left {
    pub(crate) async fn read(chain: &Chain, holders: &[Holder]) -> Result<Self> {
        let (mut movable, mut stuck) = (BTreeMap::new(), BTreeMap::new());
        for holder in holders {
            for kind in holder.held.keys().copied() {
                let held = chain.assets.held(&chain.anvil, kind, &holder.desc.address, None).await?;
                // Dust came after the freeze.
                let left = if kind == Kind::Eth { held.saturating_sub(DUST) } else { held };
                if left > 0 && Kind::MOVABLE.contains(&kind) {
                    *movable.entry(holder.address).or_default() += kind.worth(left);
                } else if left > 0 {
                    stuck.insert((holder.id.to_string(), kind), kind.worth(left));
                }
            }
        }
        Ok(Self { movable, stuck })
    }
}

/// One transaction of the float.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    nonce: u64,
    /// What owners had signed and it was to carry out, each of one asset.
    pub(crate) executions: usize,
    /// Of these wallets.
    wallets: BTreeSet<Address>,
    /// The most gas that it might use.
    gas: u64,
    bytes: usize,
    used: u64,
}

impl Carried {
    /// Whether more would hardly have gone into it.
    fn is_full(&self) -> bool {
        self.executions >= EXECUTIONS || self.gas >= MOST_GAS / 10 * 9 || self.bytes >= MOST_BYTES / 10 * 9
    }
}

/// The transactions of the float that were mined, in their order.
#[derive(Debug, Default)]
pub(crate) struct Sent(Vec<Carried>);

impl Sent {
    pub(crate) async fn read(chain: &Chain, payer: &str, first: u64, last: u64) -> Result<Self> {
        let mut sent = Vec::new();
        for block in first..=last {
            let block: Value = chain.anvil.rpc("eth_getBlockByNumber", json!([format!("{block:#x}"), true])).await?;
            let transactions = block["transactions"].as_array().context("a block has transactions")?;
            let ours = |tx: &&Value| tx["from"].as_str().is_some_and(|from| from.eq_ignore_ascii_case(payer));
            for tx in transactions.iter().filter(ours) {
                sent.push(carried(chain, tx).await?);
            }
        }
        sent.sort_by_key(|carried| carried.nonce);
        Ok(Self(sent))
    }

    /// How many there are.
    pub(crate) fn transactions(&self) -> usize {
        self.0.len()
    }

    /// What all of them used.
    pub(crate) fn gas(&self) -> u64 {
        self.0.iter().map(|carried| carried.used).sum()
    }

    /// The most that one of them was to carry out.
    pub(crate) fn most_executions(&self) -> usize {
        self.0.iter().map(|carried| carried.executions).max().unwrap_or_default()
    }

    /// Those that were not full and left out what could have been in them. One that is not full may be sent only when it is
    /// the last of its run, or when all that the run sent later came back from it: a thief was faster in these wallets, or
    /// they had more than could be carried out at once. `runs`: how many were sent when each run began.
    pub(crate) fn small_for_nothing(&self, runs: &[u64]) -> Vec<&Carried> {
        let run = |carried: &Carried| runs.iter().filter(|begun| **begun <= carried.nonce).count();
        let carries = |carried: &&Carried| carried.executions > 0;
        let left_out = |place: usize, small: &Carried| {
            let later = self.0.iter().skip(place + 1).filter(|later| run(later) == run(small));
            later.filter(carries).any(|later| !later.wallets.is_subset(&small.wallets))
        };
        let small = self.0.iter().enumerate().filter(|(_, carried)| carries(carried) && !carried.is_full());
        small.filter(|(place, small)| left_out(*place, small)).map(|(_, small)| small).collect()
    }

    /// How much of all executions was in transactions that were full, percent.
    pub(crate) fn full_percent(&self) -> f64 {
        let sum = |which: &dyn Fn(&Carried) -> bool| {
            let some = self.0.iter().filter(|carried| which(carried));
            some.map(|carried| carried.executions).sum::<usize>()
        };
        sum(&Carried::is_full) as f64 * 100.0 / sum(&|_| true).max(1) as f64
    }
}

async fn carried(chain: &Chain, tx: &Value) -> Result<Carried> {
    let receipt: Value = chain.anvil.rpc("eth_getTransactionReceipt", json!([tx["hash"]])).await?;
    let input: Bytes = serde_json::from_value(tx["input"].clone())?;
    let gas = number(&tx["gas"]).context("a transaction has gas")?;
    ensure!(gas <= MOST_GAS, "a transaction may use {gas} gas, and a chain takes {MOST_GAS}");
    let wallets = || parts(&input).into_iter().filter(executes).map(|call| call.target);
    Ok(Carried {
        nonce: number(&tx["nonce"]).context("a transaction has a nonce")?,
        executions: wallets().count(),
        wallets: wallets().collect(),
        gas,
        bytes: input.len(),
        used: number(&receipt["gasUsed"]).context("a receipt tells the gas")?,
    })
}

/// Wallets of which nothing movable is left.
pub(crate) fn emptied(holders: &[Holder], left: &Left) -> usize {
    holders.iter().filter(|holder| !left.movable.contains_key(&holder.address)).count()
}

/// Of the wallets in which the thief was faster, those that lost something.
pub(crate) fn lost(faster: &BTreeSet<Address>, left: &Left) -> usize {
    faster.iter().filter(|wallet| left.movable.contains_key(*wallet)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_arrived_with_the_first_block_at_which_so_much_is_there() {
        let eth = |whole: u128| [whole * 10u128.pow(18), 0, 0];
        let arrived = |by_block: &[u128]| Arrived { by_block: by_block.iter().map(|whole| eth(*whole)).collect() };
        let blocks = arrived(&[0, 0, 40, 60, 95, 95, 100]).blocks(eth(100)).unwrap();
        assert_eq!(blocks, Blocks { p50: 3, p90: 4, p99: 6, p100: 6 });
        let why = arrived(&[0, 99]).blocks(eth(100)).unwrap_err().to_string();
        assert_eq!(why, "100 % of the value has not arrived");
    }

    #[test]
    fn a_transaction_is_full_by_its_executions_its_gas_or_its_bytes() {
        let sent = Sent(vec![
            carried(0, 100, 5_000_000, 70_000, &[1]),
            carried(1, 50, 15_500_000, 40_000, &[2]),
            carried(2, 90, 5_000_000, 115_000, &[3]),
            carried(3, 80, 5_000_000, 60_000, &[4]),
        ]);
        assert_eq!((sent.full_percent(), sent.gas(), sent.most_executions(), sent.transactions()), (75.0, 4, 100, 4));
        assert_eq!(Sent::default().full_percent(), 0.0);
    }

    fn carried(nonce: u64, executions: usize, gas: u64, bytes: usize, wallets: &[u8]) -> Carried {
        let wallets = wallets.iter().map(|byte| Address::repeat_byte(*byte)).collect();
        Carried { nonce, executions, wallets, gas, bytes, used: 1 }
    }

    #[test]
    fn a_small_transaction_is_for_nothing_where_others_of_its_run_went_after_it() {
        const NONE: [u64; 0] = [];
        let small = |nonce, wallets: &[u8]| carried(nonce, wallets.len(), 1_000_000, 1_000, wallets);
        let full = |nonce| carried(nonce, 100, 1_000_000, 1_000, &[9]);
        let nonces = |sent: &[Carried], runs: &[u64]| -> Vec<u64> {
            Sent(sent.to_vec()).small_for_nothing(runs).iter().map(|carried| carried.nonce).collect()
        };
        assert_eq!(nonces(&[full(0), small(1, &[1, 2, 3])], &[0]), NONE, "the last one");
        assert_eq!(nonces(&[small(0, &[1, 2, 3]), small(1, &[2, 3]), small(2, &[3])], &[0]), NONE, "what came back");
        assert_eq!(nonces(&[small(0, &[1, 2]), small(1, &[3])], &[0]), [0]);
        assert_eq!(nonces(&[small(0, &[1, 2]), full(1), small(2, &[1])], &[0]), [0]);
        assert_eq!(nonces(&[small(0, &[1, 2]), small(1, &[3])], &[0, 1]), NONE, "the run was killed");
        assert_eq!(nonces(&[small(0, &[]), full(1)], &[0]), NONE, "it only used up a nonce");
    }
}
