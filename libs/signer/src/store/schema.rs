//! The tables, and how an older file becomes a present one. The version is SQLite's `user_version`.

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// Steps from version n to n + 1; a step that was released never changes.
const MIGRATIONS: [&str; 10] = ["
    -- The signer's own keys; seeds are sealed.
    CREATE TABLE identity (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        nats_seed TEXT NOT NULL,
        message_seed TEXT NOT NULL,
        xkey_seed TEXT NOT NULL
    ) STRICT;

    -- Cooler: the cool key of each family of chains, sealed.
    CREATE TABLE cool_keys (
        namespace TEXT PRIMARY KEY,
        public_key BLOB NOT NULL,
        secret TEXT NOT NULL
    ) STRICT;

    -- Keeper: a phrase per user, its entropy sealed, and Keeper's attestation of its public keys.
    CREATE TABLE hot (
        wallet TEXT PRIMARY KEY,
        entropy TEXT NOT NULL,
        attestation BLOB NOT NULL
    ) STRICT;
    CREATE TABLE hot_keys (
        wallet TEXT NOT NULL REFERENCES hot,
        namespace TEXT NOT NULL,
        public_key BLOB NOT NULL UNIQUE,
        secret TEXT NOT NULL,
        PRIMARY KEY (wallet, namespace)
    ) STRICT;

    -- The registry: what this signer recomputed and attested.
    CREATE TABLE wallets (
        wallet TEXT PRIMARY KEY,
        hot_keys BLOB NOT NULL,
        salt BLOB NOT NULL,
        record BLOB NOT NULL
    ) STRICT;
    CREATE TABLE addresses (
        wallet TEXT NOT NULL REFERENCES wallets,
        chain TEXT NOT NULL,
        address TEXT NOT NULL,
        PRIMARY KEY (wallet, chain),
        UNIQUE (chain, address)
    ) STRICT;

    -- Idempotency: a row without result was recorded before signing and may be signed again.
    CREATE TABLE operations (
        sender TEXT NOT NULL,
        operation_id BLOB NOT NULL,
        digest BLOB NOT NULL,
        result BLOB,
        recorded_at INTEGER NOT NULL DEFAULT (unixepoch()),
        PRIMARY KEY (sender, operation_id)
    ) STRICT;

    -- At most one payment per nonce; cancels move nothing and are recorded beside it.
    CREATE TABLE watermarks (
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        nonce INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('payment', 'cancel')),
        digest BLOB NOT NULL,
        recorded_at INTEGER NOT NULL DEFAULT (unixepoch()),
        PRIMARY KEY (wallet, chain, nonce, kind, digest)
    ) STRICT;
    CREATE UNIQUE INDEX one_payment ON watermarks (wallet, chain, nonce) WHERE kind = 'payment';

    -- Cooler: every digest signed for an evacuation.
    CREATE TABLE evacuations (
        digest BLOB PRIMARY KEY,
        chain TEXT NOT NULL,
        address TEXT NOT NULL,
        recorded_at INTEGER NOT NULL DEFAULT (unixepoch())
    ) STRICT;

    -- The last documents that were good, for local commands without API server.
    CREATE TABLE documents (
        name TEXT PRIMARY KEY,
        content TEXT NOT NULL
    ) STRICT;
