//! The tables `transactions`, `claims` and `signatures`: what the owners sign for a payment.

use std::str::FromStr;

use chain::{Claim, KeyRole, Signatures};
use rusqlite::params;

use super::{Db, row::Named};
use crate::{
    domain::{Kind, PaymentId, Transaction},
    store::StoreError,
};

/// Writes all of a transaction over what was there of it.
pub(super) fn write(db: Db<'_>, payment: PaymentId, transaction: &Transaction) -> Result<(), StoreError> {
    let Transaction { kind, claims, from_block, unsigned, id, hot, cool } = transaction;
    let (payment, kind) = (payment.to_string(), kind.as_str());
    // Its claims and signatures go with the old row.
    db.execute("DELETE FROM transactions WHERE payment = ?1 AND kind = ?2", [&payment, kind])?;
    db.execute(
        "INSERT INTO transactions (payment, kind, from_block, unsigned, id) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![payment, kind, from_block, unsigned, id],
    )?;
    for (place, claim) in claims.iter().enumerate() {
        db.execute(
            "INSERT INTO claims (payment, kind, place, claim) VALUES (?1, ?2, ?3, ?4)",
            params![payment, kind, place, claim.to_string()],
        )?;
    }
    for (owner, signatures) in [(KeyRole::Hot, hot), (KeyRole::Cool, cool)] {
        for (place, signature) in signatures.iter().flatten().enumerate() {
            db.execute(
                "INSERT INTO signatures (payment, kind, owner, place, signature) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![payment, kind, owner.as_str(), place, signature],
            )?;
        }
    }
    Ok(())
}

/// Forgets all transactions of a payment.
pub(super) fn forget(db: Db<'_>, payment: PaymentId) -> Result<(), StoreError> {
    db.execute("DELETE FROM transactions WHERE payment = ?1", [payment.to_string()])?;
    Ok(())
}

/// The transaction of a kind, if it is built.
pub(super) fn read(db: Db<'_>, payment: PaymentId, kind: Kind) -> Result<Option<Transaction>, StoreError> {
    let id = payment.to_string();
    let key = [id.as_str(), kind.as_str()];
    let name = format!("transaction '{}' of payment '{payment}'", kind.as_str());
    let mut statement =
        db.prepare_cached("SELECT from_block, unsigned, id FROM transactions WHERE payment = ?1 AND kind = ?2")?;
    let mut rows = statement.query(key)?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let row = Named::new(row, name.clone());
    let claims = claims(db, key, &name)?;
    if claims.is_empty() {
        return Err(row.damaged("claims", "a transaction uses up at least one"));
    }
    Ok(Some(Transaction {
        kind,
        claims,
        from_block: row.get("from_block")?,
        unsigned: row.get("unsigned")?,
        id: row.get("id")?,
        hot: signatures(db, key, KeyRole::Hot)?,
        cool: signatures(db, key, KeyRole::Cool)?,
    }))
}

fn claims(db: Db<'_>, key: [&str; 2], name: &str) -> Result<Vec<Claim>, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT claim FROM claims WHERE payment = ?1 AND kind = ?2 ORDER BY place")?;
    let mut rows = statement.query(key)?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        claims.push(Named::new(row, name.to_owned()).parse("claim", Claim::from_str)?);
    }
    Ok(claims)
}

/// `None`: the owner has not signed.
fn signatures(db: Db<'_>, key: [&str; 2], owner: KeyRole) -> Result<Option<Signatures>, StoreError> {
    let [payment, kind] = key;
    let mut statement = db.prepare_cached(
        "SELECT signature FROM signatures WHERE payment = ?1 AND kind = ?2 AND owner = ?3 ORDER BY place",
    )?;
    let rows = statement.query_map([payment, kind, owner.as_str()], |row| row.get(0))?;
    let signatures: Signatures = rows.collect::<Result<_, _>>()?;
    Ok(Some(signatures).filter(|signatures| !signatures.is_empty()))
}
