//! What people hear while money moves, and what it comes to: by wallets and by value.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::HumanDuration;

use super::{
    report::{Blocks, Lines, NotMoved, Priced, Report, SHOWN, Total},
    value::{Curve, Values},
};
use crate::evac::sending::{Audience, Course, Line, Outcome, Reason, Voice};

/// What has moved so far.
#[derive(Default)]
struct Tally {
    curve: Curve,
    /// Of which everything has moved, and something.
    whole: u64,
    touched: u64,
    /// Wallets and value.
    not_moved: BTreeMap<Reason, (u64, f64)>,
}

/// See the module.
pub(super) struct Telling {
    voice: Voice,
    values: Values,
    wallets: u64,
    lines: RefCell<Lines>,
    /// The same, where there are so few that each is told.
    few: RefCell<Vec<Line>>,
    tally: RefCell<Tally>,
    ended: Cell<u64>,
    begun: Instant,
}

impl Telling {
    pub(super) fn new(voice: Voice, wallets: u64, values: Values) -> Result<Self> {
        Ok(Self {
            voice,
            values,
            wallets,
            lines: RefCell::new(Lines::new()?),
            few: RefCell::default(),
            tally: RefCell::default(),
            ended: Cell::new(0),
            begun: Instant::now(),
        })
    }

    fn so_far(&self) -> String {
        let (ended, value) = (self.ended.get(), self.tally.borrow().curve.total());
        let percent = self.values.percent(value, false);
        let left = self.wallets.saturating_sub(ended);
        let rate = self.begun.elapsed().as_secs_f64() / ended.max(1) as f64;
        let left = HumanDuration(Duration::try_from_secs_f64(rate * left as f64).unwrap_or_default());
        format!("{percent:.2} % of the value moved, about {left} left")
    }

    /// The transactions in which something moved.
    pub(super) fn transactions(&self) -> Vec<String> {
        self.lines.borrow().transactions()
    }

    /// What it comes to, and how the value moved. `gas`: of all those transactions.
    pub(super) fn end(self, chain: String, gas: Option<u64>) -> (Report, Curve) {
        self.voice.end();
        let (values, Tally { curve, whole, touched, not_moved }) = (self.values, self.tally.into_inner());
        let moved = Total { value_percent: values.percent(curve.total(), not_moved.is_empty()), wallets: whole };
        let not_moved = not_moved.into_iter();
        let not_moved = not_moved.map(|(reason, (wallets, value))| NotMoved { reason, wallets, value });
        let at = |percent| curve.blocks(percent);
        let blocks = || Some(Blocks { p50: at(50.0)?, p90: at(90.0)?, p99: at(99.0)?, p100: at(100.0)? });
        let priced = |(symbol, price): (&str, &evacuation::stream::Price)| {
            (symbol.to_owned(), Priced { price: price.whole().to_owned(), decimals: price.decimals() })
        };
        let report = Report {
            chain,
            wallets: self.lines.into_inner(),
            moved,
            not_moved: not_moved.collect(),
            blocks: blocks(),
            gas_per_wallet: gas.filter(|_| touched > 0).map(|gas| gas / touched),
            value_in: if values.is_priced() { "prices" } else { "percent" },
            prices: values.prices().map(priced).collect(),
        };
        (report, curve)
    }
}

impl Audience for Telling {
    fn takes(&self, lines: Vec<Line>) -> Result<()> {
        self.lines.borrow_mut().add(&lines)?;
        if self.wallets <= SHOWN as u64 {
            self.few.borrow_mut().extend(lines);
        }
        Ok(())
    }

    fn done(&self, course: &Course) {
        let outcomes = course.outcomes();
        self.tally.borrow_mut().add(&self.values, course, &outcomes);
        let mut lines = self.lines.borrow_mut();
        outcomes.iter().for_each(|(line, outcome)| lines.set(*line, outcome));
        drop(lines);
        self.ended.set(self.ended.get() + 1);
        self.voice.done(self.so_far());
        if self.wallets <= SHOWN as u64 {
            let few = self.few.borrow();
            let told = outcomes.iter().filter_map(|(line, outcome)| Some(short(few.get(*line)?, outcome)));
            let told = told.collect::<Vec<_>>().join("\n");
            self.voice.say(&format!("[{}/{}] {told}", self.ended.get(), self.wallets));
        } else {
            self.voice.so_far();
        }
    }

    fn landed(&self) {
        if self.wallets > SHOWN as u64 {
            self.voice.so_far();
        }
    }
}

impl Tally {
    fn add(&mut self, values: &Values, course: &Course, outcomes: &BTreeMap<usize, Outcome>) {
        let (mut whole, mut touched, mut reasons) = (true, false, BTreeSet::new());
        for holding in &course.ladder.holdings {
            let Some(outcome) = outcomes.get(&holding.line) else { continue };
            let worth = values.worth(holding.asset, holding.amount);
            let (done, moved) = match outcome.moved.filter(|_| outcome.status.is_done()) {
                Some((block, amount)) => {
                    let moved = values.worth(holding.asset, amount.min(holding.amount));
                    self.curve.add(block, moved);
                    (true, moved)
                }
                None => (false, 0.0),
            };
            (whole, touched) = (whole && done, touched || done);
            let less = outcome.moved.is_none_or(|(_, amount)| amount < holding.amount);
            if let Some(why) = outcome.why.as_ref().filter(|_| !done || less) {
                let (wallets, value) = self.not_moved.entry(why.reason).or_default();
                *wallets += u64::from(reasons.insert(why.reason));
                *value += worth - moved;
            }
        }
        self.whole += u64::from(whole);
        self.touched += u64::from(touched);
    }
}

/// A line of a log.
fn short(line: &Line, outcome: &Outcome) -> String {
    let Line { id, address: _, asset, to, amount } = line;
    let Outcome { status, tx, moved: _, why } = outcome;
    let tx = tx.as_ref().map(|tx| format!(" in {tx}")).unwrap_or_default();
    let why = why.as_ref().map(|why| format!(": {}", why.message)).unwrap_or_default();
    format!("{id}: {amount} {asset} to {to}: {status:?}{tx}{why}")
}
