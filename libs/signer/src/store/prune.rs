//! What is taken away so that a volume does not fill: stored replies, and announcements whose transaction's claims are
//! settled for good. What prevents a second signature stays: claims, evacuations, intents, freezes, and of each
//! operation a compact row: sender, id, digest, record, outcome. `docs/decisions/0019-what-is-pruned.md`.
//!
//! A step looks on a reader and takes away a bounded number of rows in one short transaction of the writer. Nothing that
//! it looks at can become untrue in between.

use chain::Claim;
use prost::Message;
use protocol::ops::{Outcome, Refused, Response};

use super::{
    error::StoreError,
    ledger::{Ledger, signed},
    operations::DONE,
    used::{Quoted, Used},
    writer::Store,
};

/// How long a stored reply and a settled announcement stay.
pub const KEEP_MS: u64 = 30 * 24 * 3_600_000;
/// Rows that a step looks at; a freeze that comes meanwhile waits for milliseconds.
const AT_ONCE: u32 = 500;
/// Between two rounds over all that may be due.
const PAUSE_MS: u64 = 3_600_000;

/// How far a round has come. In memory only: a round may begin anew at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruning {
    /// Seconds and row of the last reply that was looked at.
    replies: (i64, i64),
    /// The last announcement that was looked at.
    announcements: Vec<u8>,
    /// When the next round begins, Unix milliseconds.
    resume_at_ms: u64,
}

/// What a step took away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Stored replies.
    pub replies: usize,
    /// Announcements.
    pub announcements: usize,
    /// Whether the round is at its end.
    pub ended: bool,
}

/// What a step has found.
struct Due {
    /// Rows of operations, with what came of them.
    replies: Vec<(i64, String)>,
    /// Digests.
    announcements: Vec<[u8; 32]>,
    next: Pruning,
    ended: bool,
}

struct Reply {
    row: i64,
    recorded_at: i64,
    operation_id: Vec<u8>,
    result: Vec<u8>,
    record: Option<i64>,
}

impl Store {
    /// One step of a round; what was stored after [`KEEP_MS`] before `now_ms` stays.
    pub async fn prune(&self, now_ms: u64, pruning: &mut Pruning) -> Result<Pruned, StoreError> {
        if now_ms < pruning.resume_at_ms {
            return Ok(Pruned::default());
        }
        let from = pruning.clone();
        let due = self.look(now_ms, move |ledger| ledger.due(from)).await?;
        let Due { replies, announcements, next, ended } = due;
        let mut pruned = Pruned { ended, ..Pruned::default() };
        if !replies.is_empty() || !announcements.is_empty() {
            (pruned.replies, pruned.announcements) =
                self.decide(now_ms, move |ledger| ledger.take_away(&replies, &announcements)).await?;
        }
        *pruning =
            if ended { Pruning { resume_at_ms: now_ms.saturating_add(PAUSE_MS), ..Pruning::default() } } else { next };
        Ok(pruned)
    }
}

