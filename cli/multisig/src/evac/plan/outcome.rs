//! What was planned, for people and for machines.

use std::{collections::BTreeMap, fmt, path::Path};

use chain::{Amount, Asset, ChainId, KeyRole, hex};
use evacuation::{
    Merged, States,
    stream::{Draft, Stays, Summary, Why},
};
use serde::{Serialize, Serializer, ser::SerializeSeq};

use super::{Drawn, Outlook, sources::SHOWN};

/// What was planned.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Planned<'a> {
    plan: &'a Path,
    version: u64,
    /// SHA-256 of the file: both signature files are bound to it.
    sha256: String,
    /// Who are to sign.
    owners: [KeyRole; 2],
    #[serde(flatten)]
    moves: Evacuability,
    /// Assets of wallets that stay where they are, and why.
    #[serde(serialize_with = "each_left", skip_serializing_if = "nothing_left")]
    left_out: &'a Draft<'a>,
}

/// What an evacuation comes to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::evac) struct Evacuability {
    pub(in crate::evac) chain: ChainId,
    pub(in crate::evac) block: u64,
    /// Wallets with an address on the chain.
    pub(in crate::evac) read: usize,
    /// Wallets that move.
    pub(in crate::evac) wallets: u64,
    /// Transactions to sign: one for each rung.
    pub(in crate::evac) steps: u64,
    /// Sum of what moves by asset, smallest unit.
    totals: BTreeMap<String, Amount>,
    #[serde(flatten)]
    found: Found,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::evac) outlook: Option<Outlook>,
    /// What stays where it is, by reason.
    not_moved: Vec<NotMoved>,
}

/// What sources and nodes came to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    sources: Vec<Source>,
    /// Records that are not planned with, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<String>,
    /// Assets that could not be read everywhere, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    unreadable: BTreeMap<String, String>,
    #[serde(skip)]
    unreadable_wallets: Vec<u64>,
}

/// Of one file.
#[derive(Debug, Serialize)]
struct Source {
    file: String,
    /// On the chain.
    wallets: u64,
    /// That no other file has.
    only: u64,
}

/// What stays for one reason.
#[derive(Debug, Serialize)]
struct NotMoved {
    reason: String,
    wallets: u64,
    /// In the currency of the prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
}

impl<'a> Planned<'a> {
    pub(super) fn new(
        plan: &'a Path,
        summary: &Summary,
        digest: &[u8; 32],
        drawn: &Drawn<'_>,
        draft: &'a Draft<'a>,
        outlook: Option<Outlook>,
    ) -> Self {
        Self {
            plan,
            version: evacuation::stream::STREAM_VERSION,
            sha256: hex::encode(digest),
            owners: summary.owners.roles(),
            moves: Evacuability::new(drawn, draft, outlook),
            left_out: draft,
        }
    }
}

impl Evacuability {
    pub(in crate::evac) fn new(drawn: &Drawn<'_>, draft: &Draft<'_>, outlook: Option<Outlook>) -> Self {
        let (prepared, header) = (drawn.prepared, draft.header());
        let found = Found::new(&prepared.merged, drawn.states, &prepared.assets);
        Self {
            chain: prepared.chain.clone(),
            block: drawn.block.number,
            read: prepared.merged.roster.len(),
            wallets: header.wallets,
            steps: header.steps,
            totals: header.assets.iter().map(|of| (of.asset.symbol.clone(), of.total)).collect(),
            not_moved: not_moved(draft.stays(), &found),
            found,
            outlook,
        }
    }
}

impl Found {
    pub(super) fn new(merged: &Merged, states: &States, assets: &[Asset]) -> Self {
        let source = |(file, wallets, only): &(String, u64, u64)| Source {
            file: file.clone(),
            wallets: *wallets,
            only: if merged.sources.len() > 1 { *only } else { 0 },
        };
        let unreadable = states.unreadable().map(|(asset, why, _)| (assets[asset].symbol.clone(), why.to_owned()));
        Self {
            sources: merged.sources.iter().map(source).collect(),
            differences: merged.differences.iter().map(ToString::to_string).collect(),
            unreadable: unreadable.collect(),
            unreadable_wallets: states.unreadable().map(|(_, _, wallets)| wallets).collect(),
        }
    }
}

