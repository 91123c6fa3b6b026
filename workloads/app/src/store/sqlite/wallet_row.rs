//! A row of the table `wallets`, read.

use chain::ChainRules;
use rusqlite::Row;

use super::row::Named;
use crate::{
    domain::{Address, Attested, Seed, Wallet},
    store::StoreError,
};

/// What [`wallet`] reads.
pub(super) const COLUMNS: &str = "id, operation_seed, hot_key, address, keeper_attestation, cooler_attestation";

pub(super) fn wallet(row: &Row<'_>, rules: &dyn ChainRules) -> Result<Wallet, StoreError> {
    let row = Named::keyed(row, "wallet", "id")?;
    let attested = match row.get::<Option<String>>("address")? {
        None => None,
        Some(_) => Some(Attested {
            hot_key: row.get("hot_key")?,
            address: row.parse("address", |text| Address::canonical(text, rules))?,
            keeper: row.get("keeper_attestation")?,
            cooler: row.get("cooler_attestation")?,
        }),
    };
    Ok(Wallet { id: row.parse("id", str::parse)?, seed: Seed(row.get("operation_seed")?), attested })
}
