//! Outstanding money. A signature without expiry is money gone: its amount counts from then on in every rolling window,
//! until its settlement is attested, and a window longer. Sums are kept in buckets of a 64th of each window's length,
//! rounded up, so that a decision reads some dozen rows however much was paid.

use chain::{Amount, Claim};
use policy::{Payees, Scope, Window};
use rusqlite::OptionalExtension;

use super::{
    claims::columns,
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// Buckets of a window.
const BUCKETS: u64 = 64;
/// The bucket of what is not settled.
const OUTSTANDING: i64 = -1;

/// What a signed transaction moves of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// The transaction's id.
    pub id: [u8; 32],
    /// By which name it counts: see [`account`].
    pub asset: String,
    /// In the smallest unit.
    pub amount: Amount,
    /// Where all of it goes, display form; `None`: to several places, or it is not known.
    pub to: Option<String>,
}

/// A signed amount whose settlement is not attested yet.
pub(super) struct Outstanding {
    pub(super) spend: Spend,
    pub(super) signed_at_ms: u64,
    /// It uses up the very claim that was asked about, and not an earlier nonce.
    pub(super) same_claim: bool,
}

/// By which name amounts of an asset are counted: its symbol, or, for payments to wallets of the custody alone, the
/// symbol after `internal:`, which no symbol contains.
pub fn account(symbol: &str, payees: Payees) -> String {
    match payees {
        Payees::Internal => format!("internal:{symbol}"),
        Payees::External | Payees::All => symbol.to_owned(),
    }
}

/// A window in use.
type InUse = (u64, Scope);

