//! What a broadcast tells: one line for each thing that was to be moved, and what that comes to. The lines wait in a file,
//! so that a million of them are never in memory.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{BufRead, BufReader, BufWriter, Seek, Write},
};

use anyhow::{Context, Result};
use serde::{Serialize, Serializer, ser};

use crate::evac::sending::{Line, Outcome, Reason, Status};

/// Lines that are shown to people; all of them are in the JSON form.
pub(super) const SHOWN: usize = 200;

/// One line of the report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Moved<'a> {
    id: String,
    address: String,
    asset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<&'a str>,
    to: String,
    /// Smallest unit of the asset, decimal.
    amount_wei: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl fmt::Display for Moved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, address: _, asset, tx, to, amount_wei, status, reason: _, message } = self;
        write!(f, "{id}: {amount_wei} {asset} to {to}: {status:?}")?;
        tx.iter().try_for_each(|tx| write!(f, " in {tx}"))?;
        message.iter().try_for_each(|message| write!(f, ": {message}"))
    }
}

/// Texts, each once: a million lines have few different ones.
#[derive(Debug, Default)]
struct Texts {
    places: BTreeMap<String, u32>,
    texts: Vec<String>,
}

impl Texts {
    fn place(&mut self, text: &str) -> u32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.places.insert(text.to_owned(), place);
        self.texts.push(text.to_owned());
        place
    }

    fn at(&self, place: Option<u32>) -> Option<&str> {
        self.texts.get(place? as usize).map(String::as_str)
    }
}

/// What is kept of an outcome.
#[derive(Debug, Clone, Copy)]
struct Kept {
    status: Status,
    reason: Option<Reason>,
    tx: Option<u32>,
    message: Option<u32>,
}

const UNTOUCHED: Kept = Kept { status: Status::Failed, reason: Some(Reason::Unread), tx: None, message: None };

/// All lines, in the order of the plan, and what became of each.
pub(super) struct Lines {
    file: RefCell<BufWriter<File>>,
    kept: Vec<Kept>,
    texts: Texts,
}

impl Lines {
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::tempfile().context("there is no temporary file for the lines of the report")?;
        Ok(Self { file: RefCell::new(BufWriter::new(file)), kept: Vec::new(), texts: Texts::default() })
    }

    /// More lines.
    pub(super) fn add(&mut self, lines: &[Line]) -> Result<()> {
        let file = self.file.get_mut();
        for line in lines {
            let written =
                serde_json::to_writer(&mut *file, line).map_err(Into::into).and_then(|()| file.write_all(b"\n"));
            written.context("the lines of the report can't be kept in the folder for temporary files (TMPDIR)")?;
        }
        self.kept.resize(self.kept.len() + lines.len(), UNTOUCHED);
        Ok(())
    }

    /// What became of one.
    pub(super) fn set(&mut self, line: usize, outcome: &Outcome) {
        let Outcome { status, tx, moved: _, why } = outcome;
        let tx = tx.as_ref().map(|tx| self.texts.place(tx));
        let message = why.as_ref().map(|why| self.texts.place(&why.message));
        if let Some(kept) = self.kept.get_mut(line) {
            *kept = Kept { status: *status, reason: why.as_ref().map(|why| why.reason), tx, message };
        }
    }

    /// The transactions in which something moved, each once.
    pub(super) fn transactions(&self) -> Vec<String> {
        let mut places: Vec<u32> =
            self.kept.iter().filter(|kept| kept.status.is_done()).filter_map(|kept| kept.tx).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().filter_map(|place| self.texts.at(Some(place)).map(str::to_owned)).collect()
    }

    fn done(&self) -> usize {
        self.kept.iter().filter(|kept| kept.status.is_done()).count()
    }

    /// Hands over each line in turn, until `take` has had enough.
    fn each<E>(
        &self,
        wrong: impl Fn(String) -> E,
        mut take: impl FnMut(Moved<'_>) -> Result<bool, E>,
    ) -> Result<(), E> {
        let mut file = self.file.borrow_mut();
        let wrong = |error: &dyn fmt::Display| wrong(format!("the lines of the report can't be read again: {error}"));
        file.flush().and_then(|()| file.get_mut().rewind()).map_err(|error| wrong(&error))?;
        let mut read = BufReader::new(file.get_ref());
        let mut text = String::new();
        for Kept { status, reason, tx, message } in &self.kept {
            text.clear();
            read.read_line(&mut text).map_err(|error| wrong(&error))?;
            let line: Line = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
            let Line { id, address, asset, to, amount } = line;
            let (tx, message, amount_wei) = (self.texts.at(*tx), self.texts.at(*message), amount.to_string());
            let moved = Moved { id, address, asset, tx, to, amount_wei, status: *status, reason: *reason, message };
            if !take(moved)? {
                break;
            }
        }
        Ok(())
    }
}

impl Serialize for Lines {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use ser::SerializeSeq;
        let mut sequence = serializer.serialize_seq(Some(self.kept.len()))?;
        self.each(ser::Error::custom, |moved| sequence.serialize_element(&moved).map(|()| true))?;
        sequence.end()
    }
}

/// What has moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Total {
    /// Of what the plan holds.
    pub(super) value_percent: f64,
    /// Of which everything has moved.
    pub(super) wallets: u64,
}