impl Ledger<'_> {
    fn due(&self, from: Pruning) -> Result<Due, StoreError> {
        let before_ms = self.now_ms().saturating_sub(KEEP_MS);
        let replies = self.replies_before(before_ms, from.replies)?;
        let announced = self.announcements_before(before_ms, &from.announcements)?;
        let ended = replies.len() < AT_ONCE as usize && announced.len() < AT_ONCE as usize;
        let next = Pruning {
            replies: replies.last().map_or(from.replies, |last| (last.recorded_at, last.row)),
            announcements: announced.last().map_or(from.announcements, |(digest, ..)| digest.to_vec()),
            resume_at_ms: 0,
        };
        let mut due = Due { replies: Vec::new(), announcements: Vec::new(), next, ended };
        for reply in replies {
            if let Some(outcome) = self.outcome(&reply)? {
                due.replies.push((reply.row, outcome));
            }
        }
        for (digest, wallet, chain) in announced {
            if self.is_done_for_good(&wallet, &chain, &digest)? {
                due.announcements.push(digest);
            }
        }
        Ok(due)
    }

    fn replies_before(&self, before_ms: u64, (seconds, row): (i64, i64)) -> Result<Vec<Reply>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT rowid, recorded_at, operation_id, result, record FROM operations
             WHERE result IS NOT NULL AND recorded_at < ?1 AND (recorded_at, rowid) > (?2, ?3)
             ORDER BY recorded_at, rowid LIMIT ?4",
        )?;
        let rows = query.query_map((signed(before_ms / 1000)?, seconds, row, AT_ONCE), |row| {
            let (recorded_at, operation_id, result) = (row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Reply { row: row.get(0)?, recorded_at, operation_id, result, record: row.get(4)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Digest, wallet and chain of each.
    fn announcements_before(
        &self,
        before_ms: u64,
        after: &[u8],
    ) -> Result<Vec<([u8; 32], String, String)>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT digest, wallet, chain FROM announcements WHERE digest > ?1 AND at_ms < ?2 ORDER BY digest LIMIT ?3",
        )?;
        let rows =
            query.query_map((after, signed(before_ms)?, AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is kept of a reply that is due; nothing: it is not.
    fn outcome(&self, reply: &Reply) -> Result<Option<String>, StoreError> {
        let stored = Response::decode(reply.result.as_slice()).ok().and_then(|response| response.outcome);
        Ok(match stored {
            Some(Outcome::Refused(Refused { reason, .. })) => Some(reason),
            Some(Outcome::Created(_) | Outcome::Registered(_)) => Some(DONE.to_owned()),
            Some(Outcome::Signed(_)) if self.signed_for_good(reply)? => Some(DONE.to_owned()),
            _ => None,
        })
    }

    fn signed_for_good(&self, reply: &Reply) -> Result<bool, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT wallet, chain, id FROM records WHERE number = ?1 AND operation_id = ?2 AND reason IS NULL",
        )?;
        let mut rows = query.query((reply.record, &reply.operation_id))?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let (wallet, chain, id): (String, String, [u8; 32]) = (row.get(0)?, row.get(1)?, row.get(2)?);
        self.is_done_for_good(&wallet, &chain, &id)
    }

    /// Whether a transaction was signed and everything that it uses up is settled for good.
    fn is_done_for_good(&self, wallet: &str, chain: &str, id: &[u8; 32]) -> Result<bool, StoreError> {
        let claims = self.claims_of(wallet, chain, id)?;
        for claim in &claims {
            if !self.is_final(wallet, chain, claim)? {
                return Ok(false);
            }
        }
        Ok(!claims.is_empty())
    }

    /// Whether a claim is used up and stays so. A nonce that is settled for good has used up those before it.
    fn is_final(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<bool, StoreError> {
        match claim {
            Claim::Sequence(nonce) => Ok(*nonce < self.progress(wallet, chain)?.next_final),
            Claim::Coin(..) => Ok(self.settled_for_good(wallet, chain, claim)?.is_some()),
        }
    }

    fn take_away(&self, replies: &[(i64, String)], announcements: &[[u8; 32]]) -> Result<(usize, usize), StoreError> {
        let (mut pruned, mut refusals) = (0, 0);
        for (row, outcome) in replies {
            let rows = self
                .connection
                .prepare_cached(
                    "UPDATE operations SET result = NULL, outcome = ?2 WHERE rowid = ?1 AND result IS NOT NULL",
                )?
                .execute((row, outcome))?;
            pruned += rows;
            refusals += if outcome == DONE { 0 } else { rows as u64 };
        }
        if refusals > 0 {
            let used = self.used(Quoted::Refusals)?;
            self.note_used(Quoted::Refusals, Used { in_all: used.in_all.saturating_sub(refusals), ..used })?;
        }
        let mut taken = 0;
        for digest in announcements {
            taken +=
                self.connection.prepare_cached("DELETE FROM announcements WHERE digest = ?1")?.execute([digest])?;
        }
        Ok((pruned, taken))
    }
}
