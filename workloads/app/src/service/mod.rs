//! What requests ask for, in domain types: HTTP parses before, and renders after.

pub(crate) mod payments;
pub(crate) mod wallets;
