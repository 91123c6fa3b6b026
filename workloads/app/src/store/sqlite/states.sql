-- States have one owner each, and every change of them is kept with its time.
UPDATE payments SET status = CASE
    WHEN status IN ('requested', 'checking') AND stage = 'deploy' THEN 'checked'
    WHEN status IN ('requested', 'checking') THEN 'accepted'
    WHEN status = 'signing' AND stage IN ('prepare', 'check') THEN 'accepted'
    WHEN status = 'signing' AND
      (SELECT count(DISTINCT owner) FROM signatures WHERE payment = payments.id AND kind = 'payment') = 2 THEN 'signed'
    WHEN status = 'signing' THEN 'checked'
    ELSE status
  END;

-- Unix milliseconds; absent for payments of databases that kept no times.
ALTER TABLE payments ADD COLUMN created_at INTEGER;
ALTER TABLE payments ADD COLUMN updated_at INTEGER;
-- Number of the block that decides the payment, or speaks against it.
ALTER TABLE payments ADD COLUMN block INTEGER;
-- What reached the destination, where that is less than the amount.
ALTER TABLE payments ADD COLUMN moved TEXT;
-- The stage in which it goes on should the block that decides it vanish.
ALTER TABLE payments ADD COLUMN back TEXT;

CREATE INDEX followed_payments ON payments (sequence) WHERE stage IN ('follow', 'short');

CREATE TABLE payment_history (
  payment TEXT NOT NULL REFERENCES payments (id),
  place INTEGER NOT NULL,
  -- Unix milliseconds.
  at INTEGER NOT NULL,
  status TEXT NOT NULL,
  reason TEXT,
  tx TEXT,
  block INTEGER,
  PRIMARY KEY (payment, place)
) STRICT, WITHOUT ROWID;
