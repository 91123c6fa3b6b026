//! The table for people and `target/bench/sign.json` for machines. Each figure is the median of its rounds, with the lowest
//! and the highest; each ratio is the median of the ratios of the rounds.

use std::{collections::BTreeMap, fs, time::Duration};

use acceptance::load::Run;
use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{LOADS, Side, curves::Curves, variants::Variants};

/// All turns, by side and load, in the order of the rounds.
#[derive(Default)]
pub(crate) struct Figures {
    turns: BTreeMap<(Side, &'static str), Vec<Turn>>,
}

struct Turn {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Of the whole machine, for each signature, microseconds.
    cpu: f64,
    /// Of Keeper alone.
    own_cpu: Option<f64>,
}

impl Figures {
    pub(crate) fn add(
        &mut self,
        side: Side,
        load: &'static str,
        round: usize,
        run: Run,
        machine: Duration,
        own: Option<Duration>,
    ) {
        let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / run.signatures.max(1) as f64;
        let rate = run.rate();
        eprintln!("bench-sign: {load}, round {round}, {}: {rate:.0}/s", side.name());
        let turn = Turn { rate, p50: run.p50(), p99: run.p99(), cpu: each(machine), own_cpu: own.map(each) };
        self.turns.entry((side, load)).or_default().push(turn);
    }

    /// Rates count signatures (echoes: round trips); latencies are of requests.
    pub(crate) fn print(&self, curves: &Curves, fsync: Duration, variants: &Variants) -> Result<()> {
        println!(
            "{:<10} {:<17} {:>8} {:>17} {:>8} {:>8} {:>16}",
            "load", "side", "per s", "lowest, highest", "p50 ms", "p99 ms", "machine CPU us"
        );
        for (load, _) in LOADS {
            for side in Side::ALL.into_iter().filter(|side| self.turns.contains_key(&(*side, load))) {
                let rates = self.each(side, load, |turn| turn.rate)?;
                let range = format!("{:.0}, {:.0}", rates[0], rates[rates.len() - 1]);
                let median = |of: fn(&Turn) -> f64| self.median(side, load, of);
                println!(
                    "{load:<10} {:<17} {:>8.0} {range:>17} {:>8.2} {:>8.2} {:>16.0}",
                    side.name(),
                    median(|turn| turn.rate)?,
                    median(|turn| turn.p50)?,
                    median(|turn| turn.p99)?,
                    median(|turn| turn.cpu)?,
                );
            }
        }
        for (load, _) in LOADS {
            let [bare, audited, dirk] = [Side::Transit, Side::Audited, Side::Dirk].map(|peer| self.ratio(peer, load));
            println!(
                "keeper at {load}: {:.2} x Transit, {:.2} x Transit audited, {:.2} x dirk",
                bare?, audited?, dirk?
            );
        }
        let Curves { ours, verified, transit, dirk } = curves;
        println!(
            "a bare signature: secp256k1 {ours:.1} us ({verified:.1} us verified), ed25519 {transit:.1} us, BLS {dirk:.1} us"
        );
        println!("batches: secp256k1 alone, on all cores, would be {:.2} x Transit", self.limit(curves)?);
        println!("a page is on the disk in {:.2} ms", fsync.as_secs_f64() * 1e3);
        let Variants { window, creation, derivation } = variants;
        println!("keeper at c64 with windows: {:.2} of the rate without", median(window.clone()));
        println!(
            "a new wallet: {creation:.0} us of CPU, {:.2} x one phrase ({derivation:.0} us)",
            creation / derivation
        );
        Ok(())
    }

    pub(crate) fn write(&self, curves: &Curves, fsync: Duration, variants: &Variants) -> Result<()> {
        let loads = LOADS.map(|(load, _)| load);
        let each = |value: &dyn Fn(&str) -> Result<f64>| -> Result<BTreeMap<&str, f64>> {
            loads.into_iter().map(|load| Ok((load, rounded(value(load)?)))).collect()
        };
        let over =
            |side: Side, curve: f64| -> Result<f64> { Ok(rounded(self.median(side, "c64", |turn| turn.cpu)? / curve)) };
        let own = self.median(Side::Keeper, "c64", |turn| turn.own_cpu.unwrap_or_default())?;
        let both =
            self.median(Side::Both, "c64", |turn| turn.rate)? / self.median(Side::Keeper, "c64", |turn| turn.rate)?;
        let report = json!({
            "ratio_to_transit": each(&|load| self.ratio(Side::Transit, load))?,
            "ratio_to_transit_audited": each(&|load| self.ratio(Side::Audited, load))?,
            "ratio_to_dirk": each(&|load| self.ratio(Side::Dirk, load))?,
            "limit_batch100": rounded(self.limit(curves)?),
            "p50_ms": each(&|load| self.median(Side::Keeper, load, |turn| turn.p50))?,
            "p99_ms": each(&|load| self.median(Side::Keeper, load, |turn| turn.p99))?,
            "cpu_us_per_signature": rounded(own),
            "cpu_us_over_curve": {
                "ours": over(Side::Keeper, curves.ours)?,
                "dirk": over(Side::Dirk, curves.dirk)?,
                "transit": over(Side::Transit, curves.transit)?,
            },
            "both_over_keeper_c64": rounded(both),
            "fsync_ms": rounded(fsync.as_secs_f64() * 1e3),
            "variants": {
                "window_c64": rounded(median(variants.window.clone())),
                "creation_cpu_over_derivation": rounded(variants.creation / variants.derivation),
            },
            "turns": self.all(),
        });
        let folder = harness::servers::repository().join("target/bench");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("sign.json"), serde_json::to_string_pretty(&report)? + "\n")?;
        println!("written to target/bench/sign.json");
        Ok(())
    }

    /// Every turn's rate, for whoever doubts a median.
    fn all(&self) -> Vec<Value> {
        let of = |((side, load), turns): (&(Side, &str), &Vec<Turn>)| {
            let rates: Vec<f64> = turns.iter().map(|turn| rounded(turn.rate)).collect();
            json!({"side": side.name(), "load": load, "per_second": rates})
        };
        self.turns.iter().map(of).collect()
    }

    fn of(&self, side: Side, load: &str) -> Result<&[Turn]> {
        let found = self.turns.iter().find(|((of, at), _)| *of == side && *at == load);
        found.map(|(_, turns)| turns.as_slice()).context("a run is missing")
    }

    /// Smallest first.
    fn each(&self, side: Side, load: &str, value: impl Fn(&Turn) -> f64) -> Result<Vec<f64>> {
        let mut values: Vec<f64> = self.of(side, load)?.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        Ok(values)
    }

    fn median(&self, side: Side, load: &str, value: impl Fn(&Turn) -> f64) -> Result<f64> {
        Ok(median(self.each(side, load, value)?))
    }

    /// Keeper's rate of a peer's.
    fn ratio(&self, peer: Side, load: &str) -> Result<f64> {
        let rounds = self.of(Side::Keeper, load)?.iter().zip(self.of(peer, load)?);
        Ok(median(rounds.map(|(ours, theirs)| ours.rate / theirs.rate).collect()))
    }

    /// What a signer would reach that did nothing but sign and verify on every core, of Transit's rate in batches.
    fn limit(&self, curves: &Curves) -> Result<f64> {
        let cores = std::thread::available_parallelism().context("the number of cores")?.get() as f64;
        Ok(cores * 1e6 / curves.verified / self.median(Side::Transit, "batch100", |turn| turn.rate)?)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