/// By reason, also what could not be read: of how many wallets the asset that most can't be asked for.
fn not_moved(stays: Vec<Stays>, found: &Found) -> Vec<NotMoved> {
    let of = |Stays { reason, wallets, value }| NotMoved { reason, wallets, value };
    let unreadable = found.unreadable_wallets.iter().max();
    let unreadable =
        unreadable.map(|wallets| NotMoved { reason: "unreadable".to_owned(), wallets: *wallets, value: None });
    stays.into_iter().map(of).chain(unreadable).collect()
}

/// One of the plan's list of what stays.
#[derive(Serialize)]
struct Left<'a> {
    wallet: &'a str,
    asset: &'a str,
    amount: Amount,
    reason: String,
}

/// There may be a million: one is in memory at a time.
fn each_left<S: Serializer>(draft: &Draft<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    let all = draft.left_out();
    let mut list = serializer.serialize_seq(Some(all.len()))?;
    for left in all {
        let (wallet, asset, amount, reason) = (left.wallet, left.asset, left.amount, words(&left.why));
        list.serialize_element(&Left { wallet, asset, amount, reason })?;
    }
    list.end()
}

fn nothing_left(draft: &&Draft<'_>) -> bool {
    draft.left_out().len() == 0
}

fn words(why: &Why) -> String {
    match why {
        Why::NextPlan => "the next plan moves it, when this one is broadcast".to_owned(),
        Why::BelowLeastValue => "it is worth less than --least-value".to_owned(),
        Why::BelowCost => "moving it costs more than it is worth".to_owned(),
        Why::Foreign => "something else is at the wallet's address, or its owners have changed".to_owned(),
        Why::Ladder(error) => error.to_string(),
    }
}

impl fmt::Display for Planned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plan, version: _, sha256, owners, moves, left_out } = self;
        let Evacuability { chain, block, read, wallets, steps, outlook, .. } = moves;
        let plan = plan.display();
        writeln!(f, "{plan}: {steps} transactions for {wallets} of {read} wallets on {chain}, read at block {block}")?;
        writeln!(f, "  SHA-256 {sha256}")?;
        for left in left_out.left_out().take(SHOWN) {
            let why = words(&left.why);
            writeln!(f, "  {} {} of wallet {} stay where they are: {why}", left.amount, left.asset, left.wallet)?;
        }
        let left = left_out.left_out().len();
        if left > SHOWN {
            writeln!(f, "  and {} more stay; -o json names each", left - SHOWN)?;
        }
        write!(f, "{moves}")?;
        if *steps == 0 {
            return writeln!(f, "Nothing to move of what was read.");
        }
        if let Some(outlook) = outlook {
            write!(f, "{outlook}")?;
        }
        let [one, other] = owners.map(|owner| match owner {
            KeyRole::Hot => "hot signs it (`keeper evac sign`)",
            KeyRole::Cool => "cool signs it (`cooler evac sign`)",
            KeyRole::Cold => "cold signs it (`multisig-paper evac sign`)",
        });
        writeln!(f, "Next, {one} and {other}, in any order.")
    }
}

/// Sums, what stays, and what was found: the lines that a plan and a status have in common.
impl fmt::Display for Evacuability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (asset, total) in &self.totals {
            writeln!(f, "  {asset}: {total} (smallest unit)")?;
        }
        for reason in &self.not_moved {
            writeln!(f, "  {reason}")?;
        }
        write!(f, "{}", self.found)
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (asset, why) in &self.unreadable {
            writeln!(f, "  {asset} is left where it is, because it can't be read: {why}")?;
        }
        for Source { file, only, .. } in self.sources.iter().filter(|source| source.only > 0) {
            writeln!(f, "  only in {file}: {only} wallets")?;
        }
        Ok(())
    }
}

impl fmt::Display for NotMoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, wallets, value } = self;
        write!(f, "not moved of {wallets} wallets: {reason}")?;
        match value {
            Some(value) => write!(f, ", worth {value:.2}"),
            None => Ok(()),
        }
    }
}
