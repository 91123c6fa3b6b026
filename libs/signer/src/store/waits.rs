//! Payments that wait for their time lock, what the admin vetoed, and intents that were used.

use std::collections::BTreeSet;

use chain::Claim;
use custody::local_policy::MAX_LAPSE_SECONDS;
use rusqlite::OptionalExtension;

use super::{
    claims::{Watermark, claim, columns},
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};
use crate::veto::VetoScope;

/// Most payments of one wallet that wait at once.
pub const MAX_WAITING_OF_WALLET: usize = 32;
/// Most payments that wait at once.
pub const MAX_WAITING: usize = 4096;

/// A payment that waits, or was vetoed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// What `Sign` would sign.
    pub digest: [u8; 32],
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// What it does, for people.
    pub summary: String,
    /// When its time lock began, Unix milliseconds.
    pub at_ms: u64,
    /// Whether the admin has vetoed it.
    pub vetoed: bool,
    /// Until when it can be signed, Unix milliseconds, while it waits; absent too for what was announced before this was
    /// kept.
    pub lapses_at_ms: Option<u64>,
}

/// A veto that stands until it is lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingVeto {
    /// Whose.
    pub scope: VetoScope,
    /// Wallet id, or address in lower case.
    pub name: String,
    /// Since when, Unix milliseconds.
    pub at_ms: u64,
}

const ANNOUNCEMENT: &str = "SELECT digest, wallet, chain, summary, at_ms, vetoed_at_ms,
    (SELECT max(lapses_at_ms) FROM waiting WHERE waiting.digest = announcements.digest) FROM announcements";

