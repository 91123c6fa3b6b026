//! Rolling windows. Sums are kept in buckets of a 64th of each window's length, rounded up, so that a decision reads some
//! dozen rows however much was paid.
//!
//! A window that is new to a store is counted bit by bit, from the newest amount down, while signatures go on: what is
//! signed from then on counts at once, and what is not counted yet is added up by each decision as long as it is little.
//! Where it is much, there is no verdict until it is counted: never one upon a sum that lacks something.

use std::collections::BTreeMap;

use chain::Amount;
use policy::{Payees, Scope, Window};
use rusqlite::{OptionalExtension, ToSql};

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
    spends::{Spend, account},
    writer::Store,
};

/// Buckets of a window.
const BUCKETS: u64 = 64;
/// The bucket of what is not settled.
const OUTSTANDING: i64 = -1;
/// Amounts that one step counts: a few milliseconds, and whoever else waits for the writer has its turn after it.
const STEP: i64 = 500;
/// Amounts that a decision adds up itself at most.
const ADDED_UP: i64 = 1_000;

/// A window whose sums are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InUse {
    length_ms: u64,
    scope: Scope,
    /// Amounts up to this row of the spends are not in its sums yet.
    uncounted: i64,
}

/// Whose sum: the wallet (empty: all wallets'), chain, asset and bucket.
type Sum = (String, String, String, i64);

impl Store {
    /// Begins to count the windows that are new here, and counts some of what was signed before; false: all of it is.
    /// What was counted stays so, whenever the process ends.
    pub async fn count_windows(&self, now_ms: u64, windows: Vec<Window>) -> Result<bool, StoreError> {
        let asked = windows.clone();
        if !self.look(now_ms, move |ledger| ledger.must_count(&asked)).await? {
            return Ok(false);
        }
        let step = move |ledger: &Ledger<'_>| {
            ledger.begin_windows(&windows)?;
            ledger.count_some(STEP)?;
            ledger.must_count(&windows)
        };
        self.decide(now_ms, step).await
    }
}

