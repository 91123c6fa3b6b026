CREATE TABLE wallets (
  id TEXT PRIMARY KEY,
  -- 16 random bytes: the operation ids of this wallet's creation are derived from it, the same in every retry.
  operation_seed BLOB NOT NULL,
  -- The rest is there once Keeper and Cooler have both attested the wallet.
  hot_key BLOB,
  address TEXT,
  keeper_attestation BLOB,
  cooler_attestation BLOB
) STRICT;

CREATE TABLE payments (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  idempotency_key TEXT NOT NULL UNIQUE,
  wallet TEXT NOT NULL REFERENCES wallets (id),
  recipient TEXT NOT NULL,
  asset TEXT NOT NULL,
  amount TEXT NOT NULL,
  status TEXT NOT NULL,
  stage TEXT NOT NULL,
  reason TEXT,
  message TEXT,
  trouble TEXT,
  tx TEXT,
  -- 16 random bytes: operation ids are derived from it; renewed only when nothing may be signed under the old ones.
  operation_seed BLOB NOT NULL,
  -- How this payment ends once its nonce is ended by the cancel.
  ending TEXT,
  -- Counts the cancel's requests to the signers: a refused one is asked again under another operation id.
  cancel_attempts INTEGER NOT NULL DEFAULT 0,
  reverts INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX unfinished_payments ON payments (wallet, sequence) WHERE stage <> 'done';

-- What the wallet's owners sign for a payment: the payment itself, and the cancel at the same nonce.
CREATE TABLE transactions (
  payment TEXT NOT NULL REFERENCES payments (id),
  kind TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  -- Block from which on its execution may be found.
  from_block INTEGER NOT NULL,
  unsigned BLOB NOT NULL,
  digest BLOB NOT NULL,
  hot_signature BLOB,
  cool_signature BLOB,
  PRIMARY KEY (payment, kind)
) STRICT;

-- The relayer's transactions, recorded before they are sent.
CREATE TABLE relays (
  hash BLOB PRIMARY KEY,
  payment TEXT NOT NULL REFERENCES payments (id),
  purpose TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  raw BLOB NOT NULL,
  ended INTEGER NOT NULL DEFAULT 0
) STRICT;