impl Ledger<'_> {
    /// The announcement of a digest.
    pub fn announcement(&self, digest: &[u8; 32]) -> Result<Option<Announcement>, StoreError> {
        let row = self
            .connection
            .prepare_cached(&format!("{ANNOUNCEMENT} WHERE digest = ?1"))?
            .query_row([digest], announcement)
            .optional()?;
        row.transpose()
    }

    /// All of them, oldest first.
    pub fn announcements(&self) -> Result<Vec<Announcement>, StoreError> {
        let mut query = self.connection.prepare(&format!("{ANNOUNCEMENT} ORDER BY at_ms, digest"))?;
        query.query_map([], announcement)?.map(|row| row?).collect()
    }

    /// Those that were neither signed nor have lapsed, oldest first; with what was vetoed.
    pub fn waiting(&self) -> Result<Vec<Announcement>, StoreError> {
        let mut waiting = Vec::new();
        for it in self.announcements()? {
            let lapsed = it.lapses_at_ms.is_some_and(|at| at <= self.now_ms());
            if !lapsed && !self.has_signed_transaction(&it.wallet, &it.chain, &it.digest)? {
                waiting.push(it);
            }
        }
        Ok(waiting)
    }

    /// Begins a time lock now, also of what was announced before. What waited for one of its claims waits no more. False:
    /// too many wait already, and nothing was written.
    pub fn announce(&self, mark: &Watermark, summary: &str) -> Result<bool, StoreError> {
        let mut replaced = self.waiting_for(mark)?;
        replaced.insert(mark.id);
        if self.is_full(&mark.wallet, &replaced)? {
            return Ok(false);
        }
        let long_ago = signed(self.now_ms().saturating_sub(MAX_LAPSE_SECONDS * 1000))?;
        let mut query =
            self.connection.prepare_cached("SELECT DISTINCT digest FROM waiting WHERE lapses_at_ms < ?1")?;
        let lapsed = query.query_map([long_ago], |row| row.get(0))?.collect::<Result<Vec<[u8; 32]>, _>>()?;
        for digest in replaced.iter().chain(&lapsed) {
            self.wait_ended(digest)?;
            self.connection
                .prepare_cached("DELETE FROM announcements WHERE digest = ?1 AND vetoed_at_ms IS NULL")?
                .execute([digest])?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO announcements (digest, wallet, chain, summary, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
            )?
            .execute((mark.id, &mark.wallet, &mark.chain, summary, signed(self.now_ms())?))?;
        Ok(true)
    }

    /// What was announced waits for its claims, and can be signed until it lapses.
    pub fn wait_until(&self, mark: &Watermark, lapses_at_ms: u64) -> Result<(), StoreError> {
        let Watermark { wallet, chain, claims, kind: _, id } = mark;
        for claim in claims {
            let (nonce, coin) = columns(claim)?;
            self.connection
                .prepare_cached(
                    "INSERT INTO waiting (wallet, chain, nonce, coin, digest, lapses_at_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((wallet, chain, nonce, coin, id, signed(lapses_at_ms)?))?;
        }
        Ok(())
    }

    /// It was signed, or never will be by this announcement.
    pub fn wait_ended(&self, digest: &[u8; 32]) -> Result<(), StoreError> {
        self.connection.prepare_cached("DELETE FROM waiting WHERE digest = ?1")?.execute([digest])?;
        Ok(())
    }

    /// What an announced payment waits for; nothing where it waits no more.
    pub(super) fn awaited(&self, digest: &[u8; 32]) -> Result<Vec<Claim>, StoreError> {
        let mut query =
            self.connection.prepare_cached("SELECT nonce, coin FROM waiting WHERE digest = ?1 ORDER BY nonce, coin")?;
        let rows = query.query_map([digest], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| claim(row?)).collect()
    }

    /// What waits for one of these claims of the wallet, be it lapsed.
    pub(super) fn waiting_for(&self, mark: &Watermark) -> Result<BTreeSet<[u8; 32]>, StoreError> {
        let Watermark { wallet, chain, claims, .. } = mark;
        let mut found = BTreeSet::new();
        for claim in claims {
            let (nonce, coin) = columns(claim)?;
            let digest: Option<[u8; 32]> = self
                .connection
                .prepare_cached(
                    "SELECT digest FROM waiting WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3 AND nonce IS NOT NULL
                     UNION ALL
                     SELECT digest FROM waiting WHERE wallet = ?1 AND chain = ?2 AND coin = ?4 AND coin IS NOT NULL",
                )?
                .query_row((wallet, chain, nonce, coin), |row| row.get(0))
                .optional()?;
            found.extend(digest);
        }
        Ok(found)
    }

    /// Whether one more may not wait beside those that it does not replace.
    fn is_full(&self, wallet: &str, replaced: &BTreeSet<[u8; 32]>) -> Result<bool, StoreError> {
        let now = signed(self.now_ms())?;
        let mut query = self
            .connection
            .prepare_cached("SELECT DISTINCT digest FROM waiting WHERE wallet = ?1 AND lapses_at_ms > ?2")?;
        let own = query.query_map((wallet, now), |row| row.get(0))?.collect::<Result<BTreeSet<[u8; 32]>, _>>()?;
        let goes = own.intersection(replaced).count();
        let all: u32 = self
            .connection
            .prepare_cached("SELECT count(DISTINCT digest) FROM waiting WHERE lapses_at_ms > ?1")?
            .query_row([now], |row| row.get(0))?;
        Ok(own.len() - goes >= MAX_WAITING_OF_WALLET || all as usize - goes >= MAX_WAITING)
    }

    /// Vetoes what waits; false: nothing with this digest waits.
    pub fn veto(&self, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let rows = self.connection.execute(
            "UPDATE announcements SET vetoed_at_ms = ?2 WHERE digest = ?1 AND vetoed_at_ms IS NULL",
            (digest, signed(self.now_ms())?),
        )?;
        self.wait_ended(digest)?;
        Ok(rows == 1)
    }

    /// Vetoes what is and will be asked for of a wallet, or to a destination; false: it was vetoed.
    pub fn veto_all_of(&self, scope: VetoScope, name: &str) -> Result<bool, StoreError> {
        let rows = self.connection.execute(
            "INSERT INTO vetoes (scope, name, at_ms) VALUES (?1, lower(?2), ?3) ON CONFLICT DO NOTHING",
            (scope.as_str(), name, signed(self.now_ms())?),
        )?;
        Ok(rows == 1)
    }

    /// The end of that; false: it was not vetoed.
    pub fn lift_veto(&self, scope: VetoScope, name: &str) -> Result<bool, StoreError> {
        let delete = "DELETE FROM vetoes WHERE scope = ?1 AND name = lower(?2)";
        Ok(self.connection.execute(delete, (scope.as_str(), name))? == 1)
    }

    /// The vetoes that stand.
    pub fn vetoes(&self) -> Result<Vec<StandingVeto>, StoreError> {
        let mut query = self.connection.prepare("SELECT scope, name, at_ms FROM vetoes ORDER BY scope, name")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
        rows.map(|row| {
            let (scope, name, at_ms) = row?;
            let scope = if scope == "wallet" { VetoScope::Wallet } else { VetoScope::Destination };
            Ok(StandingVeto { scope, name, at_ms: unsigned(at_ms)? })
        })
        .collect()
    }

    /// Whether such a veto stands.
    pub fn is_vetoed(&self, scope: VetoScope, name: &str) -> Result<bool, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT 1 FROM vetoes WHERE scope = ?1 AND name = lower(?2)")?
            .query_row((scope.as_str(), name), |_| Ok(()));
        Ok(row.optional()?.is_some())
    }

    /// Keeps an intent for one digest; false: another transaction has used it.
    pub fn use_intent(&self, id: &[u8; 16], digest: &[u8; 32]) -> Result<bool, StoreError> {
        self.connection
            .execute("INSERT INTO intents (id, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING", (id, digest))?;
        let used: [u8; 32] =
            self.connection.query_row("SELECT digest FROM intents WHERE id = ?1", [id], |row| row.get(0))?;
        Ok(used == *digest)
    }
}

fn announcement(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Announcement, StoreError>> {
    let (digest, wallet, chain, summary) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let (at, vetoed, lapses) = (row.get(4)?, row.get::<_, Option<i64>>(5)?.is_some(), row.get::<_, Option<i64>>(6)?);
    let read = || {
        let (at_ms, lapses_at_ms) = (unsigned(at)?, lapses.map(unsigned).transpose()?);
        Ok(Announcement { digest, wallet, chain, summary, at_ms, vetoed, lapses_at_ms })
    };
    Ok(read())
}