", "
    -- Keeper with ClientKey: recognises the key that a wallet's secrets are sealed with.
    ALTER TABLE hot ADD COLUMN verifier BLOB;

    -- The audit chain: record n commits to record n - 1.
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        hash BLOB NOT NULL,
        record BLOB NOT NULL
    ) STRICT;

    -- What no longer serves; the wallet '' is everything.
    CREATE TABLE freezes (
        wallet TEXT PRIMARY KEY,
        requester TEXT NOT NULL,
        reason TEXT NOT NULL,
        at_ms INTEGER NOT NULL
    ) STRICT;

    -- Nonces that the observer, or the admin in its place, attested as used up.
    CREATE TABLE settlements (
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        nonce INTEGER NOT NULL,
        digest BLOB NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (wallet, chain, nonce)
    ) STRICT;

    -- Signed amounts, 32 bytes big endian. Counted while counts_from_ms is empty, and for each window's length after it.
    CREATE TABLE spends (
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        nonce INTEGER NOT NULL,
        digest BLOB NOT NULL,
        asset TEXT NOT NULL,
        amount BLOB NOT NULL,
        signed_at_ms INTEGER NOT NULL,
        counts_from_ms INTEGER,
        PRIMARY KEY (wallet, chain, nonce, digest)
    ) STRICT;
    CREATE INDEX unsettled ON spends (wallet, chain, nonce) WHERE counts_from_ms IS NULL;

    -- Sums of spends for the windows in use, in buckets of a 64th of their length; bucket -1 is what is not settled.
    CREATE TABLE windows (
        length_ms INTEGER NOT NULL,
        scope TEXT NOT NULL CHECK (scope IN ('wallet', 'total')),
        PRIMARY KEY (length_ms, scope)
    ) STRICT;
    CREATE TABLE sums (
        length_ms INTEGER NOT NULL,
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        asset TEXT NOT NULL,
        bucket INTEGER NOT NULL,
        amount BLOB NOT NULL,
        PRIMARY KEY (length_ms, wallet, chain, asset, bucket)
    ) STRICT;

    -- Payments that wait for their time lock.
    CREATE TABLE announcements (
        digest BLOB PRIMARY KEY,
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        summary TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        vetoed_at_ms INTEGER
    ) STRICT;

    -- An intent is good for one transaction.
    CREATE TABLE intents (
        id BLOB PRIMARY KEY,
        digest BLOB NOT NULL
    ) STRICT;

    -- The newest audit head of other signers.
    CREATE TABLE heads (
        role TEXT PRIMARY KEY,
        overrides INTEGER NOT NULL,
        count INTEGER NOT NULL,
        attestation BLOB NOT NULL
    ) STRICT;

    -- Where the admin accepted this signer's chain: from 1 on, each attested by the signer's own key.
    CREATE TABLE overrides (
        id INTEGER PRIMARY KEY,
        attestation BLOB NOT NULL
    ) STRICT;

    -- Floors as they were seen: one that a looser one follows holds on for its own delay.
    CREATE TABLE floors (
        id INTEGER PRIMARY KEY,
        content TEXT NOT NULL,
        seen_at_ms INTEGER NOT NULL,
        superseded_at_ms INTEGER
    ) STRICT;
    CREATE TABLE destinations (
        chain TEXT NOT NULL,
        address TEXT NOT NULL,
        seen_at_ms INTEGER NOT NULL,
        PRIMARY KEY (chain, address)
    ) STRICT;
", "
    -- What signed transactions use up: a nonce of the wallet, or a coin of the chain (its transaction's id and, four
    -- bytes big endian, its place). All claims of a transaction are written at once. At most one payment per claim;
    -- cancels move nothing and are recorded beside it.
    CREATE TABLE claims (
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        nonce INTEGER,
        coin BLOB CHECK (length(coin) = 36),
        kind TEXT NOT NULL CHECK (kind IN ('payment', 'cancel')),
        id BLOB NOT NULL,
        recorded_at INTEGER NOT NULL DEFAULT (unixepoch()),
        CHECK ((nonce IS NULL) <> (coin IS NULL))
    ) STRICT;
    CREATE UNIQUE INDEX claim_once ON claims (wallet, chain, id, ifnull(nonce, -1), ifnull(coin, x''));
    CREATE UNIQUE INDEX one_payment_a_nonce ON claims (wallet, chain, nonce)
        WHERE nonce IS NOT NULL AND kind = 'payment';
    CREATE UNIQUE INDEX one_payment_a_coin ON claims (chain, coin) WHERE coin IS NOT NULL AND kind = 'payment';
    CREATE INDEX nonces ON claims (wallet, chain, nonce) WHERE nonce IS NOT NULL;
    CREATE INDEX coins ON claims (chain, coin) WHERE coin IS NOT NULL;
    INSERT INTO claims (wallet, chain, nonce, kind, id, recorded_at)
        SELECT wallet, chain, nonce, kind, digest, recorded_at FROM watermarks;
    -- An amount whose signature only an imported history knew.
    INSERT OR IGNORE INTO claims (wallet, chain, nonce, kind, id)
        SELECT wallet, chain, nonce, 'payment', digest FROM spends;
    DROP TABLE watermarks;

    -- Claims that the sentinel, or the admin in its place, attested as used up, and by which transaction.
    CREATE TABLE settled (
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        nonce INTEGER,
        coin BLOB CHECK (length(coin) = 36),
        id BLOB NOT NULL,
        at_ms INTEGER NOT NULL,
        CHECK ((nonce IS NULL) <> (coin IS NULL))
    ) STRICT;
    CREATE UNIQUE INDEX settled_nonce ON settled (wallet, chain, nonce) WHERE nonce IS NOT NULL;
    CREATE UNIQUE INDEX settled_coin ON settled (chain, coin) WHERE coin IS NOT NULL;
    INSERT INTO settled (wallet, chain, nonce, id, at_ms)
        SELECT wallet, chain, nonce, digest, at_ms FROM settlements;
    DROP TABLE settlements;

    -- Signed amounts, one per transaction and asset; otherwise as before.
    CREATE TABLE amounts (
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        id BLOB NOT NULL,
        asset TEXT NOT NULL,
        amount BLOB NOT NULL,
        signed_at_ms INTEGER NOT NULL,
        counts_from_ms INTEGER,
        PRIMARY KEY (wallet, chain, id, asset)
    ) STRICT;
    INSERT INTO amounts SELECT wallet, chain, digest, asset, amount, signed_at_ms, counts_from_ms FROM spends;
    DROP TABLE spends;
    ALTER TABLE amounts RENAME TO spends;
    CREATE INDEX outstanding ON spends (wallet, chain) WHERE counts_from_ms IS NULL;

    ALTER TABLE floors RENAME TO local_policies;

    -- A role has another name.
    UPDATE freezes SET requester = 'sentinel' WHERE requester = 'observer';
    UPDATE operations SET sender = 'sentinel' WHERE sender = 'observer';
    UPDATE heads SET role = 'sentinel' WHERE role = 'observer';
    -- And so has a field of the member trust.
    UPDATE documents SET content = json_remove(
        json_set(content, '$.localPolicy', json(json_extract(content, '$.floor'))), '$.floor')
        WHERE name = 'trust' AND json_valid(content) AND json_type(content, '$.floor') = 'object';
    UPDATE documents SET content = json_remove(
        json_set(content, '$.peers.sentinel', json(json_extract(content, '$.peers.observer'))), '$.peers.observer')
        WHERE name = 'trust' AND json_valid(content) AND json_type(content, '$.peers.observer') = 'array';