impl Ledger<'_> {
    /// What counts in a window by now. A window that was not in use before is counted from the spends.
    pub fn spent(&self, window: &Window, wallet: &str, chain: &str, asset: &str) -> Result<Amount, StoreError> {
        self.count_window((window.length_ms, window.scope))?;
        let now = self.now_ms();
        // A bucket counts until its last moment is a window ago.
        let width = width(window.length_ms);
        let first = signed(now.saturating_sub(window.length_ms) / width)?;
        let mut query = self.connection.prepare_cached(
            "SELECT amount FROM sums WHERE length_ms = ?1 AND wallet = ?2 AND chain = ?3 AND asset IN (?4, ?5)
             AND (bucket >= ?6 OR bucket = -1)",
        )?;
        let scope = scope(window.scope, wallet);
        let (one, other) = match window.payees {
            Payees::All => (account(asset, Payees::External), account(asset, Payees::Internal)),
            one => (account(asset, one), account(asset, one)),
        };
        let rows = query.query_map((signed(window.length_ms)?, scope, chain, one, other, first), |row| row.get(0))?;
        rows.map(|row| Ok(Amount::from_be_bytes(row?)))
            .try_fold(Amount::ZERO, |sum, amount: Result<_, StoreError>| add(sum, amount?))
    }

    /// Counts a signed amount; one that counts already is not counted twice. `outstanding`: until its settlement is
    /// attested; else from now on.
    pub fn spend(&self, spend: &Spend, outstanding: bool) -> Result<(), StoreError> {
        let Spend { wallet, chain, id, asset, amount, to } = spend;
        let now = self.now_ms();
        let counts_from = (!outstanding).then(|| signed(now)).transpose()?;
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO spends (wallet, chain, id, asset, amount, signed_at_ms, counts_from_ms, destination)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )?
            .execute((wallet, chain, id, asset, amount.to_be_bytes(), signed(now)?, counts_from, to))?;
        if rows == 0 {
            return Ok(());
        }
        self.each_window(|window| self.put(window, spend, (!outstanding).then_some(now)))
    }

    /// What uses up this claim, or an earlier nonce, and is outstanding.
    pub(super) fn outstanding(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<Vec<Outstanding>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT s.wallet, s.id, s.asset, s.amount, s.signed_at_ms, c.nonce IS ?3 AND c.coin IS ?4
             FROM spends s JOIN claims c ON c.wallet = s.wallet AND c.chain = s.chain AND c.id = s.id
             WHERE s.chain = ?2 AND s.counts_from_ms IS NULL
             AND (s.wallet = ?1 AND c.nonce <= ?3 OR c.coin = ?4)",
        )?;
        let (nonce, coin) = columns(claim)?;
        let rows = query.query_map((wallet, chain, nonce, coin), |row| {
            let (wallet, asset, chain) = (row.get(0)?, row.get(2)?, chain.to_owned());
            let amount = Amount::from_be_bytes(row.get(3)?);
            let spend = Spend { wallet, chain, id: row.get(1)?, asset, amount, to: None };
            Ok((spend, row.get::<_, i64>(4)?, row.get(5)?))
        })?;
        rows.map(|row| {
            let (spend, signed_at_ms, same_claim) = row?;
            Ok(Outstanding { spend, signed_at_ms: unsigned(signed_at_ms)?, same_claim })
        })
        .collect()
    }

    /// From outstanding to counting from a time on.
    pub(super) fn settle_spend(&self, spend: &Spend, counts_from_ms: u64) -> Result<(), StoreError> {
        let Spend { wallet, chain, id, asset, .. } = spend;
        self.connection.execute(
            "UPDATE spends SET counts_from_ms = ?5 WHERE wallet = ?1 AND chain = ?2 AND id = ?3 AND asset = ?4",
            (wallet, chain, id, asset, signed(counts_from_ms)?),
        )?;
        self.each_window(|window| {
            self.take(window, spend)?;
            self.put(window, spend, Some(counts_from_ms))
        })
    }

    fn each_window(&self, act: impl Fn(InUse) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut query = self.connection.prepare_cached("SELECT length_ms, scope FROM windows")?;
        let rows = query.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (length, scope) = row?;
            act((unsigned(length)?, if scope == "total" { Scope::Total } else { Scope::Wallet }))?;
        }
        Ok(())
    }

    /// Begins to count a window, with all that would have counted in it.
    fn count_window(&self, window: InUse) -> Result<(), StoreError> {
        let (length_ms, of) = window;
        let scope = if of == Scope::Total { "total" } else { "wallet" };
        let known = self
            .connection
            .prepare_cached("SELECT 1 FROM windows WHERE length_ms = ?1 AND scope = ?2")?
            .query_row((signed(length_ms)?, scope), |_| Ok(()))
            .optional()?;
        if known.is_some() {
            return Ok(());
        }
        self.connection
            .execute("INSERT INTO windows (length_ms, scope) VALUES (?1, ?2)", (signed(length_ms)?, scope))?;
        // From the first moment of the oldest bucket that counts, so that the sum is the one of a window long in use.
        let width = width(length_ms);
        let since = signed(self.now_ms().saturating_sub(length_ms) / width * width)?;
        let mut query = self.connection.prepare(
            "SELECT wallet, chain, asset, amount, counts_from_ms FROM spends
             WHERE counts_from_ms IS NULL OR counts_from_ms >= ?1",
        )?;
        let rows = query.query_map([since], |row| {
            let from: Option<i64> = row.get(4)?;
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, [u8; 32]>(3)?, from))
        })?;
        for row in rows {
            let (wallet, chain, asset, sum, from) = row?;
            let spend = Spend { wallet, chain, id: [0; 32], asset, amount: Amount::from_be_bytes(sum), to: None };
            self.put(window, &spend, from.map(unsigned).transpose()?)?;
        }
        Ok(())
    }

    fn put(&self, window: InUse, spend: &Spend, counts_from_ms: Option<u64>) -> Result<(), StoreError> {
        let bucket = match counts_from_ms {
            None => OUTSTANDING,
            Some(from) => {
                self.forget(window, spend)?;
                signed(from / width(window.0))?
            }
        };
        self.change(window, spend, bucket, |sum| add(sum, spend.amount))
    }

    /// Buckets that count no more.
    fn forget(&self, (length_ms, of): InUse, spend: &Spend) -> Result<(), StoreError> {
        let first = signed(self.now_ms().saturating_sub(length_ms) / width(length_ms))?;
        self.connection
            .prepare_cached(
                "DELETE FROM sums
                 WHERE length_ms = ?1 AND wallet = ?2 AND chain = ?3 AND asset = ?4 AND bucket >= 0 AND bucket < ?5",
            )?
            .execute((signed(length_ms)?, scope(of, &spend.wallet), &spend.chain, &spend.asset, first))?;
        Ok(())
    }

    fn take(&self, window: InUse, spend: &Spend) -> Result<(), StoreError> {
        let short = || StoreError::Failed("an outstanding sum is below one of its amounts".to_owned());
        self.change(window, spend, OUTSTANDING, |sum| sum.checked_sub(spend.amount).ok_or_else(short))
    }

    fn change(
        &self,
        (length_ms, of): InUse,
        spend: &Spend,
        bucket: i64,
        change: impl FnOnce(Amount) -> Result<Amount, StoreError>,
    ) -> Result<(), StoreError> {
        let (length_ms, wallet) = (signed(length_ms)?, scope(of, &spend.wallet));
        let key = (length_ms, wallet, &spend.chain, &spend.asset, bucket);
        let present: Option<[u8; 32]> = self
            .connection
            .prepare_cached(
                "SELECT amount FROM sums
                 WHERE length_ms = ?1 AND wallet = ?2 AND chain = ?3 AND asset = ?4 AND bucket = ?5",
            )?
            .query_row(key, |row| row.get(0))
            .optional()?;
        let sum = change(present.map_or(Amount::ZERO, Amount::from_be_bytes))?;
        self.connection
            .prepare_cached(
                "INSERT INTO sums (length_ms, wallet, chain, asset, bucket, amount) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (length_ms, wallet, chain, asset, bucket) DO UPDATE SET amount = excluded.amount",
            )?
            .execute((length_ms, wallet, &spend.chain, &spend.asset, bucket, sum.to_be_bytes()))?;
        Ok(())
    }
}

fn scope(of: Scope, wallet: &str) -> &str {
    if of == Scope::Total { "" } else { wallet }
}

fn width(length_ms: u64) -> u64 {
    (length_ms / BUCKETS).max(1)
}

/// A sum beyond 256 bits is refused rather than wrapped: nothing more is signed.
fn add(sum: Amount, amount: Amount) -> Result<Amount, StoreError> {
    sum.checked_add(amount).ok_or_else(|| StoreError::Failed("a sum of amounts exceeds 256 bits".to_owned()))
}
