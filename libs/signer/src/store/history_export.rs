//! The signing history, out of the tables: wallet by wallet, read page by page, so that neither a large store nor a slow
//! taker holds anything up. All that was committed when it begins is in it.

use std::io::Write;

use chain::{Amount, hex::Hex};
use custody::{CustodyId, Role};
use ed25519_dalek::SigningKey;
use rusqlite::{Params, Row};

use super::{
    audit::Unwritten,
    claims::{Columns, claim},
    error::StoreError,
    ledger::{Ledger, unsigned},
    settlements::from_stored,
    waits::StandingVeto,
};
use crate::history::{
    Announced, Evacuated, Freeze, HistoryWriter, Kind, SettledAt, SignedAt, Spent, UsedIntent, Vetoed, WalletHistory,
};

/// Wallets, or rows of a list, that are held at once.
const PAGE: usize = 128;

impl Ledger<'_> {
    /// Writes the history with the signature of `key`, where there is one.
    pub fn write_history<W: Write>(
        &self,
        custody: CustodyId,
        role: Role,
        key: Option<&SigningKey>,
        output: W,
    ) -> Result<W, Unwritten> {
        let mut file = HistoryWriter::begin(output, custody, role)?;
        file.list("wallets")?;
        let mut after = (String::new(), String::new());
        loop {
            let page = self.moment(|| self.wallet_histories(&after))?;
            let Some(last) = page.last() else { break };
            after = (last.wallet.clone(), last.chain.clone());
            for wallet in &page {
                file.item(wallet)?;
            }
        }
        file.list("evacuations")?;
        self.each_row(
            &mut file,
            "SELECT digest, chain, address FROM evacuations WHERE digest > ?1",
            "digest",
            |row| {
                let evacuated = Evacuated { digest: Hex(row.get(0)?), chain: row.get(1)?, address: row.get(2)? };
                Ok((evacuated.digest.0.to_vec(), evacuated))
            },
        )?;
        file.list("intents")?;
        self.each_row(&mut file, "SELECT id, digest FROM intents WHERE id > ?1", "id", |row| {
            let used = UsedIntent { id: Hex(row.get(0)?), digest: Hex(row.get(1)?) };
            Ok((used.id.0.to_vec(), used))
        })?;
        file.list("freezes")?;
        self.freezes_and_waits(&mut file)?;
        Ok(file.finish(key)?)
    }

    fn freezes_and_waits<W: Write>(&self, file: &mut HistoryWriter<W>) -> Result<(), Unwritten> {
        // The freeze of everything has an empty name.
        if let Some(all) = self.frozen("")? {
            let (wallet, requester, reason, at_ms) = (all.wallet, all.requester, all.reason, all.at_ms);
            file.item(&Freeze { wallet, requester, reason, at_ms })?;
        }
        let freezes = "SELECT wallet, requester, reason, at_ms FROM freezes WHERE wallet > CAST(?1 AS TEXT)";
        self.each_row(file, freezes, "wallet", |row| {
            let (wallet, requester, reason) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let freeze = Freeze { wallet, requester, reason, at_ms: number(row, 3)? };
            Ok((freeze.wallet.clone().into_bytes(), freeze))
        })?;
        file.list("announcements")?;
        let waits = "SELECT digest, wallet, chain, summary, at_ms, vetoed_at_ms,
                            (SELECT max(lapses_at_ms) FROM waiting WHERE waiting.digest = announcements.digest)
                     FROM announcements WHERE digest > ?1";
        self.each_row(file, waits, "digest", |row| {
            let digest: [u8; 32] = row.get(0)?;
            let announced = Announced {
                digest: Hex(digest),
                wallet: row.get(1)?,
                chain: row.get(2)?,
                summary: row.get(3)?,
                at_ms: number(row, 4)?,
                vetoed_at_ms: maybe(row, 5)?,
                claims: self.awaited(&digest)?,
                lapses_at_ms: maybe(row, 6)?,
            };
            Ok((digest.to_vec(), announced))
        })?;
        let vetoes = self.vetoes()?;
        if !vetoes.is_empty() {
            file.list("vetoes")?;
        }
        for StandingVeto { scope, name, at_ms } in vetoes {
            file.item(&Vetoed { scope, name, at_ms })?;
        }
        Ok(())
    }

    /// Writes all rows of a list in the order of its key, which `?1` of the query is and which `read` returns with each.
    fn each_row<T: serde::Serialize>(
        &self,
        file: &mut HistoryWriter<impl Write>,
        query: &str,
        key: &str,
        read: impl Fn(&Row<'_>) -> Result<(Vec<u8>, T), StoreError>,
    ) -> Result<(), Unwritten> {
        let query = format!("{query} ORDER BY {key} LIMIT {PAGE}");
        let mut after = Vec::new();
        loop {
            let page = self.read_rows(&query, [&after], &read)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (_, row) in &page {
                file.item(row)?;
            }
        }
    }

    /// Wallets on chains of which anything is known, by both.
    fn wallet_histories(&self, after: &(String, String)) -> Result<Vec<WalletHistory>, StoreError> {
        let (mut found, mut after) = (Vec::new(), after.clone());
        while found.len() < PAGE
            && let Some(place) = self.place_after(&after)?
        {
            found.push(self.wallet_history(&place.0, &place.1)?);
            after = place;
        }
        Ok(found)
    }

    /// Each table's next, by its index, and of these the first.
    fn place_after(&self, (wallet, chain): &(String, String)) -> Result<Option<(String, String)>, StoreError> {
        let next = |table: &str, index: &str| {
            format!(
                "SELECT * FROM (SELECT wallet, chain FROM {table} INDEXED BY {index}
                                WHERE (wallet, chain) > (?1, ?2) {} ORDER BY wallet, chain LIMIT 1)",
                match index {
                    "settled_nonce" => "AND nonce IS NOT NULL",
                    "settled_coins_of_wallet" => "AND coin IS NOT NULL",
                    _ => "",
                }
            )
        };
        let query = format!(
            "{} UNION ALL {} UNION ALL {} ORDER BY wallet, chain LIMIT 1",
            next("claims", "claim_once"),
            next("settled", "settled_nonce"),
            next("settled", "settled_coins_of_wallet"),
        );
        Ok(self.read_rows(&query, (wallet, chain), |row| Ok((row.get(0)?, row.get(1)?)))?.pop())
    }

    fn wallet_history(&self, wallet: &str, chain: &str) -> Result<WalletHistory, StoreError> {
        let at = (wallet, chain);
        let claims = "SELECT nonce, coin, kind, id FROM claims WHERE wallet = ?1 AND chain = ?2
                      ORDER BY nonce, kind DESC, id, coin";
        let rows = self.read_rows(claims, at, |row| {
            let kind = if row.get::<_, String>(2)? == "payment" { Kind::Payment } else { Kind::Cancel };
            Ok((claim(columns(row)?)?, kind, Hex(row.get(3)?)))
        })?;
        let mut signed: Vec<SignedAt> = Vec::new();
        for (claim, kind, digest) in rows {
            // The claims of a transaction stand together.
            match signed.last_mut().filter(|last| last.digest == digest) {
                Some(last) => last.claims.push(claim),
                None => {
                    let payment_id = self.payment_of(wallet, chain, &digest.0)?.map(Hex);
                    signed.push(SignedAt { claims: vec![claim], kind, digest, payment_id });
                }
            }
        }
        let mut settled = Vec::new();
        for (what, index) in [("nonce", "settled_nonce"), ("coin", "settled_coins_of_wallet")] {
            let query = format!(
                "SELECT nonce, coin, id, at_ms, state, attester FROM settled INDEXED BY {index}
                 WHERE wallet = ?1 AND chain = ?2 AND {what} IS NOT NULL ORDER BY {what}"
            );
            settled.extend(self.read_rows(&query, at, |row| {
                let (claim, state) = (claim(columns(row)?)?, from_stored(&row.get::<_, String>(4)?)?.into());
                Ok(SettledAt { claim, digest: Hex(row.get(2)?), at_ms: number(row, 3)?, state, attester: row.get(5)? })
            })?);
        }
        let spends = "SELECT id, asset, amount, signed_at_ms, counts_from_ms FROM spends
                      WHERE wallet = ?1 AND chain = ?2 ORDER BY signed_at_ms, id, asset";
        let spends = self.read_rows(spends, at, |row| {
            let (digest, asset, amount) = (Hex(row.get(0)?), row.get(1)?, Amount::from_be_bytes(row.get(2)?));
            Ok(Spent { digest, asset, amount, signed_at_ms: number(row, 3)?, counts_from_ms: maybe(row, 4)? })
        })?;
        Ok(WalletHistory { wallet: wallet.to_owned(), chain: chain.to_owned(), signed, settled, spends })
    }

    fn read_rows<T>(
        &self,
        query: &str,
        with: impl Params,
        read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut query = self.connection.prepare_cached(query)?;
        query.query_map(with, |row| Ok(read(row)))?.map(|row| row?).collect()
    }
}

fn columns(row: &Row<'_>) -> Result<Columns, StoreError> {
    Ok((row.get(0)?, row.get(1)?))
}

fn number(row: &Row<'_>, column: usize) -> Result<u64, StoreError> {
    unsigned(row.get(column)?)
}

fn maybe(row: &Row<'_>, column: usize) -> Result<Option<u64>, StoreError> {
    row.get::<_, Option<i64>>(column)?.map(unsigned).transpose()
}
