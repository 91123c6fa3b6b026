//! The signing history, out of the tables and into them. An import is a union: what is here stays, a freeze and a veto
//! too, and of two accounts of the same thing the stricter one.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use chain::{Amount, hex::Hex};
use rusqlite::{OptionalExtension, Params, Row};

use super::{
    Ledger, StoreError,
    ledger::{signed, unsigned},
};
use crate::history::{
    Announced, Evacuated, Freeze, History, HistoryError, Kind, SettledAt, SignedAt, Spent, UsedIntent, WalletHistory,
    conflict,
};

/// A wallet on a chain.
type Place = (String, String);

impl Ledger<'_> {
    /// Fills `history`, whose header says whose it is.
    pub fn history(&self, mut history: History) -> Result<History, StoreError> {
        let mut wallets: BTreeMap<Place, WalletHistory> = BTreeMap::new();
        let marks = "SELECT wallet, chain, nonce, kind, digest FROM watermarks ORDER BY nonce, kind DESC, digest";
        for (place, row) in self.rows(marks, |row| {
            let kind = if row.get::<_, String>(3)? == "payment" { Kind::Payment } else { Kind::Cancel };
            Ok((place(row)?, SignedAt { nonce: number(row, 2)?, kind, digest: Hex(row.get(4)?) }))
        })? {
            wallets.entry(place).or_default().signed.push(row);
        }
        let settled = "SELECT wallet, chain, nonce, digest, at_ms FROM settlements ORDER BY nonce";
        for (place, row) in self.rows(settled, |row| {
            Ok((place(row)?, SettledAt { nonce: number(row, 2)?, digest: Hex(row.get(3)?), at_ms: number(row, 4)? }))
        })? {
            wallets.entry(place).or_default().settled.push(row);
        }
        let spends = "SELECT wallet, chain, nonce, digest, asset, amount, signed_at_ms, counts_from_ms FROM spends
                      ORDER BY nonce, digest";
        for (place, row) in self.rows(spends, |row| Ok((place(row)?, spent(row)?)))? {
            wallets.entry(place).or_default().spends.push(row);
        }
        history.wallets =
            wallets.into_iter().map(|((wallet, chain), it)| WalletHistory { wallet, chain, ..it }).collect();
        self.beside(history)
    }

    /// What belongs to no nonce.
    fn beside(&self, mut history: History) -> Result<History, StoreError> {
        history.evacuations = self.rows("SELECT digest, chain, address FROM evacuations ORDER BY digest", |row| {
            Ok(Evacuated { digest: Hex(row.get(0)?), chain: row.get(1)?, address: row.get(2)? })
        })?;
        history.intents = self.rows("SELECT id, digest FROM intents ORDER BY id", |row| {
            Ok(UsedIntent { id: Hex(row.get(0)?), digest: Hex(row.get(1)?) })
        })?;
        history.freezes = self.rows("SELECT wallet, requester, reason, at_ms FROM freezes ORDER BY wallet", |row| {
            let (wallet, requester, reason) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Freeze { wallet, requester, reason, at_ms: number(row, 3)? })
        })?;
        let announcements = "SELECT digest, wallet, chain, summary, at_ms, vetoed_at_ms FROM announcements
                             ORDER BY at_ms, digest";
        history.announcements = self.rows(announcements, |row| {
            Ok(Announced {
                digest: Hex(row.get(0)?),
                wallet: row.get(1)?,
                chain: row.get(2)?,
                summary: row.get(3)?,
                at_ms: number(row, 4)?,
                vetoed_at_ms: maybe(row, 5)?,
            })
        })?;
        Ok(history)
    }

    fn rows<T>(&self, query: &str, read: impl Fn(&Row<'_>) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
        let mut query = self.connection.prepare(query)?;
        query.query_map([], |row| Ok(read(row)))?.map(|row| row?).collect()
    }

    /// Adds a history that has been parsed, or says why not and writes nothing. False: all of it was here.
    pub fn import(&self, history: &History) -> Result<Result<bool, HistoryError>, StoreError> {
        if let Some(refused) = self.contradicted(history)? {
            return Ok(Err(refused));
        }
        let mut changed = 0;
        for wallet in &history.wallets {
            changed += self.import_wallet(wallet)?;
        }
        changed += self.import_beside(history)?;
        if changed > 0 {
            // Counted anew from the spends when next asked for.
            self.connection.execute_batch("DELETE FROM sums; DELETE FROM windows")?;
        }
        Ok(Ok(changed > 0))
    }

    /// Whether it says something else than the store, or less.
    fn contradicted(&self, history: &History) -> Result<Option<HistoryError>, StoreError> {
        for it in &history.wallets {
            if let Some(what) = self.differs(it)? {
                return Ok(Some(conflict(what)));
            }
        }
        for UsedIntent { id, digest } in &history.intents {
            let used: Option<[u8; 32]> = self.one("SELECT digest FROM intents WHERE id = ?1", [id.0])?;
            if used.is_some_and(|used| used != digest.0) {
                return Ok(Some(conflict(format!("intent {id}"))));
            }
        }
        let known: BTreeMap<_, _> = history.wallets.iter().map(|it| ((&it.wallet, &it.chain), it.highest())).collect();
        let own = "SELECT wallet, chain, max(nonce) FROM
                   (SELECT wallet, chain, nonce FROM watermarks UNION ALL SELECT wallet, chain, nonce FROM settlements)
                   GROUP BY wallet, chain";
        for ((wallet, chain), own) in self.rows(own, |row| Ok((place(row)?, number(row, 2)?)))? {
            let theirs = known.get(&(&wallet, &chain)).copied().flatten();
            if theirs.is_none_or(|theirs| theirs < own) {
                let theirs = theirs.map_or("none".to_owned(), |theirs| theirs.to_string());
                return Ok(Some(HistoryError::Older { wallet, chain, theirs, own }));
            }
        }
        Ok(None)
    }

    fn differs(&self, it: &WalletHistory) -> Result<Option<String>, StoreError> {
        let WalletHistory { wallet, chain, signed: marks, settled, spends } = it;
        let at =
            |what: &str, nonce: u64| Ok(Some(format!("the {what} at nonce {nonce} of wallet {wallet} on {chain}")));
        for SignedAt { nonce, digest, .. } in marks.iter().filter(|it| it.kind == Kind::Payment) {
            if self.nonces(wallet, chain, *nonce)?.payment.is_some_and(|payment| payment != digest.0) {
                return at("payment", *nonce);
            }
        }
        for SettledAt { nonce, digest, .. } in settled {
            if self.settled(wallet, chain, *nonce)?.is_some_and(|known| known != digest.0) {
                return at("settlement", *nonce);
            }
        }
        for Spent { nonce, digest, asset, amount, .. } in spends {
            let known: Option<i64> = self.one(
                "SELECT 1 FROM spends WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3 AND digest = ?4
                 AND (asset <> ?5 OR amount <> ?6)",
                (wallet, chain, signed(*nonce)?, digest.0, asset, bytes(*amount)),
            )?;
            if known.is_some() {
                return at("amount", *nonce);
            }
        }
        Ok(None)
    }

    fn import_wallet(&self, it: &WalletHistory) -> Result<usize, StoreError> {
        let WalletHistory { wallet, chain, signed: marks, settled, spends } = it;
        let mut changed = 0;
        for SignedAt { nonce, kind, digest } in marks {
            let kind = if *kind == Kind::Payment { "payment" } else { "cancel" };
            changed += self.connection.execute(
                "INSERT INTO watermarks (wallet, chain, nonce, kind, digest) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (wallet, chain, nonce, kind, digest) DO NOTHING",
                (wallet, chain, signed(*nonce)?, kind, digest.0),
            )?;
        }
        for SettledAt { nonce, digest, at_ms } in settled {
            changed += self.connection.execute(
                "INSERT INTO settlements (wallet, chain, nonce, digest, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO NOTHING",
                (wallet, chain, signed(*nonce)?, digest.0, signed(*at_ms)?),
            )?;
        }
        for spent in spends {
            changed += self.import_spend(wallet, chain, spent)?;
        }
        // What was outstanding on one side only and is used up on the other counts from now.
        changed += self.connection.execute(
            "UPDATE spends SET counts_from_ms = ?3 WHERE wallet = ?1 AND chain = ?2 AND counts_from_ms IS NULL
             AND nonce <= (SELECT max(nonce) FROM settlements WHERE wallet = ?1 AND chain = ?2)",
            (wallet, chain, signed(self.now_ms())?),
        )?;
        Ok(changed)
    }

    /// Of two times from which an amount counts, the later one.
    fn import_spend(&self, wallet: &str, chain: &str, spent: &Spent) -> Result<usize, StoreError> {
        let Spent { nonce, digest, asset, amount, signed_at_ms, counts_from_ms } = spent;
        let (signed_at, from) = (signed(*signed_at_ms)?, counts_from_ms.map(signed).transpose()?);
        Ok(self.connection.execute(
            "INSERT INTO spends (wallet, chain, nonce, digest, asset, amount, signed_at_ms, counts_from_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET counts_from_ms = excluded.counts_from_ms
             WHERE excluded.counts_from_ms > counts_from_ms",
            (wallet, chain, signed(*nonce)?, digest.0, asset, bytes(*amount), signed_at, from),
        )?)
    }

    fn import_beside(&self, history: &History) -> Result<usize, StoreError> {
        let mut changed = 0;
        for Evacuated { digest, chain, address } in &history.evacuations {
            changed += usize::from(self.record_evacuation(&digest.0, chain, address)?);
        }
        for UsedIntent { id, digest } in &history.intents {
            let insert = "INSERT INTO intents (id, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            changed += self.connection.execute(insert, (id.0, digest.0))?;
        }
        for Freeze { wallet, requester, reason, at_ms } in &history.freezes {
            changed += self.connection.execute(
                "INSERT INTO freezes (wallet, requester, reason, at_ms) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                (wallet, requester, reason, signed(*at_ms)?),
            )?;
        }
        for Announced { digest, wallet, chain, summary, at_ms, vetoed_at_ms } in &history.announcements {
            // The longer wait, and any veto.
            changed += self.connection.execute(
                "INSERT INTO announcements (digest, wallet, chain, summary, at_ms, vetoed_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
                 SET at_ms = max(at_ms, excluded.at_ms), vetoed_at_ms = ifnull(vetoed_at_ms, excluded.vetoed_at_ms)
                 WHERE excluded.at_ms > at_ms OR (vetoed_at_ms IS NULL AND excluded.vetoed_at_ms IS NOT NULL)",
                (digest.0, wallet, chain, summary, signed(*at_ms)?, vetoed_at_ms.map(signed).transpose()?),
            )?;
        }
        Ok(changed)
    }

    fn one<T: rusqlite::types::FromSql>(&self, query: &str, with: impl Params) -> Result<Option<T>, StoreError> {
        Ok(self.connection.prepare_cached(query)?.query_row(with, |row| row.get(0)).optional()?)
    }
}

fn place(row: &Row<'_>) -> Result<Place, StoreError> {
    Ok((row.get(0)?, row.get(1)?))
}

fn spent(row: &Row<'_>) -> Result<Spent, StoreError> {
    Ok(Spent {
        nonce: number(row, 2)?,
        digest: Hex(row.get(3)?),
        asset: row.get(4)?,
        amount: Amount(U256::from_be_bytes(row.get::<_, [u8; 32]>(5)?)),
        signed_at_ms: number(row, 6)?,
        counts_from_ms: maybe(row, 7)?,
    })
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    unsigned(row.get(column)?)
}

fn maybe(row: &Row<'_>, column: usize) -> Result<Option<u64>, StoreError> {
    row.get::<_, Option<i64>>(column)?.map(unsigned).transpose()
}

fn bytes(Amount(amount): Amount) -> [u8; 32] {
    amount.to_be_bytes()
}
