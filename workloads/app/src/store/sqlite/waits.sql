-- Secret: what Keeper opens the wallet's hot keys with, where it seals them by client keys. Once lost, cool and cold are
-- what is left to move this wallet.
ALTER TABLE wallets ADD COLUMN client_key BLOB;

-- Somebody else's signed intent, handed on to the signers as it came: an encoded Attestation.
ALTER TABLE payments ADD COLUMN intent BLOB;
-- While it waits for the signers' time locks: when the later of them has passed, Unix milliseconds.
ALTER TABLE payments ADD COLUMN not_before INTEGER;
