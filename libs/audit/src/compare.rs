//! Both signers' chains side by side: which signatures did only one of them make?

use std::collections::BTreeMap;

use chain::hex;
use serde::Serialize;

use crate::{
    export::Export,
    record::{Decision, EVACUATION_SIGN, Record},
};

/// A signature that a chain records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    /// Who signed: `keeper` or `cooler`.
    pub role: String,
    /// The record.
    pub seq: u64,
    /// That signer's clock, Unix milliseconds.
    pub at_ms: u64,
    /// App's name for the wallet.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// What was signed.
    #[serde(with = "hex")]
    pub digest: Vec<u8>,
    /// What was asked.
    pub operation: String,
    /// The request's operation id.
    #[serde(with = "hex")]
    pub operation_id: Vec<u8>,
}

/// What two chains have in common and what not. Of several signatures over one digest the first is shown; each list is
/// in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Digests that both signed.
    pub both: u64,
    /// Cool without hot: alarming, for cool signs only what hot has signed.
    pub cooler_only: Vec<Signature>,
    /// Hot without cool: in flight, cancelled, or refused by Cooler.
    pub keeper_only: Vec<Signature>,
    /// Signatures that move a wallet to the safe place. Hot never makes any, so they are not compared.
    pub evacuations: Vec<Signature>,
}

/// By CAIP-2 chain id and digest.
type Signatures = BTreeMap<(String, Vec<u8>), Signature>;

/// Compares the signatures of two chains of one custody, which [`crate::verify`] has found whole.
pub fn compare(keeper: &Export, cooler: &Export) -> Comparison {
    let (hot, hot_evacuations) = signatures(keeper);
    let (cool, cool_evacuations) = signatures(cooler);
    let both = hot.keys().filter(|key| cool.contains_key(*key)).count() as u64;
    let keeper_only = without(&hot, [&cool, &cool_evacuations]);
    let cooler_only = without(&cool, [&hot, &hot_evacuations]);
    let evacuations = in_time(hot_evacuations.into_values().chain(cool_evacuations.into_values()).collect());
    Comparison { both, cooler_only, keeper_only, evacuations }
}

/// Payments (and cancels), then evacuations.
fn signatures(export: &Export) -> (Signatures, Signatures) {
    let (mut payments, mut evacuations) = (Signatures::new(), Signatures::new());
    for record in export.lines.iter().map(|line| &line.record) {
        if record.decision == Decision::Signed.as_str() && !record.digest.is_empty() {
            let kind = if record.operation == EVACUATION_SIGN { &mut evacuations } else { &mut payments };
            let key = (record.chain.clone(), record.digest.clone());
            kind.entry(key).or_insert_with(|| signature(record));
        }
    }
    (payments, evacuations)
}

fn signature(record: &Record) -> Signature {
    Signature {
        role: record.role.clone(),
        seq: record.seq,
        at_ms: record.at_ms,
        wallet: record.wallet.clone(),
        chain: record.chain.clone(),
        digest: record.digest.clone(),
        operation: record.operation.clone(),
        operation_id: record.operation_id.clone(),
    }
}

fn without(mine: &Signatures, theirs: [&Signatures; 2]) -> Vec<Signature> {
    let missing = mine.iter().filter(|(key, _)| theirs.iter().all(|theirs| !theirs.contains_key(*key)));
    in_time(missing.map(|(_, signature)| signature.clone()).collect())
}

fn in_time(mut signatures: Vec<Signature>) -> Vec<Signature> {
    signatures.sort_by(|a, b| (a.at_ms, a.seq, &a.digest).cmp(&(b.at_ms, b.seq, &b.digest)));
    signatures
}
