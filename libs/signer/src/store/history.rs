//! The signing history, into the tables. An import is a union: what is here stays, a freeze and a veto too, and of two
//! accounts of the same thing the stricter one.

use std::collections::{BTreeMap, BTreeSet};

use chain::Claim;
use rusqlite::{OptionalExtension, Params, Row};

use super::{
    claims::{Columns, Kind, Watermark, claim},
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
    settlements::Attested,
};
use crate::history::{
    self, Announced, Certainty, Evacuated, Freeze, History, HistoryError, SettledAt, SignedAt, Spent, UsedIntent,
    Vetoed, WalletHistory, conflict,
};

/// A wallet on a chain.
type Place = (String, String);

impl Ledger<'_> {
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
        for SettledAt { claim, digest, state, .. } in settled {
            let known = self.settled(wallet, chain, claim)?.filter(|_| *state != Certainty::Revoked);
            if known.is_some_and(|known| known != digest.0) {
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
        for SettledAt { claim, digest, at_ms, state, attester } in settled {
            let attested = Attested { id: digest.0, state: (*state).into(), attester: attester.clone() };
            changed += usize::from(self.note_settled(wallet, chain, claim, &attested, *at_ms)?);
        }
        for spent in spends {
            changed += self.import_spend(wallet, chain, spent)?;
        }
        // What was outstanding on one side only and is used up for good on the other counts from now.
        changed += self.connection.execute(
            "UPDATE spends SET counts_from_ms = ?3 WHERE wallet = ?1 AND chain = ?2 AND counts_from_ms IS NULL
             AND id IN (
                SELECT id FROM claims WHERE wallet = ?1 AND chain = ?2
                    AND nonce < ?4
                UNION SELECT c.id FROM claims c JOIN settled s ON s.chain = c.chain AND s.coin = c.coin
                    WHERE c.wallet = ?1 AND c.chain = ?2 AND s.state = 'final')",
            (wallet, chain, signed(self.now_ms())?, signed(self.progress(wallet, chain)?.next_final)?),
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
        for Vetoed { scope, name, at_ms } in &history.vetoes {
            changed += self.connection.execute(
                "INSERT INTO vetoes (scope, name, at_ms) VALUES (?1, lower(?2), ?3) ON CONFLICT DO NOTHING",
                (scope.as_str(), name, signed(*at_ms)?),
            )?;
        }
        for announced in &history.announcements {
            changed += usize::from(self.import_announced(announced)?);
        }
        Ok(changed)
    }

    /// The longer wait, and any veto. What waits here for one of its claims goes on to wait, and not this.
    fn import_announced(&self, announced: &Announced) -> Result<bool, StoreError> {
        let Announced { digest, wallet, chain, summary, at_ms, vetoed_at_ms, claims, lapses_at_ms } = announced;
        let (wallet_id, chain_id, claims) = (wallet.clone(), chain.clone(), claims.clone());
        let mark = Watermark { wallet: wallet_id, chain: chain_id, claims, kind: Kind::Payment, id: digest.0 };
        let rivals = self.waiting_for(&mark)?;
        if vetoed_at_ms.is_none() && rivals.iter().any(|rival| *rival != digest.0) {
            return Ok(false);
        }
        let rows = self.connection.execute(
            "INSERT INTO announcements (digest, wallet, chain, summary, at_ms, vetoed_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
             SET at_ms = max(at_ms, excluded.at_ms), vetoed_at_ms = ifnull(vetoed_at_ms, excluded.vetoed_at_ms)
             WHERE excluded.at_ms > at_ms OR (vetoed_at_ms IS NULL AND excluded.vetoed_at_ms IS NOT NULL)",
            (digest.0, wallet, chain, summary, signed(*at_ms)?, vetoed_at_ms.map(signed).transpose()?),
        )?;
        let waits = self.announcement(&digest.0)?.is_some_and(|it| !it.vetoed);
        if rows == 1 {
            self.wait_ended(&digest.0)?;
            if let Some(lapses_at_ms) = lapses_at_ms.filter(|_| waits) {
                self.wait_until(&mark, lapses_at_ms)?;
            }
        }
        Ok(rows == 1)
    }

    fn one<T: rusqlite::types::FromSql>(&self, query: &str, with: impl Params) -> Result<Option<T>, StoreError> {
        Ok(self.connection.prepare_cached(query)?.query_row(with, |row| row.get(0)).optional()?)
    }
}

fn place(row: &Row<'_>) -> Result<Place, StoreError> {
    Ok((row.get(0)?, row.get(1)?))
}

/// The third and fourth column.
fn columns(row: &Row<'_>) -> Result<Columns, StoreError> {
    Ok((row.get(2)?, row.get(3)?))
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    unsigned(row.get(column)?)
}
