//! The table `payment_history`: one row for each change that callers see.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::row::Named;
use crate::{
    domain::{Change, History, PaymentId, Status},
    store::StoreError,
};

/// Adds what the payment's row has now, unless the newest change says the same. `updated_at` is its time.
pub(super) fn note(db: &Connection, payment: PaymentId) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO payment_history (payment, place, at, status, reason, tx, block)
         SELECT id, 1 + coalesce(newest.place, 0), updated_at, payments.status, payments.reason, payments.tx,
                iif(payments.stage IN ('follow', 'short', 'done'), payments.block, NULL) AS decider
         FROM payments LEFT JOIN payment_history AS newest ON newest.payment = payments.id
           AND newest.place = (SELECT max(place) FROM payment_history WHERE payment = payments.id)
         WHERE id = ?1 AND (newest.place IS NULL OR (payments.status, payments.reason, payments.tx, decider)
           IS NOT (newest.status, newest.reason, newest.tx, newest.block))",
    )?
    .execute([payment.to_string()])?;
    Ok(())
}

/// All of a payment's.
pub(super) fn read(db: &Connection, payment: PaymentId) -> Result<History, StoreError> {
    let id = payment.to_string();
    let name = format!("history of payment '{payment}'");
    let mut statement = db.prepare_cached("SELECT created_at, updated_at FROM payments WHERE id = ?1")?;
    let mut rows = statement.query([&id])?;
    let Some(row) = rows.next()? else { return Ok(History::default()) };
    let row = Named::new(row, name.clone());
    Ok(History {
        created: time(&row, "created_at")?,
        updated: time(&row, "updated_at")?,
        changes: changes(db, &id, &name)?,
    })
}

fn changes(db: &Connection, payment: &str, name: &str) -> Result<Vec<Change>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT at, status, reason, tx, block FROM payment_history WHERE payment = ?1 ORDER BY place",
    )?;
    let mut rows = statement.query(params![payment])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let row = Named::new(row, name.to_owned());
        let at = time(&row, "at")?.ok_or_else(|| row.damaged("at", "a change has a time"))?;
        changes.push(Change {
            at,
            status: row.named("status", Status::named)?,
            reason: row.get("reason")?,
            tx: row.get("tx")?,
            block: row.get("block")?,
        });
    }
    Ok(changes)
}

/// A column of Unix milliseconds.
pub(super) fn time(row: &Named<'_>, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
    let ms: Option<i64> = row.get(column)?;
    ms.map(|ms| Timestamp::from_millisecond(ms).map_err(|why| row.damaged(column, why))).transpose()
}
