-- How many processes have begun to serve from this volume: each takes the next number before it asks to be vouched for.
CREATE TABLE start (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
INSERT INTO start VALUES (1, 0);

-- Cooler, of Keeper's head: App has forwarded one, and has to from then on.
ALTER TABLE heads ADD COLUMN forwarded INTEGER NOT NULL DEFAULT 0;
