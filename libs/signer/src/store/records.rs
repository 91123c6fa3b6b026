//! What App asked to be signed, and what came of it: by payment for the signer itself, and page by page for an App that
//! may have forgotten some of it. No signature is in here.

use chain::Claim;
use rusqlite::{OptionalExtension, Row};

use super::{
    claims::{Kind, Watermark, claim},
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// A request of App to sign a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// 16 bytes.
    pub operation_id: &'a [u8],
    /// Which payment it is for.
    pub payment_id: Option<&'a [u8; 32]>,
    /// The transaction.
    pub mark: &'a Watermark,
}

/// What can still become of a transaction that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It can happen, or may have happened.
    Open,
    /// It is attested as what has used a claim of it up for good.
    Made,
    /// Another transaction is attested as what has used a claim of it up for good.
    Superseded,
}

/// Another transaction that was signed for a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The transaction's id.
    pub id: [u8; 32],
    /// What it uses up.
    pub claims: Vec<Claim>,
    /// What can become of it.
    pub fate: Fate,
}

/// Which records are wanted; what is empty restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// After this number.
    pub after: u64,
    /// Wallet id.
    pub wallet: Option<String>,
    /// Of the payment.
    pub payment_id: Option<[u8; 32]>,
    /// At most so many.
    pub limit: u32,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// From 1 on.
    pub number: u64,
    /// Absent for what was signed before operations were recorded, and in an imported history.
    pub operation_id: Option<Vec<u8>>,
    /// Absent where none was named.
    pub payment_id: Option<[u8; 32]>,
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// The transaction's id.
    pub id: [u8; 32],
    /// Payment or cancel.
    pub kind: Kind,
    /// Why it was refused; absent: it was signed.
    pub refused: Option<String>,
    /// What it uses up; nothing where it was refused.
    pub claims: Vec<Claim>,
    /// What can become of it.
    pub fate: Fate,
}

impl Ledger<'_> {
    /// Records a request; `refused` says why, where it was.
    pub fn note_asked(&self, asked: Asked<'_>, refused: Option<&str>) -> Result<(), StoreError> {
        let Asked { operation_id, payment_id, mark: Watermark { wallet, chain, kind, id, claims: _ } } = asked;
        self.connection
            .prepare_cached(
                "INSERT INTO records (operation_id, payment_id, wallet, chain, id, kind, reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((operation_id, payment_id, wallet, chain, id, kind.as_str(), refused))?;
        Ok(())
    }

    /// What an imported history tells of a signature, unless it is known here; false: it is.
    pub(super) fn note_imported(&self, mark: &Watermark, payment_id: Option<&[u8; 32]>) -> Result<bool, StoreError> {
        let Watermark { wallet, chain, kind, id, claims: _ } = mark;
        let rows = self.connection.execute(
            "INSERT INTO records (payment_id, wallet, chain, id, kind) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS
             (SELECT 1 FROM records WHERE wallet = ?2 AND chain = ?3 AND id = ?4 AND reason IS NULL
              AND (?1 IS NULL OR payment_id = ?1))",
            (payment_id, wallet, chain, id, kind.as_str()),
        )?;
        Ok(rows == 1)
    }

    /// The payment that a transaction was signed for.
    pub fn payment_of(&self, wallet: &str, chain: &str, id: &[u8; 32]) -> Result<Option<[u8; 32]>, StoreError> {
        let row = self
            .connection
            .prepare_cached(
                "SELECT payment_id FROM records WHERE wallet = ?1 AND chain = ?2 AND id = ?3 AND reason IS NULL
                 AND payment_id IS NOT NULL LIMIT 1",
            )?
            .query_row((wallet, chain, id), |row| row.get(0));
        Ok(row.optional()?)
    }

    /// All other transactions that were signed for a payment.
    pub fn earlier(&self, payment_id: &[u8; 32], mark: &Watermark) -> Result<Vec<Earlier>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT wallet, chain, id FROM records
             WHERE payment_id = ?1 AND reason IS NULL AND NOT (id = ?2 AND wallet = ?3 AND chain = ?4)",
        )?;
        let rows = query.query_map((payment_id, mark.id, &mark.wallet, &mark.chain), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, [u8; 32]>(2)?))
        })?;
        rows.map(|row| {
            let (wallet, chain, id) = row?;
            let claims = self.claims_of(&wallet, &chain, &id)?;
            let fate = self.fate(&wallet, &chain, &id, &claims)?;
            Ok(Earlier { id, claims, fate })
        })
        .collect()
    }

    /// Some of the records, in order.
    pub fn records(&self, wanted: &Wanted) -> Result<Vec<Recorded>, StoreError> {
        let Wanted { after, wallet, payment_id, limit } = wanted;
        // One query for each, so that each has its index.
        let restricted = match (payment_id, wallet) {
            (Some(_), _) => "payment_id = ?3 AND (?2 IS NULL OR wallet = ?2)",
            (None, Some(_)) => "wallet = ?2 AND ?3 IS NULL",
            (None, None) => "?2 IS NULL AND ?3 IS NULL",
        };
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT number, operation_id, payment_id, wallet, chain, id, kind, reason FROM records
             WHERE number > ?1 AND {restricted} ORDER BY number LIMIT ?4"
        ))?;
        let rows = query.query_map((signed(*after)?, wallet, payment_id, limit), |row| Ok(self.recorded_row(row)))?;
        rows.map(|row| row?).collect()
    }

    fn recorded_row(&self, row: &Row<'_>) -> Result<Recorded, StoreError> {
        let kind: String = row.get(6)?;
        let (wallet, chain, id, refused): (String, String, [u8; 32], Option<String>) =
            (row.get(3)?, row.get(4)?, row.get(5)?, row.get(7)?);
        let claims = if refused.is_none() { self.claims_of(&wallet, &chain, &id)? } else { Vec::new() };
        Ok(Recorded {
            number: unsigned(row.get(0)?)?,
            operation_id: row.get(1)?,
            payment_id: row.get(2)?,
            kind: if kind == Kind::Cancel.as_str() { Kind::Cancel } else { Kind::Payment },
            fate: self.fate(&wallet, &chain, &id, &claims)?,
            wallet,
            chain,
            id,
            refused,
            claims,
        })
    }

    /// The number of the last record, and the store's name.
    pub fn records_end(&self) -> Result<(u64, [u8; 16]), StoreError> {
        let (last, name) = self
            .connection
            .prepare_cached("SELECT (SELECT ifnull(max(number), 0) FROM records), name FROM store")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok((unsigned(last)?, name))
    }

    pub(super) fn claims_of(&self, wallet: &str, chain: &str, id: &[u8; 32]) -> Result<Vec<Claim>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT nonce, coin FROM claims WHERE wallet = ?1 AND chain = ?2 AND id = ?3
             ORDER BY ifnull(nonce, -1), ifnull(coin, x'')",
        )?;
        let rows = query.query_map((wallet, chain, id), |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.map(|row| claim(row?)).collect()
    }

    /// One attested claim tells: a transaction uses all of them up at once.
    fn fate(&self, wallet: &str, chain: &str, id: &[u8; 32], claims: &[Claim]) -> Result<Fate, StoreError> {
        for claim in claims {
            match self.settled_for_good(wallet, chain, claim)? {
                Some(by) if by == *id => return Ok(Fate::Made),
                Some(_) => return Ok(Fate::Superseded),
                None => {}
            }
        }
        Ok(Fate::Open)
    }
}
