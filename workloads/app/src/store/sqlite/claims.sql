-- Chains differ in what a transaction uses up and in how many signatures of each owner it takes.
CREATE TABLE claims (
  payment TEXT NOT NULL,
  kind TEXT NOT NULL,
  place INTEGER NOT NULL,
  -- 'nonce N', or 'coin ID:PLACE'.
  claim TEXT NOT NULL,
  PRIMARY KEY (payment, kind, place),
  FOREIGN KEY (payment, kind) REFERENCES transactions (payment, kind) ON DELETE CASCADE
) STRICT;
INSERT INTO claims (payment, kind, place, claim) SELECT payment, kind, 0, 'nonce ' || nonce FROM transactions;

CREATE TABLE signatures (
  payment TEXT NOT NULL,
  kind TEXT NOT NULL,
  -- 'hot' or 'cool'.
  owner TEXT NOT NULL,
  place INTEGER NOT NULL,
  signature BLOB NOT NULL,
  PRIMARY KEY (payment, kind, owner, place),
  FOREIGN KEY (payment, kind) REFERENCES transactions (payment, kind) ON DELETE CASCADE
) STRICT;
INSERT INTO signatures (payment, kind, owner, place, signature)
  SELECT payment, kind, 'hot', 0, hot_signature FROM transactions WHERE hot_signature IS NOT NULL
  UNION ALL
  SELECT payment, kind, 'cool', 0, cool_signature FROM transactions WHERE cool_signature IS NOT NULL;

ALTER TABLE transactions DROP COLUMN nonce;
ALTER TABLE transactions DROP COLUMN hot_signature;
ALTER TABLE transactions DROP COLUMN cool_signature;
-- 32 bytes that stand for all that is signed.
ALTER TABLE transactions RENAME COLUMN digest TO id;

CREATE TABLE named_relays (
  -- The chain's name of the transaction.
  tx TEXT PRIMARY KEY,
  payment TEXT NOT NULL REFERENCES payments (id),
  purpose TEXT NOT NULL,
  -- What of the relayer's it uses up.
  claim TEXT NOT NULL,
  raw BLOB NOT NULL,
  ended INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO named_relays (tx, payment, purpose, claim, raw, ended)
  SELECT '0x' || lower(hex(hash)), payment, purpose, 'nonce ' || nonce, raw, ended FROM relays ORDER BY rowid;
DROP TABLE relays;
ALTER TABLE named_relays RENAME TO relays;
