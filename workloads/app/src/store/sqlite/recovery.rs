//! The tables `epochs`, `readings` and `lost`, and copies of the whole.

use std::{fs, os::unix::fs::OpenOptionsExt, path::Path};

use async_trait::async_trait;
use chain::Claim;
use custody::Role;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Sqlite, history, row::Named, transactions};
use crate::{
    domain::{Epoch, Lost, PaymentId, Reading, Seed},
    store::{Recovery, StoreError},
};

#[async_trait]
impl Recovery for Sqlite {
    async fn epoch(&self) -> Result<Epoch, StoreError> {
        self.read(|db| epoch(&db)).await
    }

    async fn reading(&self, signer: Role) -> Result<Option<Reading>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached("SELECT store, number, block FROM readings WHERE signer = ?1")?;
            let reading = statement.query_row([signer.as_str()], |row| {
                Ok(Reading { store: row.get(0)?, number: row.get(1)?, block: row.get(2)? })
            });
            Ok(reading.optional()?)
        })
        .await
    }

    async fn note_lost(
        &self,
        signer: Role,
        reading: Reading,
        lost: Vec<Lost>,
        start: bool,
    ) -> Result<usize, StoreError> {
        self.write(move |db| {
            let mut unknown = 0;
            for lost in &lost {
                let ended = ended(&db, lost.payment)?;
                if ended.is_none() || start && ended == Some(false) {
                    let new = write(&db, lost)?;
                    unknown += usize::from(new && ended.is_none());
                }
            }
            db.execute(
                "INSERT OR REPLACE INTO readings (signer, store, number, block) VALUES (?1, ?2, ?3, ?4)",
                params![signer.as_str(), reading.store, reading.number, reading.block],
            )?;
            Ok(unknown)
        })
        .await
    }

    async fn prepare_lost(&self) -> Result<(), StoreError> {
        let clock = self.clock;
        self.write(move |db| {
            db.execute(
                "DELETE FROM lost WHERE payment IN
                 (SELECT l.payment FROM lost l JOIN payments p ON p.id = l.payment WHERE p.stage = 'done')",
                [],
            )?;
            for payment in behind(&db)? {
                db.execute(
                    "UPDATE payments SET stage = 'prepare', status = 'accepted', block = NULL, tx = NULL,
                       back = NULL, ending = NULL, reason = NULL,
                       message = NULL, trouble = NULL, not_before = NULL, cancel_attempts = 0, reverts = 0,
                       operation_seed = ?2, updated_at = ?3 WHERE id = ?1",
                    params![payment.to_string(), Seed::random().0, clock().as_millisecond()],
                )?;
                history::note(db, payment)?;
                transactions::forget(db, payment)?;
            }
            Ok(())
        })
        .await
    }

    async fn lost(&self, payment: PaymentId) -> Result<Vec<Lost>, StoreError> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT payment, wallet, id, claims, from_block FROM lost WHERE payment = ?1 ORDER BY sequence DESC",
            )?;
            let mut rows = statement.query([payment.to_string()])?;
            let mut lost = Vec::new();
            while let Some(row) = rows.next()? {
                lost.push(read(&Named::keyed(row, "lost", "payment")?)?);
            }
            Ok(lost)
        })
        .await
    }

    async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let file = file.to_owned();
        self.read(move |db| copy(&db, &file)).await
    }
}

/// What a database that is not in use holds.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Inspected {
    pub(crate) epoch: u64,
    pub(crate) wallets: u64,
    pub(crate) payments: u64,
    /// Those that have not ended.
    pub(crate) unfinished: u64,
}

/// Looks into a database; refuses one that SQLite finds damaged.
pub(crate) fn inspect(file: &Path) -> Result<Inspected, StoreError> {
    let mut db = Connection::open(file)?;
    let whole: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if whole != "ok" {
        let (row, why) = (file.display().to_string(), whole);
        return Err(StoreError::Damaged { row, column: "integrity_check", why });
    }
    super::migrate(&mut db)?;
    let count = |query: &str| db.query_row(query, [], |row| row.get(0));
    Ok(Inspected {
        epoch: epoch(&db)?.0,
        wallets: count("SELECT count(*) FROM wallets")?,
        payments: count("SELECT count(*) FROM payments")?,
        unfinished: count("SELECT count(*) FROM payments WHERE stage <> 'done'")?,
    })
}

/// The database was restored: it begins another epoch.
pub(crate) fn begin_epoch(file: &Path) -> Result<Epoch, StoreError> {
    let _lock = super::lock(file.parent().unwrap_or(Path::new(".")))?;
    let mut db = Connection::open(file)?;
    super::migrate(&mut db)?;
    db.execute("INSERT INTO epochs (number) SELECT max(number) + 1 FROM epochs", [])?;
    epoch(&db)
}

/// The present one.
pub(super) fn epoch(db: &Connection) -> Result<Epoch, StoreError> {
    Ok(Epoch(db.query_row("SELECT max(number) FROM epochs", [], |row| row.get(0))?))
}

/// A copy as of now. The file is made first, so that it is never anybody else's to read.
fn copy(db: &Connection, file: &Path) -> Result<(), StoreError> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(StoreError::File)?;
    // It writes another file, which a connection that only reads has to be told is meant.
    db.pragma_update(None, "query_only", false)?;
    let copied = db.execute("VACUUM INTO ?1", [file.to_string_lossy()]);
    db.pragma_update(None, "query_only", true)?;
    copied?;
    Ok(())
}

/// Whether a payment has ended; `None`: it is not known.
fn ended(db: &Connection, payment: PaymentId) -> Result<Option<bool>, StoreError> {
    let mut statement = db.prepare_cached("SELECT stage = 'done' FROM payments WHERE id = ?1")?;
    Ok(statement.query_row([payment.to_string()], |row| row.get(0)).optional()?)
}

/// Payments that have not ended, and whose stored transaction is not the last that was signed for them.
fn behind(db: &Connection) -> Result<Vec<PaymentId>, StoreError> {
    let mut statement = db.prepare(
        "SELECT p.id FROM (SELECT payment, max(sequence) AS sequence FROM lost GROUP BY payment) AS newest
         JOIN lost l ON l.sequence = newest.sequence
         JOIN payments p ON p.id = l.payment
         LEFT JOIN transactions t ON t.payment = p.id AND t.kind = 'payment'
         WHERE p.stage <> 'done' AND t.id IS NOT l.id",
    )?;
    let mut rows = statement.query([])?;
    let mut behind = Vec::new();
    while let Some(row) = rows.next()? {
        behind.push(Named::new(row, "payments".to_owned()).parse("id", str::parse)?);
    }
    Ok(behind)
}

/// False: it was noted.
fn write(db: &Connection, lost: &Lost) -> Result<bool, StoreError> {
    let Lost { payment, wallet, claims, id, from_block } = lost;
    let claims = claims.iter().map(Claim::to_string).collect::<Vec<_>>().join("\n");
    let mut insert = db.prepare_cached(
        "INSERT INTO lost (payment, wallet, id, claims, from_block) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (payment, id) DO NOTHING",
    )?;
    Ok(insert.execute(params![payment.to_string(), wallet.as_str(), id, claims, from_block])? == 1)
}

fn read(row: &Named<'_>) -> Result<Lost, StoreError> {
    Ok(Lost {
        payment: row.parse("payment", str::parse)?,
        wallet: row.parse("wallet", str::parse)?,
        claims: row.parse("claims", |text| text.lines().map(str::parse::<Claim>).collect::<Result<Vec<_>, _>>())?,
        id: row.get("id")?,
        from_block: row.get("from_block")?,
    })
}
