//! One Vault client: login by projected token, renewal, Transit with context and batches, set-up by an administrator.
