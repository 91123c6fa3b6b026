-- The store key, sealed by the signer's Vault.
CREATE TABLE store_key (id INTEGER PRIMARY KEY CHECK (id = 1), sealed TEXT NOT NULL) STRICT;

-- What the store key says of the rows of all authenticated tables, in the same commit as they; sealed by it.
CREATE TABLE tally (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL) STRICT;

-- A freeze that was made without the store key holds at once, and is in no tally before somebody has the key.
ALTER TABLE freezes ADD COLUMN pending INTEGER NOT NULL DEFAULT 1 CHECK (pending IN (0, 1));
CREATE INDEX pending_freezes ON freezes (pending) WHERE pending = 1;
