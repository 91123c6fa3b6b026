-- The lives of this database: each restore from a backup begins another.
CREATE TABLE epochs (
  number INTEGER PRIMARY KEY,
  -- Unix seconds.
  began_at INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;
INSERT INTO epochs (number) VALUES (1);

-- How far each signer's records are read.
CREATE TABLE readings (
  signer TEXT PRIMARY KEY,
  -- 16 bytes of the signer's store: whose numbers they are.
  store BLOB NOT NULL,
  number INTEGER NOT NULL,
  -- The chain's newest block when the end was read.
  block INTEGER NOT NULL
) STRICT;

-- Transactions that a signer has recorded for payments that are not in this database, or not as far as that.
CREATE TABLE lost (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  payment TEXT NOT NULL,
  wallet TEXT NOT NULL,
  -- 32 bytes that stand for all that is signed.
  id BLOB NOT NULL,
  -- 'nonce N' or 'coin ID:PLACE', one a line.
  claims TEXT NOT NULL,
  -- A block at which the claims were still free.
  from_block INTEGER NOT NULL,
  UNIQUE (payment, id)
) STRICT;
CREATE INDEX lost_of_payment ON lost (payment, sequence);
