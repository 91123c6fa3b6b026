//! The plan of version 1: one step for each asset, for chains whose wallets have no nonces.

use std::{collections::BTreeMap, fmt, io::Write, path::PathBuf};

use anyhow::{Context, Result};
use chain::{Amount, ChainId, Claim};
use evacuation::{Balance, Bundle, ChainState, States, WalletsExport};
use serde::Serialize;

use super::{Prepared, outcome::Found};
use crate::{evac::write as write_whole, output::Output};

/// What was planned.
#[derive(Debug, Serialize)]
struct Planned {
    plan: PathBuf,
    chain: ChainId,
    /// Wallets with an address on the chain.
    wallets: usize,
    /// Transactions to sign: one per wallet and asset that is there.
    steps: usize,
    /// Sum by asset, smallest unit.
    totals: BTreeMap<String, Amount>,
    #[serde(flatten)]
    found: Found,
}

/// Writes the plan, and says what is in it. What a station would refuse is refused here.
pub(super) fn write(
    prepared: &Prepared,
    states: &States,
    to: Option<String>,
    out: PathBuf,
    output: Output,
) -> Result<()> {
    let Prepared { adapters, rules, signed, manifest, chain, assets, merged, .. } = prepared;
    let (mut records, mut known) = (Vec::new(), BTreeMap::new());
    for place in 0..merged.roster.len() {
        let described = merged.roster.describe(place, manifest, rules.as_ref())?;
        records.push(merged.roster.record(place, &described)?);
        let balance = |(asset, amount): (usize, Amount)| Balance { asset: assets[asset].clone(), amount };
        let state = ChainState {
            created: states.created(place),
            next: vec![Claim::Sequence(states.live(place))],
            balances: states.held(place).map(balance).collect(),
        };
        known.insert((merged.roster.id(place)?, chain.clone()), state);
    }
    let export = WalletsExport::new(manifest, records);
    let destinations = to.into_iter().map(|to| (chain.clone(), to)).collect();
    let plan = evacuation::plan(&export, &known, manifest, adapters, &destinations)?;
    // For a broadcaster who has no other. What a station would refuse is refused here.
    let plan = Bundle { manifest: Some(signed.clone()), ..plan }.verify(manifest, adapters)?;
    let plan = plan.bundle();
    write_whole(&out, |file| file.write_all(plan.to_json().as_bytes()).context("cannot write the plan"))?;
    let (totals, found) = (totals(plan)?, Found::new(merged, states, assets));
    let (wallets, steps) = (known.len(), plan.steps.len());
    output.print(&Planned { plan: out, chain: chain.clone(), wallets, steps, totals, found })
}

fn totals(plan: &Bundle) -> Result<BTreeMap<String, Amount>> {
    let mut totals = BTreeMap::new();
    for step in &plan.steps {
        let total: &mut Amount = totals.entry(step.asset.clone()).or_default();
        *total = total.checked_add(step.amount).context("the node reports an impossible balance")?;
    }
    Ok(totals)
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, chain, wallets, steps, totals, found } = self;
        writeln!(f, "{}: {steps} transactions for {wallets} wallets on {chain}", plan.display())?;
        for (asset, total) in totals {
            writeln!(f, "  {asset}: {total} (smallest unit)")?;
        }
        write!(f, "{found}")?;
        if *steps == 0 {
            return writeln!(f, "Nothing to move of what can be read.");
        }
        writeln!(f, "Next, cool signs it (`cooler evac sign`), then cold (`multisig-paper evac sign`).")
    }
}
