-- How sure a settlement is, and who attested it. What was attested before was meant for good.
ALTER TABLE settled ADD COLUMN state TEXT NOT NULL DEFAULT 'final' CHECK (state IN ('final', 'used', 'revoked'));
ALTER TABLE settled ADD COLUMN attester TEXT NOT NULL DEFAULT '';
CREATE INDEX not_final ON settled (wallet, chain, nonce) WHERE nonce IS NOT NULL AND state <> 'final';

-- What a payment that waits would use up: at most one waits for a claim of a wallet. Its row here goes when it is
-- signed, replaced, vetoed or lapsed.
CREATE TABLE waiting (
    wallet TEXT NOT NULL,
    chain TEXT NOT NULL,
    nonce INTEGER,
    coin BLOB CHECK (length(coin) = 36),
    digest BLOB NOT NULL,
    lapses_at_ms INTEGER NOT NULL,
    CHECK ((nonce IS NULL) <> (coin IS NULL))
) STRICT;
CREATE UNIQUE INDEX waiting_nonce ON waiting (wallet, chain, nonce) WHERE nonce IS NOT NULL;
CREATE UNIQUE INDEX waiting_coin ON waiting (wallet, chain, coin) WHERE coin IS NOT NULL;
CREATE INDEX waiting_digest ON waiting (digest);
CREATE INDEX waiting_lapses ON waiting (lapses_at_ms);

-- Vetoes that stand until they are lifted: of all payments of a wallet, or to a destination (lower case).
CREATE TABLE vetoes (
    scope TEXT NOT NULL CHECK (scope IN ('wallet', 'destination')),
    name TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) STRICT;
