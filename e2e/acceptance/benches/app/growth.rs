//! A database with many payments, and what one more costs there.

use std::time::Instant;

use acceptance::load::{Length, Load};
use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    Scale,
    pay::Payer,
    place::{Place, Way},
};

/// Rows made in one transaction.
const CHUNK: usize = 50_000;

/// Fills App's database to so many payments, straight into its tables: copies of a payment that has ended, with all that
/// is stored for it, each under names of its own. How many there are then.
pub(crate) async fn fill(place: &mut Place, to: usize) -> Result<usize> {
    let started = Instant::now();
    place.world.app.kill();
    let file = place.database();
    let stored = tokio::task::spawn_blocking(move || copies(&Connection::open(file)?, to)).await??;
    println!("{stored} payments stored; copying rows took {:.0} s", started.elapsed().as_secs_f64());
    place.restart(Way::Direct).await?;
    Ok(stored)
}

fn copies(db: &Connection, to: usize) -> Result<usize> {
    db.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;
         CREATE TEMP TABLE fresh (id TEXT, number INTEGER PRIMARY KEY);",
    )?;
    let count = |db: &Connection| db.query_row("SELECT count(*) FROM payments", [], |row| row.get::<_, usize>(0));
    let template: Option<String> = db
        .query_row("SELECT id FROM payments WHERE status = 'confirmed' ORDER BY sequence LIMIT 1", [], |row| row.get(0))
        .optional()?;
    let template = template.context("no payment is confirmed")?;
    let mut stored = count(db)?;
    let statements = statements(db)?;
    while stored < to {
        let many = CHUNK.min(to - stored);
        db.execute_batch("BEGIN IMMEDIATE; DELETE FROM fresh;")?;
        db.execute(
            "INSERT INTO fresh SELECT lower(hex(randomblob(length(?1) / 2))), value FROM
               (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT ?2) SELECT value FROM n)",
            rusqlite::params![template, many as i64],
        )?;
        for statement in &statements {
            db.execute(statement, [&template])?;
        }
        db.execute_batch("COMMIT")?;
        stored += many;
    }
    count(db).map_err(Into::into)
}

/// One for each table that holds something of a payment. What names a row is made anew in each copy.
fn statements(db: &Connection) -> Result<Vec<String>> {
    let mut tables = vec![("payments".to_owned(), "id")];
    let of_payments = "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
                       WHERE m.type = 'table' AND c.name = 'payment' ORDER BY m.rowid";
    for table in db.prepare(of_payments)?.query_map([], |row| row.get::<_, String>(0))? {
        tables.push((table?, "payment"));
    }
    tables.into_iter().map(|(table, key)| statement(db, &table, key)).collect()
}

fn statement(db: &Connection, table: &str, key: &str) -> Result<String> {
    let mut columns = Vec::new();
    let mut values = Vec::new();
    let mut info = db.prepare("SELECT name, type = 'INTEGER' AND pk > 0 FROM pragma_table_info(?1)")?;
    let single_key: i64 = db.query_row("SELECT sum(pk > 0) FROM pragma_table_info(?1)", [table], |row| row.get(0))?;
    let rows = info.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
    for row in rows {
        let (column, numbered) = row?;
        // SQLite numbers these by itself.
        if numbered && single_key == 1 {
            continue;
        }
        values.push(match column.as_str() {
            name if name == key => "fresh.id".to_owned(),
            "idempotency_key" => "'copy-' || fresh.id".to_owned(),
            "tx" if table != "payments" => "'0x' || lower(hex(randomblob(32)))".to_owned(),
            other => format!("old.\"{other}\""),
        });
        columns.push(format!("\"{column}\""));
    }
    let (columns, values) = (columns.join(", "), values.join(", "));
    Ok(format!(
        "INSERT INTO {table} ({columns}) SELECT {values} FROM fresh CROSS JOIN {table} old WHERE old.{key} = ?1"
    ))
}

/// Median time from the post of a payment to its answer, ms: one client, while App pays what it has accepted.
pub(crate) async fn p50(place: &Place, payer: &Payer, scale: Scale) -> Result<f64> {
    let posts = scale.of(400, 100);
    let (from, shared) = (place.block().await?, payer.shared());
    let load = Load { concurrency: 1, length: Length::Requests(posts) };
    let run = load.run(1, move |_| {
        let payer = shared.clone();
        async move { payer.post().await.map(drop) }
    });
    let run = run.await?;
    crate::pay::inclusions(place, from, posts).await?;
    Ok(run.p50())
}
