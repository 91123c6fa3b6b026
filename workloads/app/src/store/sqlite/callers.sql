-- An idempotency key is its caller's own: the caller's name, a blank, the key. Neither contains a blank.
UPDATE payments SET idempotency_key = 'default ' || idempotency_key;

-- The wallet that was named in the place of an address.
ALTER TABLE payments ADD COLUMN to_wallet TEXT;

-- Lists. Each index ends with the sequence, which is the table's key already where it is not named.
CREATE INDEX payments_of_a_wallet ON payments (wallet);
CREATE INDEX payments_of_a_status ON payments (status);
CREATE INDEX payments_of_an_asset ON payments (asset);
CREATE INDEX payments_in_time ON payments (created_at);

-- Rises in the order in which wallets were asked for.
ALTER TABLE wallets ADD COLUMN sequence INTEGER;
UPDATE wallets SET sequence = rowid;
CREATE UNIQUE INDEX wallets_in_order ON wallets (sequence);
CREATE INDEX wallets_by_address ON wallets (address, sequence);
CREATE VIEW given_out_wallets AS SELECT * FROM wallets WHERE address IS NOT NULL;
