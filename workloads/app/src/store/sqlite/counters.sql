-- How many payments there are of each status, kept in the transaction that changes them: nobody counts rows.
CREATE TABLE payment_counts (
  status TEXT PRIMARY KEY,
  payments INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO payment_counts SELECT status, count(*) FROM payments GROUP BY status;

CREATE TRIGGER payment_added AFTER INSERT ON payments BEGIN
  INSERT OR IGNORE INTO payment_counts VALUES (new.status, 0);
  UPDATE payment_counts SET payments = payments + 1 WHERE status = new.status;
END;
CREATE TRIGGER payment_moved AFTER UPDATE OF status ON payments WHEN new.status <> old.status BEGIN
  UPDATE payment_counts SET payments = payments - 1 WHERE status = old.status;
  INSERT OR IGNORE INTO payment_counts VALUES (new.status, 0);
  UPDATE payment_counts SET payments = payments + 1 WHERE status = new.status;
END;
CREATE TRIGGER payment_removed AFTER DELETE ON payments BEGIN
  UPDATE payment_counts SET payments = payments - 1 WHERE status = old.status;
END;

CREATE INDEX relays_under_way ON relays (ended) WHERE ended = 0;
CREATE INDEX relays_of_payment ON relays (payment);
