//! What a broadcast would come to, as people and dashboards see it.

use std::fmt;

use chain::{Amount, Capacity};
use evacuation::stream::{Draft, Forecast, PARTS, SHARE};
use serde::Serialize;

/// Against how much dearer gas it is told too.
const DEARER: u128 = 10;
const GWEI: f64 = 1e9;

/// Evacuability: how much can be moved, what that costs and how long it takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evac) struct Outlook {
    /// Part of every block that is taken to be ours, percent.
    share_percent: f64,
    /// Gas of a block.
    block_gas: u64,
    block_seconds: f64,
    now: Shown,
    at_ten_times: Shown,
}

/// At one price of gas.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    gas_price_wei: String,
    /// Part of the value that was read, in the currency of the prices or in shares of assets.
    movable_percent: f64,
    wallets: u64,
    gas: u64,
    float_wei: Amount,
    float_coins: f64,
    hours: Hours,
}

/// Until so many percent of what moves have moved.
#[derive(Debug, Serialize)]
struct Hours {
    p50: f64,
    p90: f64,
    p99: f64,
    p100: f64,
}

impl Outlook {
    pub(super) fn new(draft: &Draft<'_>, capacity: &Capacity) -> Self {
        let shown = |price| Shown::new(&draft.forecast(Some(capacity), price), capacity.decimals);
        Self {
            share_percent: SHARE * 100.0,
            block_gas: capacity.work,
            block_seconds: capacity.every.as_secs_f64(),
            now: shown(capacity.price),
            at_ten_times: shown(capacity.price.saturating_mul(DEARER)),
        }
    }
}

impl Shown {
    fn new(forecast: &Forecast, decimals: u8) -> Self {
        let [p50, p90, p99, p100] = forecast.hours.unwrap_or_default();
        Self {
            gas_price_wei: forecast.price.to_string(),
            movable_percent: forecast.movable,
            wallets: forecast.wallets,
            gas: forecast.work,
            float_wei: forecast.float,
            float_coins: f64::from(forecast.float.0) / 10f64.powi(decimals.into()),
            hours: Hours { p50, p90, p99, p100 },
        }
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { share_percent, block_gas, block_seconds, now, at_ten_times } = self;
        writeln!(f, "  {now}")?;
        writeln!(f, "  at ten times the price of gas, {at_ten_times}")?;
        writeln!(
            f,
            "  This takes {share_percent} % of each block of {block_gas} gas to be ours, a block every {block_seconds:.1} \
             s, and gas to cost {:.3} gwei now, tips not counted",
            now.gas_price_wei.parse().unwrap_or(0.0) / GWEI
        )
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { movable_percent, wallets, float_wei, float_coins, hours, .. } = self;
        let Hours { p50, p90, p99, p100 } = hours;
        let parts = PARTS.map(|part| part.to_string()).join("/");
        write!(
            f,
            "{movable_percent:.2} % of the value moves, of {wallets} wallets, for {float_coins:.4} coins ({float_wei} \
             wei); {parts} % of it in {p50:.2}/{p90:.2}/{p99:.2}/{p100:.2} h"
        )
    }
}
