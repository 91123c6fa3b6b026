//! Is a chain whole, does it contain the heads that were published earlier, and do two exports of one signer agree?

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    export::{Export, Header, Line},
    record::{Head, hash},
};

/// A chain that is whole: every record is as it was written, none is missing up to the head.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// Its head, computed.
    pub head: Head,
    /// When the first record was written, Unix milliseconds.
    pub first_at_ms: Option<u64>,
    /// When the newest was.
    pub last_at_ms: Option<u64>,
    /// Records by decision.
    pub decisions: BTreeMap<String, u64>,
}

/// The first place where a chain is not as it was written, and what it looks like. `seq` counts places in the file from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "kind")]
pub enum Broken {
    /// A field, the stated hash, or the header's head (of an empty chain: `seq` 0) is another.
    #[error("record {seq}, or what the file says of it, was changed after it was written")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// The chain goes on after a gap, or ends before the header's head.
    #[error("{count} record(s) were removed, the first of them record {seq}")]
    Removed {
        /// The first that is missing.
        seq: u64,
        /// How many.
        count: u64,
    },
    /// A record that the chain around it does not know, or one that is there twice.
    #[error("record {seq} was inserted or is there twice")]
    Inserted {
        /// Which.
        seq: u64,
    },
    /// The record that belongs before it comes later.
    #[error("records were reordered, the first of them at place {seq}")]
    Reordered {
        /// The first place with another record.
        seq: u64,
    },
    /// A record of another signer or custody than the header's.
    #[error("record {seq} names another signer or custody than the header")]
    Foreign {
        /// Which.
        seq: u64,
    },
    /// An earlier head is not in the chain.
    #[error(
        "the published head of {count} record(s) is not in this chain: it was rewritten at or before record {count}"
    )]
    Forked {
        /// Records that the published head counts.
        count: u64,
    },
    /// An earlier head is newer than the chain.
    #[error("a published head counts {published} record(s), but this chain has {count}: it was rolled back or cut")]
    RolledBack {
        /// Records that the published head counts.
        published: u64,
        /// Records in the chain.
        count: u64,
    },
}

/// Verifies that the chain is whole and contains each of `anchors`, heads that left the signer earlier.
///
/// Without anchors a chain that was written anew from some record on is as good as the first: see `docs/audit.md`.
pub fn verify(export: &Export, anchors: &[Head]) -> Result<Verified, Broken> {
    let hashes: Vec<_> = export.lines.iter().map(|line| hash(&line.record)).collect();
    let head = walk(&export.lines, &hashes, &export.header)?;
    ending(&head, &export.header.head)?;
    anchors.iter().try_for_each(|anchor| contains(&hashes, anchor))?;
    let mut decisions = BTreeMap::new();
    for line in &export.lines {
        *decisions.entry(line.record.decision.clone()).or_default() += 1;
    }
    let at_ms = |line: Option<&Line>| line.map(|line| line.record.at_ms);
    let (first_at_ms, last_at_ms) = (at_ms(export.lines.first()), at_ms(export.lines.last()));
    Ok(Verified { head, first_at_ms, last_at_ms, decisions })
}

/// The first record in which two exports of one signer differ; none if one continues the other.
pub fn fork(a: &Export, b: &Export) -> Option<u64> {
    let differ = a.lines.iter().zip(&b.lines).position(|(a, b)| hash(&a.record) != hash(&b.record));
    differ.map(|at| at as u64 + 1)
}

fn walk(lines: &[Line], hashes: &[[u8; 32]], header: &Header) -> Result<Head, Broken> {
    let mut head = Head::EMPTY;
    for (at, (line, hash)) in lines.iter().zip(hashes).enumerate() {
        let seq = at as u64 + 1;
        if line.hash != *hash {
            return Err(Broken::Changed { seq });
        }
        if !follows(line, &head) {
            return Err(diagnose(lines, hashes, at, &head));
        }
        let custody = &line.record.custody_id;
        if line.record.role != header.role || (!custody.is_empty() && *custody != header.custody_id) {
            return Err(Broken::Foreign { seq });
        }
        head = Head { count: seq, hash: *hash };
    }
    Ok(head)
}

fn follows(line: &Line, head: &Head) -> bool {
    line.record.seq == head.count + 1 && line.record.previous == head.hash
}

/// What it looks like that the genuine record at index `at` does not follow `head`.
fn diagnose(lines: &[Line], hashes: &[[u8; 32]], at: usize, head: &Head) -> Broken {
    let (before, later) = (&lines[..at], &lines[at + 1..]);
    let record = &lines[at].record;
    let seq = head.count + 1;
    if hashes[..at].contains(&hashes[at]) {
        return Broken::Inserted { seq };
    }
    if hashes[at + 1..].iter().any(|hash| record.previous == hash) {
        return Broken::Reordered { seq };
    }
    if let Some(sibling) = before.iter().position(|line| line.record.previous == record.previous) {
        return Broken::Inserted { seq: sibling as u64 + 1 };
    }
    if later.iter().any(|line| follows(line, head)) {
        return Broken::Inserted { seq };
    }
    match record.seq.checked_sub(seq) {
        // The record fits its place, so the one before it is not the one that it was written after.
        Some(0) => Broken::Changed { seq: head.count.max(1) },
        Some(count) => Broken::Removed { seq, count },
        None => Broken::Inserted { seq },
    }
}

/// The chain must end where the header says.
fn ending(found: &Head, said: &Head) -> Result<(), Broken> {
    if said.count > found.count {
        return Err(Broken::Removed { seq: found.count + 1, count: said.count - found.count });
    }
    if said.count < found.count {
        return Err(Broken::Inserted { seq: said.count + 1 });
    }
    if said.hash == found.hash { Ok(()) } else { Err(Broken::Changed { seq: found.count }) }
}

fn contains(hashes: &[[u8; 32]], anchor: &Head) -> Result<(), Broken> {
    let (count, published) = (hashes.len() as u64, anchor.count);
    if published > count {
        return Err(Broken::RolledBack { published, count });
    }
    let found = match anchor.count.checked_sub(1) {
        None => Some(&Head::EMPTY.hash),
        Some(at) => usize::try_from(at).ok().and_then(|at| hashes.get(at)),
    };
    if found == Some(&anchor.hash) { Ok(()) } else { Err(Broken::Forked { count: published }) }
}
