    -- What came of an operation whose stored reply is pruned: 'Done', or why it was refused; and, of one that signed, its
    -- row in records, by which its claims are found.
    ALTER TABLE operations ADD COLUMN outcome TEXT;
    ALTER TABLE operations ADD COLUMN record INTEGER;
    UPDATE operations SET record = r.number FROM records r
        WHERE operations.sender = 'app' AND operations.operation_id = r.operation_id AND r.reason IS NULL;
    CREATE INDEX replies ON operations (recorded_at) WHERE result IS NOT NULL;

    -- How much there is of what has a quota: nobody counts rows. Refusals whose replies are not pruned; keys made;
    -- wallets registered.
    CREATE TABLE used (
        what TEXT PRIMARY KEY CHECK (what IN ('refusals', 'keys', 'wallets')),
        minute INTEGER NOT NULL,
        in_minute INTEGER NOT NULL,
        in_all INTEGER NOT NULL
    ) STRICT;
    INSERT INTO used VALUES
        ('refusals', 0, 0, 0),
        ('keys', 0, 0, (SELECT count(*) FROM hot)),
        ('wallets', 0, 0, (SELECT count(*) FROM wallets));

    -- Freezes of wallets that nobody has registered are counted, since anything has a name.
    ALTER TABLE freezes ADD COLUMN unregistered INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX unregistered_freezes ON freezes (wallet) WHERE unregistered = 1;

    -- An export reads wallet by wallet.
    CREATE INDEX settled_coins_of_wallet ON settled (wallet, chain) WHERE coin IS NOT NULL;
