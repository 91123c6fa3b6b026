//! Copies of one wallet and its signature, straight into the tables.

use rusqlite::Connection;

use crate::Error;

/// Wallets made in one transaction.
const CHUNK: usize = 50_000;

/// One statement for each table that holds something of a wallet or of what was asked for it. `?1` is the wallet that is
/// copied; what names a row is made anew in each copy.
const STATEMENTS: [&str; 9] = [
    "INSERT INTO hot (wallet, entropy, attestation, verifier)
     SELECT fresh.wallet, entropy, attestation, verifier FROM fresh CROSS JOIN hot old WHERE old.wallet = ?1",
    "INSERT INTO hot_keys (wallet, namespace, public_key, secret)
     SELECT fresh.wallet, namespace, randomblob(33), secret FROM fresh CROSS JOIN hot_keys old WHERE old.wallet = ?1",
    "INSERT INTO wallets (wallet, hot_keys, salt, record)
     SELECT fresh.wallet, hot_keys, salt, record FROM fresh CROSS JOIN wallets old WHERE old.wallet = ?1",
    "INSERT INTO addresses (wallet, chain, address)
     SELECT fresh.wallet, chain, '0x' || hex(randomblob(20)) FROM fresh CROSS JOIN addresses old WHERE old.wallet = ?1",
    "INSERT INTO operations (sender, operation_id, digest, result)
     SELECT sender, randomblob(16), randomblob(32), result FROM fresh CROSS JOIN template_operations WHERE ?1 <> ''",
    "INSERT INTO audit (hash, record)
     SELECT randomblob(32), record FROM fresh CROSS JOIN template_audit WHERE ?1 <> ''",
    "INSERT INTO claims (wallet, chain, nonce, kind, id)
     SELECT fresh.wallet, chain, nonce, kind, fresh.id FROM fresh CROSS JOIN claims old WHERE old.wallet = ?1",
    "INSERT INTO records (operation_id, payment_id, wallet, chain, id, kind)
     SELECT randomblob(16), randomblob(32), fresh.wallet, chain, fresh.id, kind
     FROM fresh CROSS JOIN records old WHERE old.wallet = ?1",
    "INSERT INTO spends (wallet, chain, id, asset, amount, signed_at_ms, counts_from_ms, destination)
     SELECT fresh.wallet, chain, fresh.id, asset, amount, signed_at_ms, counts_from_ms, destination
     FROM fresh CROSS JOIN spends old WHERE old.wallet = ?1",
];

/// Makes `many` copies of a wallet. All that was asked so far was asked for it.
pub(crate) fn copies(db: &Connection, template: &str, many: usize) -> Result<(), Error> {
    db.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -800000;
         CREATE TEMP TABLE fresh (wallet TEXT, id BLOB);
         CREATE TEMP TABLE template_operations AS SELECT sender, result FROM operations ORDER BY rowid LIMIT 3;
         CREATE TEMP TABLE template_audit AS SELECT record FROM audit ORDER BY seq LIMIT 3;",
    )?;
    let mut left = many;
    while left > 0 {
        let chunk = CHUNK.min(left);
        db.execute_batch("BEGIN IMMEDIATE; DELETE FROM fresh")?;
        db.execute(
            "INSERT INTO fresh WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?1)
             SELECT lower(hex(randomblob(8))), randomblob(32) FROM n",
            [i64::try_from(chunk)?],
        )?;
        for statement in STATEMENTS {
            db.execute(statement, [template])?;
        }
        db.execute_batch("COMMIT")?;
        left -= chunk;
    }
    db.execute_batch("PRAGMA journal_mode = WAL")?;
    Ok(())
}
