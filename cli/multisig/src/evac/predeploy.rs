//! `multisig evac predeploy`: creates the most valuable wallets that don't exist yet, while gas is cheap. Anybody may
//! create a wallet, since its address binds its owners. It is sent as a broadcast is: what exists is passed over.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use anyhow::{Result, bail, ensure};
use clap::Args;
use evacuation::stream::{Block, OwnerPair};
use serde::Serialize;

use super::{
    MAX_GAS, patiently,
    plan::{Drawn, FromArgs, Prepared, draw, prepare, read},
    sending::{Audience, Course, Ladder, Line, Paying, Portion, Source, Voice, WINDOW, Watch, Window, send},
};
use crate::{failure::bad_input, output::Output};

/// What is about to be sent, where no other file is named.
const JOURNAL: &str = "predeploy.journal";

/// What to create.
#[derive(Debug, Args)]
pub(crate) struct PredeployArgs {
    #[command(flatten)]
    from: FromArgs,
    /// File with a secp256k1 key that pays for gas, 64 hex digits; may be repeated. Use keys that nothing else uses
    #[arg(long, required = true, value_name = "FILE")]
    gas_key: Vec<PathBuf>,
    /// Where to keep what is about to be sent, so that a later run goes on with it; none: nowhere [default:
    /// predeploy.journal]
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Create at most so many wallets
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    most: usize,
    /// The most to offer for a gas, gwei: wallets are created when gas is cheap
    #[arg(long, value_name = "GWEI", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    max_fee: u64,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    /// Wallets that exist now and did not when they were read.
    created: u64,
    /// Of this run.
    transactions: u64,
    /// Wallets that hold something and do not exist yet.
    left: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
struct Failed {
    wallet: String,
    message: String,
}

pub(super) async fn run(args: PredeployArgs, output: Output) -> Result<()> {
    let chain = args.from.chain().await?;
    let paying = Paying::open(&args.gas_key, args.journal.as_deref(), Some(JOURNAL.into()), &chain)?;
    let payer = paying.payer(args.max_fee, MAX_GAS, &[]);
    let prepared = prepare(&args.from, chain, true, Some(payer)).await?;
    let batches = match prepared.client.batching() {
        Some(batching) => patiently(|| batching.carries()).await?,
        None => false,
    };
    if !batches {
        bail!(bad_input(format!(
            "{} has no Multicall3, without which wallets are created one by one; `multisig evac broadcast` does so",
            prepared.chain
        )));
    }
    let Wanted { ladders, names, absent } = wanted(&prepared, args.most).await?;
    let voice = Voice::new("creating wallets", ladders.len() as u64);
    let watch = Watch::new(prepared.client.clone(), paying.payers, voice.clone());
    let told = Told { voice, names, report: RefCell::default() };
    let mut source = Source::held([Portion { ladders, lines: Vec::new() }]);
    send(&watch, paying.left, &mut source, Window::of(WINDOW), &told).await?;
    let mut report = told.end();
    report.left = absent.saturating_sub(report.created);
    output.print(&report)?;
    ensure!(report.failed.is_empty(), "{} wallets were not created; run this again", report.failed.len());
    Ok(())
}

/// What to create.
struct Wanted {
    /// Without rungs.
    ladders: Vec<Ladder>,
    /// App's names, by address.
    names: BTreeMap<String, String>,
    /// Wallets that hold something and do not exist: these, and less valuable ones.
    absent: u64,
}

/// The most valuable wallets that do not exist.
async fn wanted(prepared: &Prepared, most: usize) -> Result<Wanted> {
    let (states, begun) = read(prepared, None).await?;
    let (block, rebasing) = (Block { number: begun.number, id: begun.id }, BTreeSet::new());
    let drawn = Drawn { prepared, states: &states, block, rebasing: &rebasing, to: None, owners: OwnerPair::default() };
    let places =
        draw(&drawn, |draft, _| Ok(draft.places().filter(|place| !states.created(*place)).collect::<Vec<_>>()));
    let (places, roster, rules) = (places.await?, &prepared.merged.roster, &prepared.rules);
    let mut wanted = Wanted { ladders: Vec::new(), names: BTreeMap::new(), absent: places.len() as u64 };
    for place in places.into_iter().take(most) {
        let wallet = roster.describe(place, &prepared.manifest, rules.as_ref())?;
        wanted.names.insert(wallet.address.clone(), roster.wallet(place).id.to_owned());
        let creation = rules.creation(&wallet)?;
        let (rungs, holdings) = (Vec::new(), Vec::new());
        wanted.ladders.push(Ladder { rules: rules.clone(), wallet, creation, rungs, holdings, unsigned: None });
    }
    Ok(wanted)
}

/// Hears what was created.
struct Told {
    voice: Voice,
    names: BTreeMap<String, String>,
    report: RefCell<Report>,
}

impl Told {
    fn end(self) -> Report {
        self.voice.end();
        self.report.into_inner()
    }
}

impl Audience for Told {
    fn takes(&self, _: Vec<Line>) -> Result<()> {
        Ok(())
    }

    fn done(&self, course: &Course) {
        let mut report = self.report.borrow_mut();
        match course.existence() {
            Ok(()) => report.created += 1,
            Err(message) => {
                let address = &course.ladder.wallet.address;
                let wallet = self.names.get(address).unwrap_or(address).clone();
                report.failed.push(Failed { wallet, message });
            }
        }
        self.voice.done(format!("{} exist now", report.created));
    }

    fn landed(&self) {
        self.report.borrow_mut().transactions += 1;
        self.voice.so_far();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, transactions, left, failed } = self;
        writeln!(
            f,
            "{created} wallets were created in {transactions} transactions; {left} with something in them are left"
        )?;
        for Failed { wallet, message } in failed {
            writeln!(f, "  wallet {wallet} was not created: {message}")?;
        }
        Ok(())
    }
}