impl Ledger<'_> {
    /// What counts in a window by now. Fails with [`StoreError::WindowBuilding`] where that takes too long to add up.
    pub fn spent(&self, window: &Window, wallet: &str, chain: &str, asset: &str) -> Result<Amount, StoreError> {
        // A bucket counts until its last moment is a window ago.
        let since = self.since(window.length_ms)?;
        let mut query = self.connection.prepare_cached(
            "SELECT amount FROM sums WHERE length_ms = ?1 AND wallet = ?2 AND chain = ?3 AND asset IN (?4, ?5)
             AND (bucket >= ?6 OR bucket = -1)",
        )?;
        let accounts = match window.payees {
            Payees::All => [account(asset, Payees::External), account(asset, Payees::Internal)],
            one => [account(asset, one), account(asset, one)],
        };
        let [one, other] = &accounts;
        let first = since / signed(width(window.length_ms))?;
        let key = (signed(window.length_ms)?, scope(window.scope, wallet), chain, one, other, first);
        let rows = query.query_map(key, |row| row.get(0))?;
        let counted = rows
            .map(|row| Ok(Amount::from_be_bytes(row?)))
            .try_fold(Amount::ZERO, |sum, amount: Result<_, StoreError>| add(sum, amount?))?;
        match self.uncounted(window)? {
            0 => Ok(counted),
            row => add(counted, self.added_up(window.scope, row, (wallet, chain, &accounts), since)?),
        }
    }

    /// The last of the amounts that are not in a window's sums; 0: all are. Of a window that is not in use, none is.
    fn uncounted(&self, window: &Window) -> Result<i64, StoreError> {
        let row: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT ifnull((SELECT uncounted FROM windows WHERE length_ms = ?1 AND scope = ?2),
                               (SELECT max(rowid) FROM spends))",
            )?
            .query_row((signed(window.length_ms)?, name(window.scope)), |row| row.get(0))?;
        Ok(row.unwrap_or_default())
    }

    /// What counts of the amounts up to a row.
    fn added_up(
        &self,
        of: Scope,
        row: i64,
        (wallet, chain, accounts): (&str, &str, &[String; 2]),
        since: i64,
    ) -> Result<Amount, StoreError> {
        if of == Scope::Total && row > ADDED_UP {
            return Err(StoreError::WindowBuilding);
        }
        let (these, with): (_, &[&dyn ToSql]) = match of {
            Scope::Total => ("chain = ?1 AND rowid <= ?2", &[&chain, &row]),
            Scope::Wallet => ("wallet = ?1 AND chain = ?2", &[&wallet, &chain]),
        };
        // SQLite would prepare a statement anew whose limit is a parameter.
        let most = ADDED_UP + 1;
        let query = format!("SELECT asset, amount, counts_from_ms, rowid FROM spends WHERE {these} LIMIT {most}");
        let mut query = self.connection.prepare_cached(&query)?;
        let mut rows = query.query(with)?;
        let (mut sum, mut seen) = (Amount::ZERO, 0);
        while let Some(found) = rows.next()? {
            seen += 1;
            if seen > ADDED_UP {
                return Err(StoreError::WindowBuilding);
            }
            let (asset, from): (String, Option<i64>) = (found.get(0)?, found.get(2)?);
            if found.get::<_, i64>(3)? <= row && accounts.contains(&asset) && from.is_none_or(|from| from >= since) {
                sum = add(sum, Amount::from_be_bytes(found.get(1)?))?;
            }
        }
        Ok(sum)
    }

    /// The first moment of the oldest bucket that counts, Unix milliseconds.
    fn since(&self, length_ms: u64) -> Result<i64, StoreError> {
        let width = width(length_ms);
        signed(self.now_ms().saturating_sub(length_ms) / width * width)
    }

    /// Whether one of these windows is not in use, or one in use is not counted.
    fn must_count(&self, windows: &[Window]) -> Result<bool, StoreError> {
        let in_use = self.windows_in_use()?;
        let known =
            |window: &Window| in_use.iter().any(|it| (it.length_ms, it.scope) == (window.length_ms, window.scope));
        Ok(!windows.iter().all(known) || in_use.iter().any(|window| window.uncounted > 0))
    }

    /// From now on what is signed counts in these windows.
    pub(super) fn begin_windows(&self, windows: &[Window]) -> Result<(), StoreError> {
        let mut begin = self.connection.prepare_cached(
            "INSERT INTO windows (length_ms, scope, uncounted)
             VALUES (?1, ?2, (SELECT ifnull(max(rowid), 0) FROM spends)) ON CONFLICT DO NOTHING",
        )?;
        for window in windows {
            begin.execute((signed(window.length_ms)?, name(window.scope)))?;
        }
        Ok(())
    }

    /// Counts the next `rows` amounts in a window that lacks some.
    pub(super) fn count_some(&self, rows: i64) -> Result<(), StoreError> {
        let Some(window) = self.windows_in_use()?.into_iter().find(|window| window.uncounted > 0) else {
            return Ok(());
        };
        let left = window.uncounted.saturating_sub(rows).max(0);
        let since = self.since(window.length_ms)?;
        let mut query = self.connection.prepare_cached(
            "SELECT wallet, chain, asset, counts_from_ms, amount FROM spends
             WHERE rowid > ?1 AND rowid <= ?2 AND (counts_from_ms IS NULL OR counts_from_ms >= ?3)",
        )?;
        let mut found = query.query((left, window.uncounted, since))?;
        let mut sums: BTreeMap<Sum, Amount> = BTreeMap::new();
        while let Some(row) = found.next()? {
            let (wallet, from): (String, Option<i64>) = (row.get(0)?, row.get(3)?);
            let key = (
                scope(window.scope, &wallet).to_owned(),
                row.get(1)?,
                row.get(2)?,
                bucket(window.length_ms, from.map(unsigned).transpose()?)?,
            );
            let sum = sums.entry(key).or_insert(Amount::ZERO);
            *sum = add(*sum, Amount::from_be_bytes(row.get(4)?))?;
        }
        for ((wallet, chain, asset, bucket), more) in sums {
            self.change_sum(window.length_ms, (&wallet, &chain, &asset, bucket), |sum| add(sum, more))?;
        }
        self.connection
            .prepare_cached("UPDATE windows SET uncounted = ?3 WHERE length_ms = ?1 AND scope = ?2")?
            .execute((signed(window.length_ms)?, name(window.scope), left))?;
        Ok(())
    }

    fn windows_in_use(&self) -> Result<Vec<InUse>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT length_ms, scope, uncounted FROM windows")?;
        let rows =
            query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))?;
        rows.map(|row| {
            let (length_ms, scope, uncounted) = row?;
            let scope = if scope == name(Scope::Total) { Scope::Total } else { Scope::Wallet };
            Ok(InUse { length_ms: unsigned(length_ms)?, scope, uncounted })
        })
        .collect()
    }

    pub(super) fn each_window(&self, act: impl Fn(InUse) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.windows_in_use()?.into_iter().try_for_each(act)
    }

    pub(super) fn put(&self, window: InUse, spend: &Spend, counts_from_ms: Option<u64>) -> Result<(), StoreError> {
        if counts_from_ms.is_some() {
            self.forget(window, spend)?;
        }
        self.change(window, spend, bucket(window.length_ms, counts_from_ms)?, |sum| add(sum, spend.amount))
    }

    /// Buckets that count no more.
    fn forget(&self, window: InUse, spend: &Spend) -> Result<(), StoreError> {
        let InUse { length_ms, scope: of, .. } = window;
        let first = signed(self.now_ms().saturating_sub(length_ms) / width(length_ms))?;
        self.connection
            .prepare_cached(
                "DELETE FROM sums
                 WHERE length_ms = ?1 AND wallet = ?2 AND chain = ?3 AND asset = ?4 AND bucket >= 0 AND bucket < ?5",
            )?
            .execute((signed(length_ms)?, scope(of, &spend.wallet), &spend.chain, &spend.asset, first))?;
        Ok(())
    }

    pub(super) fn take(&self, window: InUse, spend: &Spend) -> Result<(), StoreError> {
        let short = || StoreError::Failed("an outstanding sum is below one of its amounts".to_owned());
        self.change(window, spend, OUTSTANDING, |sum| sum.checked_sub(spend.amount).ok_or_else(short))
    }

    /// Takes an amount out of the bucket that it counts in from a time on. A bucket that counts no more may be gone, or no
    /// longer have it; one that has less than it should keeps what it has: a sum is never too low.
    pub(super) fn take_counted(&self, window: InUse, spend: &Spend, counts_from_ms: u64) -> Result<(), StoreError> {
        let width = width(window.length_ms);
        if counts_from_ms / width < self.now_ms().saturating_sub(window.length_ms) / width {
            return Ok(());
        }
        let bucket = bucket(window.length_ms, Some(counts_from_ms))?;
        self.change(window, spend, bucket, |sum| Ok(sum.checked_sub(spend.amount).unwrap_or(sum)))
    }

    /// What is not counted yet will be, as it is by then.
    fn change(
        &self,
        window: InUse,
        spend: &Spend,
        bucket: i64,
        change: impl FnOnce(Amount) -> Result<Amount, StoreError>,
    ) -> Result<(), StoreError> {
        if window.uncounted > 0 && self.row_of(spend)? <= window.uncounted {
            return Ok(());
        }
        let wallet = scope(window.scope, &spend.wallet);
        self.change_sum(window.length_ms, (wallet, &spend.chain, &spend.asset, bucket), change)
    }

    fn row_of(&self, spend: &Spend) -> Result<i64, StoreError> {
        let Spend { wallet, chain, id, asset, .. } = spend;
        Ok(self
            .connection
            .prepare_cached("SELECT rowid FROM spends WHERE wallet = ?1 AND chain = ?2 AND id = ?3 AND asset = ?4")?
            .query_row((wallet, chain, id, asset), |row| row.get(0))?)
    }

    fn change_sum(
        &self,
        length_ms: u64,
        (wallet, chain, asset, bucket): (&str, &str, &str, i64),
        change: impl FnOnce(Amount) -> Result<Amount, StoreError>,
    ) -> Result<(), StoreError> {
        let length_ms = signed(length_ms)?;
        let present: Option<[u8; 32]> = self
            .connection
            .prepare_cached(
                "SELECT amount FROM sums
                 WHERE length_ms = ?1 AND wallet = ?2 AND chain = ?3 AND asset = ?4 AND bucket = ?5",
            )?
            .query_row((length_ms, wallet, chain, asset, bucket), |row| row.get(0))
            .optional()?;
        let sum = change(present.map_or(Amount::ZERO, Amount::from_be_bytes))?;
        self.connection
            .prepare_cached(
                "INSERT INTO sums (length_ms, wallet, chain, asset, bucket, amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (length_ms, wallet, chain, asset, bucket) DO UPDATE SET amount = excluded.amount",
            )?
            .execute((length_ms, wallet, chain, asset, bucket, sum.to_be_bytes()))?;
        Ok(())
    }
}

fn name(of: Scope) -> &'static str {
    if of == Scope::Total { "total" } else { "wallet" }
}

fn scope(of: Scope, wallet: &str) -> &str {
    if of == Scope::Total { "" } else { wallet }
}

fn width(length_ms: u64) -> u64 {
    (length_ms / BUCKETS).max(1)
}

fn bucket(length_ms: u64, counts_from_ms: Option<u64>) -> Result<i64, StoreError> {
    counts_from_ms.map_or(Ok(OUTSTANDING), |from| signed(from / width(length_ms)))
}

/// A sum beyond 256 bits is refused rather than wrapped: nothing more is signed.
fn add(sum: Amount, amount: Amount) -> Result<Amount, StoreError> {
    sum.checked_add(amount).ok_or_else(|| StoreError::Failed("a sum of amounts exceeds 256 bits".to_owned()))
}

#[cfg(test)]
mod tests;
