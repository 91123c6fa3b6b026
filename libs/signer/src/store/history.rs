//! The signing history, out of the tables and into them. An import is a union: what is here stays, a freeze and a veto
//! too, and of two accounts of the same thing the stricter one.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, Claim, hex::Hex};
use rusqlite::{OptionalExtension, Params, Row};

use super::{
    claims::{Columns, Kind, Watermark, claim},
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};
use crate::history::{
    self, Announced, Evacuated, Freeze, History, HistoryError, SettledAt, SignedAt, Spent, UsedIntent, WalletHistory,
    conflict,
};

/// A wallet on a chain.
type Place = (String, String);

impl Ledger<'_> {
    /// Fills `history`, whose header says whose it is.
    pub fn history(&self, mut history: History) -> Result<History, StoreError> {
        let mut wallets: BTreeMap<Place, WalletHistory> = BTreeMap::new();
        let claims = "SELECT wallet, chain, nonce, coin, kind, id FROM claims ORDER BY nonce, kind DESC, id, coin";
        for (place, row) in self.rows(claims, |row| {
            let kind =
                if row.get::<_, String>(4)? == "payment" { history::Kind::Payment } else { history::Kind::Cancel };
            let (claims, digest) = (vec![claim(columns(row)?)?], Hex(row.get(5)?));
            let (wallet, chain) = place(row)?;
            let payment_id = self.payment_of(&wallet, &chain, &digest.0)?.map(Hex);
            Ok(((wallet, chain), SignedAt { claims, kind, digest, payment_id }))
        })? {
            let signed = &mut wallets.entry(place).or_default().signed;
            // The claims of a transaction stand together.
            match signed.last_mut().filter(|last| last.digest == row.digest) {
                Some(last) => last.claims.extend(row.claims),
                None => signed.push(row),
            }
        }
        let settled = "SELECT wallet, chain, nonce, coin, id, at_ms FROM settled ORDER BY nonce, coin";
        for (place, row) in self.rows(settled, |row| {
            let claim = claim(columns(row)?)?;
            Ok((place(row)?, SettledAt { claim, digest: Hex(row.get(4)?), at_ms: number(row, 5)? }))
        })? {
            wallets.entry(place).or_default().settled.push(row);
        }
        let spends = "SELECT wallet, chain, id, asset, amount, signed_at_ms, counts_from_ms FROM spends
                      ORDER BY signed_at_ms, id, asset";
        for (place, row) in self.rows(spends, |row| Ok((place(row)?, spent(row)?)))? {
            wallets.entry(place).or_default().spends.push(row);
        }
        history.wallets =
            wallets.into_iter().map(|((wallet, chain), it)| WalletHistory { wallet, chain, ..it }).collect();
        self.beside(history)
    }

    /// What belongs to no claim.
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
                   (SELECT wallet, chain, nonce FROM claims UNION ALL SELECT wallet, chain, nonce FROM settled)
                   WHERE nonce IS NOT NULL GROUP BY wallet, chain";
        for ((wallet, chain), own) in self.rows(own, |row| Ok((place(row)?, number(row, 2)?)))? {
            let theirs = known.get(&(&wallet, &chain)).copied().flatten();
            if theirs.is_none_or(|theirs| theirs < own) {
                let theirs = theirs.map_or("none".to_owned(), |theirs| theirs.to_string());
                return Ok(Some(HistoryError::Older { wallet, chain, theirs, own }));
            }
        }
        self.lacking(history)
    }

    /// Coins have no order: the file has to know each of them.
    fn lacking(&self, history: &History) -> Result<Option<HistoryError>, StoreError> {
        let known: BTreeSet<_> =
            history.wallets.iter().flat_map(|it| it.claims().map(|claim| (&it.wallet, &it.chain, claim))).collect();
        let own = "SELECT wallet, chain, nonce, coin FROM claims WHERE coin IS NOT NULL
                   UNION SELECT wallet, chain, nonce, coin FROM settled WHERE coin IS NOT NULL";
        for ((wallet, chain), claim) in self.rows(own, |row| Ok((place(row)?, claim(columns(row)?)?)))? {
            if !known.contains(&(&wallet, &chain, claim)) {
                return Ok(Some(HistoryError::Lacks { wallet, chain, claim }));
            }
        }
        Ok(None)
    }

    fn differs(&self, it: &WalletHistory) -> Result<Option<String>, StoreError> {
        let WalletHistory { wallet, chain, signed: marks, settled, spends } = it;
        let at = |what: &str, at: &str| Ok(Some(format!("the {what} at {at} of wallet {wallet} on {chain}")));
        for SignedAt { claims, kind, digest, payment_id } in marks {
            let known = self.payment_of(wallet, chain, &digest.0)?;
            if payment_id.is_some_and(|id| known.is_some_and(|known| known != id.0)) {
                return at("payment id", &it.at(digest));
            }
            for claim in claims {
                if self.claimed_otherwise(wallet, chain, *kind, claim, &digest.0)? {
                    return at("payment", &claim.to_string());
                }
            }
        }
        for SettledAt { claim, digest, .. } in settled {
            if self.settled(wallet, chain, claim)?.is_some_and(|known| known != digest.0) {
                return at("settlement", &claim.to_string());
            }
        }
        for Spent { digest, asset, amount, .. } in spends {
            let known: Option<i64> = self.one(
                "SELECT 1 FROM spends WHERE wallet = ?1 AND chain = ?2 AND id = ?3 AND asset = ?4 AND amount <> ?5",
                (wallet, chain, digest.0, asset, amount.to_be_bytes()),
            )?;
            if known.is_some() {
                return at("amount", &it.at(digest));
            }
        }
        Ok(None)
    }

    /// Whether another payment has a claim, or another wallet has a coin.
    fn claimed_otherwise(
        &self,
        wallet: &str,
        chain: &str,
        kind: history::Kind,
        claim: &Claim,
        id: &[u8; 32],
    ) -> Result<bool, StoreError> {
        let (payment, elsewhere) = match claim {
            Claim::Sequence(nonce) => (self.nonces(wallet, chain, *nonce)?.payment, false),
            Claim::Coin(..) => {
                let coin = self.coin(wallet, chain, claim)?;
                (coin.payment, coin.claimed_elsewhere)
            }
        };
        Ok(elsewhere || kind == history::Kind::Payment && payment.is_some_and(|payment| payment != *id))
    }

    fn import_wallet(&self, it: &WalletHistory) -> Result<usize, StoreError> {
        let WalletHistory { wallet, chain, signed: marks, settled, spends } = it;
        let mut changed = 0;
        for SignedAt { claims, kind, digest, payment_id } in marks {
            let kind = if *kind == history::Kind::Payment { Kind::Payment } else { Kind::Cancel };
            let (wallet, chain) = (wallet.clone(), chain.clone());
            let mark = Watermark { wallet, chain, claims: claims.clone(), kind, id: digest.0 };
            for claim in claims {
                changed += usize::from(self.record_claim(&mark, claim)?);
            }
            changed += usize::from(self.note_imported(&mark, payment_id.as_ref().map(|id| &id.0))?);
        }
        for SettledAt { claim, digest, at_ms } in settled {
            changed += usize::from(self.note_settled(wallet, chain, claim, &digest.0, *at_ms)?);
        }
        for spent in spends {
            changed += self.import_spend(wallet, chain, spent)?;
        }
        // What was outstanding on one side only and is used up on the other counts from now.
        changed += self.connection.execute(
            "UPDATE spends SET counts_from_ms = ?3 WHERE wallet = ?1 AND chain = ?2 AND counts_from_ms IS NULL
             AND id IN (
                SELECT id FROM claims WHERE wallet = ?1 AND chain = ?2
                    AND nonce <= (SELECT max(nonce) FROM settled WHERE wallet = ?1 AND chain = ?2)
                UNION SELECT c.id FROM claims c JOIN settled s ON s.chain = c.chain AND s.coin = c.coin
                    WHERE c.wallet = ?1 AND c.chain = ?2)",
            (wallet, chain, signed(self.now_ms())?),
        )?;
        Ok(changed)
    }

    /// Of two times from which an amount counts, the later one.
    fn import_spend(&self, wallet: &str, chain: &str, spent: &Spent) -> Result<usize, StoreError> {
        let Spent { digest, asset, amount, signed_at_ms, counts_from_ms } = spent;
        let (signed_at, from) = (signed(*signed_at_ms)?, counts_from_ms.map(signed).transpose()?);
        Ok(self.connection.execute(
            "INSERT INTO spends (wallet, chain, id, asset, amount, signed_at_ms, counts_from_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET counts_from_ms = excluded.counts_from_ms
             WHERE excluded.counts_from_ms > counts_from_ms",
            (wallet, chain, digest.0, asset, amount.to_be_bytes(), signed_at, from),
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
        digest: Hex(row.get(2)?),
        asset: row.get(3)?,
        amount: Amount::from_be_bytes(row.get(4)?),
        signed_at_ms: number(row, 5)?,
        counts_from_ms: maybe(row, 6)?,
    })
}

/// The third and fourth column.
fn columns(row: &Row<'_>) -> Result<Columns, StoreError> {
    Ok((row.get(2)?, row.get(3)?))
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    unsigned(row.get(column)?)
}

fn maybe(row: &Row<'_>, column: usize) -> Result<Option<u64>, StoreError> {
    row.get::<_, Option<i64>>(column)?.map(unsigned).transpose()
}
