-- How many secrets each version of the Vault's key has sealed, of the tables that grow with the wallets: nobody has to go
-- through these for it.
CREATE TABLE sealed_versions (version INTEGER PRIMARY KEY, secrets INTEGER NOT NULL) STRICT;
INSERT INTO sealed_versions (version, secrets)
    SELECT version, count(*) FROM (
        SELECT CAST(substr(entropy, 8) AS INTEGER) AS version FROM hot WHERE entropy GLOB 'vault:v[0-9]*'
        UNION ALL
        SELECT CAST(substr(secret, 8) AS INTEGER) FROM hot_keys WHERE secret GLOB 'vault:v[0-9]*'
    ) GROUP BY version;
CREATE TRIGGER hot_sealed AFTER INSERT ON hot WHEN NEW.entropy GLOB 'vault:v[0-9]*' BEGIN
    INSERT INTO sealed_versions VALUES (CAST(substr(NEW.entropy, 8) AS INTEGER), 1)
        ON CONFLICT (version) DO UPDATE SET secrets = secrets + 1;
END;
CREATE TRIGGER hot_resealed_from AFTER UPDATE OF entropy ON hot WHEN OLD.entropy GLOB 'vault:v[0-9]*' BEGIN
    UPDATE sealed_versions SET secrets = secrets - 1 WHERE version = CAST(substr(OLD.entropy, 8) AS INTEGER);
END;
CREATE TRIGGER hot_resealed_to AFTER UPDATE OF entropy ON hot WHEN NEW.entropy GLOB 'vault:v[0-9]*' BEGIN
    INSERT INTO sealed_versions VALUES (CAST(substr(NEW.entropy, 8) AS INTEGER), 1)
        ON CONFLICT (version) DO UPDATE SET secrets = secrets + 1;
END;
CREATE TRIGGER hot_dropped AFTER DELETE ON hot WHEN OLD.entropy GLOB 'vault:v[0-9]*' BEGIN
    UPDATE sealed_versions SET secrets = secrets - 1 WHERE version = CAST(substr(OLD.entropy, 8) AS INTEGER);
END;
CREATE TRIGGER hot_key_sealed AFTER INSERT ON hot_keys WHEN NEW.secret GLOB 'vault:v[0-9]*' BEGIN
    INSERT INTO sealed_versions VALUES (CAST(substr(NEW.secret, 8) AS INTEGER), 1)
        ON CONFLICT (version) DO UPDATE SET secrets = secrets + 1;
END;
CREATE TRIGGER hot_key_resealed_from AFTER UPDATE OF secret ON hot_keys WHEN OLD.secret GLOB 'vault:v[0-9]*' BEGIN
    UPDATE sealed_versions SET secrets = secrets - 1 WHERE version = CAST(substr(OLD.secret, 8) AS INTEGER);
END;
CREATE TRIGGER hot_key_resealed_to AFTER UPDATE OF secret ON hot_keys WHEN NEW.secret GLOB 'vault:v[0-9]*' BEGIN
    INSERT INTO sealed_versions VALUES (CAST(substr(NEW.secret, 8) AS INTEGER), 1)
        ON CONFLICT (version) DO UPDATE SET secrets = secrets + 1;
END;
CREATE TRIGGER hot_key_dropped AFTER DELETE ON hot_keys WHEN OLD.secret GLOB 'vault:v[0-9]*' BEGIN
    UPDATE sealed_versions SET secrets = secrets - 1 WHERE version = CAST(substr(OLD.secret, 8) AS INTEGER);
END;

-- A window that is new to a store with many amounts is counted bit by bit: amounts up to this row of the table spends
-- are not in its sums yet. 0: all are.
ALTER TABLE windows ADD COLUMN uncounted INTEGER NOT NULL DEFAULT 0;

CREATE INDEX records_of_wallet ON records (wallet);
CREATE INDEX announcements_in_order ON announcements (at_ms, digest);
