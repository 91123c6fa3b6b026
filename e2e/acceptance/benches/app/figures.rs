//! The table for people and `target/bench/app.json` for machines.

use std::{collections::BTreeMap, fs};

use anyhow::Result;
use serde_json::json;

use crate::{pay::Paid, place::Way};

/// All that was measured.
#[derive(Default)]
pub(crate) struct Figures {
    paid: Vec<Row>,
    wallets: Vec<(&'static str, f64, f64)>,
    /// Median answer to a new payment with a thousand stored, ms.
    pub(crate) growth_1k: f64,
    /// The same with very many stored.
    pub(crate) growth_1m: f64,
    /// How many those are.
    pub(crate) stored: usize,
    /// Requests to the node.
    pub(crate) rpc_per_payment: f64,
}

struct Row {
    way: Way,
    clients: usize,
    also: &'static str,
    rate: f64,
    posts: [f64; 2],
    asked: usize,
    included: usize,
}

impl Figures {
    /// Of one load.
    pub(crate) fn paid(&mut self, way: Way, clients: usize, also: &'static str, paid: &Paid) {
        let posts = [paid.posts.p50(), paid.posts.p99()];
        let (asked, included) = (paid.asked, paid.included);
        self.paid.push(Row { way, clients, also, rate: paid.rate(), posts, asked, included });
    }

    /// Wallets a second beside what phrases alone allow.
    pub(crate) fn wallets(&mut self, store: &'static str, rate: f64, limit: f64) {
        self.wallets.push((store, rate, limit));
    }

    pub(crate) fn print(&self) {
        println!("\n{:<44} {:>11} {:>9} {:>9}  included", "payments", "included/s", "p50 post", "p99 post");
        for Row { way, clients, also, rate, posts: [p50, p99], asked, included } in &self.paid {
            let what = format!("c{clients}{}{also}", way.words());
            println!("{what:<44} {rate:>11.1} {p50:>6.2} ms {p99:>6.1} ms  {included} of {asked}");
        }
        for (store, rate, limit) in &self.wallets {
            println!("wallets, {store}: {rate:.1}/s; all cores derive {limit:.0} phrases/s");
        }
        println!(
            "a new payment is answered in {:.2} ms (p50) with 1000 stored, in {:.2} ms with {}",
            self.growth_1k, self.growth_1m, self.stored
        );
        println!("requests to the node for a payment: {:.1}", self.rpc_per_payment);
    }

    /// A whole run's figures; those of a smaller one have another name, so that nobody takes them for these.
    pub(crate) fn write(&self, whole: bool) -> Result<()> {
        let rates = |way: Way| -> BTreeMap<String, f64> {
            let rows = self.paid.iter().filter(|row| row.way == way && row.also.is_empty());
            rows.map(|row| (format!("c{}", row.clients), rounded(row.rate))).collect()
        };
        let (_, wallets, limit) = self.wallets.first().copied().unwrap_or_default();
        let report = json!({
            "payments_per_s": rates(Way::Direct),
            "payments_per_s_rpc50ms": rates(Way::Slow),
            "wallets_per_s": rounded(wallets),
            "wallets_limit_per_s": rounded(limit),
            "rpc_per_payment": rounded(self.rpc_per_payment),
            "growth": {"p50_ms_1k": rounded(self.growth_1k), "p50_ms_1m": rounded(self.growth_1m)},
        });
        let folder = harness::servers::repository().join("target/bench");
        fs::create_dir_all(&folder)?;
        let name = if whole { "app.json" } else { "app-scaled.json" };
        fs::write(folder.join(name), serde_json::to_string_pretty(&report)? + "\n")?;
        println!("written to target/bench/{name}");
        Ok(())
    }
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