", "
    -- What App asked to be signed, one row an operation, in the order of the commits: read by an App that may have
    -- forgotten some of it. A row with a reason was refused. What was signed before has neither operation nor payment.
    CREATE TABLE records (
        number INTEGER PRIMARY KEY,
        operation_id BLOB,
        payment_id BLOB CHECK (length(payment_id) = 32),
        wallet TEXT NOT NULL,
        chain TEXT NOT NULL,
        id BLOB NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('payment', 'cancel')),
        reason TEXT
    ) STRICT;
    CREATE INDEX records_of_payment ON records (payment_id) WHERE payment_id IS NOT NULL;
    CREATE INDEX records_of_transaction ON records (wallet, chain, id);
    INSERT INTO records (wallet, chain, id, kind)
        SELECT wallet, chain, id, min(kind) FROM claims GROUP BY wallet, chain, id ORDER BY min(rowid);

    -- Whose numbers they are.
    CREATE TABLE store (id INTEGER PRIMARY KEY CHECK (id = 1), name BLOB NOT NULL) STRICT;
    INSERT INTO store VALUES (1, randomblob(16));
", "
    -- Where an amount goes, display form: an evacuation tells people of it. Empty where it goes to several places, and of
    -- what was signed before or came with a history.
    ALTER TABLE spends ADD COLUMN destination TEXT;
", include_str!("schema/settlements.sql"), include_str!("schema/epoch.sql"), include_str!("schema/pruning.sql"), include_str!("schema/growth.sql"), include_str!("schema/authentic.sql")];

/// The version that this build writes.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Brings the file to the present version; refuses one from the future.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    // Immediate: the process and a local command may both come first.
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > KNOWN {
        return Err(StoreError::TooNew { version, known: KNOWN });
    }
    for step in &MIGRATIONS[version as usize..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", KNOWN)?;
    tx.commit()?;
    Ok(())
}

/// Everything that the file says of itself but for its rows: tables, indices, and whatever else somebody may have put there.
type Shape = Vec<(String, String, Option<String>)>;

pub(super) fn shape(connection: &Connection) -> Result<Shape, StoreError> {
    // What SQLite counts for its planner changes no result.
    let query = "SELECT type, name, sql FROM main.sqlite_schema WHERE name NOT GLOB 'sqlite_stat*' ORDER BY type, name";
    let mut query = connection.prepare(query)?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The shape that this build gives to a file.
pub(super) fn expected() -> Result<Shape, StoreError> {
    let connection = Connection::open_in_memory()?;
    MIGRATIONS.iter().try_for_each(|step| connection.execute_batch(step))?;
    shape(&connection)
}

#[cfg(test)]
mod tests;