/// What has not, for one reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct NotMoved {
    pub(super) reason: Reason,
    /// Of which something has not moved for this reason.
    pub(super) wallets: u64,
    /// In the unit that [`Report::value_in`] names.
    pub(super) value: f64,
}

/// After so many blocks this part of what has moved had, the first in which anything did being 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Blocks {
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) p100: u64,
}

/// A price that the plan has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Priced {
    pub(super) price: String,
    pub(super) decimals: u32,
}

/// All of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// Of the chain.
    pub(super) chain: String,
    pub(super) wallets: Lines,
    pub(super) moved: Total,
    pub(super) not_moved: Vec<NotMoved>,
    /// Absent where nothing has moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blocks: Option<Blocks>,
    /// Of the transactions in which something moved, by the wallets of which something did. Absent where the chain does
    /// not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) gas_per_wallet: Option<u64>,
    /// `prices`: the currency of those of the plan; `percent`: of all, each asset counted the same.
    pub(super) value_in: &'static str,
    /// By symbol.
    pub(super) prices: BTreeMap<String, Priced>,
}

impl Report {
    /// Of how many transactions so many are not done.
    pub(super) fn open(&self) -> (usize, usize) {
        let all = self.wallets.kept.len();
        (all - self.wallets.done(), all)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, all) = self.open();
        // Of many, those that people have to look at.
        let (mut shown, few) = (0, all <= SHOWN);
        let lines = self.wallets.each(
            |_| fmt::Error,
            |moved| {
                if few || !moved.status.is_done() {
                    writeln!(f, "{moved}")?;
                    shown += 1;
                }
                Ok(shown < SHOWN)
            },
        );
        lines?;
        if !few && open > SHOWN {
            writeln!(f, "and {} more are not done; -o json names each", open - SHOWN)?;
        }
        let Total { value_percent, wallets } = self.moved;
        write!(f, "{value_percent} % of the value moved, all of it of {wallets} wallets")?;
        match &self.blocks {
            Some(Blocks { p50, p90, p99, p100 }) => {
                writeln!(f, "; half of that in {p50} blocks, 90 % in {p90}, 99 % in {p99}, all in {p100}.")?;
            }
            None => writeln!(f, ".")?,
        }
        for NotMoved { reason, wallets, value } in &self.not_moved {
            let unit = if self.value_in == "percent" { " %" } else { " by the plan's prices" };
            writeln!(f, "Not moved of {wallets} wallets: {value:.4}{unit} ({reason:?}).")?;
        }
        writeln!(f, "{} of {all} transactions are done.", all - open)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evac::sending::Why;

    fn line(id: &str, amount: u128) -> Line {
        let (address, asset, to) = ("0x1".to_owned(), "ETH".to_owned(), "0x2".to_owned());
        Line { id: id.to_owned(), address, asset, to, amount: amount.into() }
    }

    #[test]
    fn lines_come_back_in_order_with_what_became_of_each() {
        let mut lines = Lines::new().unwrap();
        lines.add(&[line("alice", 9), line("bob", 5)]).unwrap();
        let done = Outcome { status: Status::Executed, tx: Some("0xaa".into()), moved: Some((1, 9.into())), why: None };
        lines.set(0, &done);
        lines.add(&[line("carol", 7)]).unwrap();
        lines.set(2, &Outcome::not_moved(Status::Superseded, Why::new(Reason::Superseded, "make a new plan")));
        let expected = json!([
            {"id": "alice", "address": "0x1", "asset": "ETH", "tx": "0xaa", "to": "0x2", "amountWei": "9",
             "status": "executed"},
            {"id": "bob", "address": "0x1", "asset": "ETH", "to": "0x2", "amountWei": "5", "status": "failed",
             "reason": "unread"},
            {"id": "carol", "address": "0x1", "asset": "ETH", "to": "0x2", "amountWei": "7", "status": "superseded",
             "reason": "superseded", "message": "make a new plan"},
        ]);
        for _ in 0..2 {
            assert_eq!(serde_json::to_value(&lines).unwrap(), expected);
        }
        assert_eq!((lines.done(), lines.transactions()), (1, vec!["0xaa".to_owned()]));
    }

    #[test]
    fn of_many_lines_people_are_shown_those_that_are_not_done() {
        let mut wallets = Lines::new().unwrap();
        let all: Vec<Line> = (0..500).map(|number| line(&format!("w{number}"), 1)).collect();
        wallets.add(&all).unwrap();
        for number in 0..250 {
            let done = Outcome { status: Status::Executed, tx: None, moved: Some((1, 1.into())), why: None };
            wallets.set(number, &done);
        }
        let report = Report {
            chain: "eip155:1".to_owned(),
            wallets,
            moved: Total { value_percent: 50.0, wallets: 250 },
            not_moved: vec![NotMoved { reason: Reason::Unread, wallets: 250, value: 50.0 }],
            blocks: None,
            gas_per_wallet: None,
            value_in: "percent",
            prices: BTreeMap::new(),
        };
        let text = report.to_string();
        assert!(!text.contains("w249:") && text.contains("w250:") && text.contains("w449:"), "{text}");
        assert!(!text.contains("w450:") && text.contains("and 50 more are not done; -o json names each"), "{text}");
        assert!(text.ends_with("(Unread).\n250 of 500 transactions are done.\n"), "{text}");
    }
}
