//! Secrets at rest: sealed by a Vault's Transit key, bound to what they belong to.
