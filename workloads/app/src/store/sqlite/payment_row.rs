//! A row of the table `payments`, read.

use chain::ChainRules;
use prost::Message;
use protocol::ops::Attestation;
use rusqlite::Row;

use super::{history, row::Named};
use crate::{
    domain::{Address, Order, Payment, PaymentId, Seed, Stage, Status},
    store::StoreError,
};

/// What [`read`] reads.
pub(super) const COLUMNS: &str =
    "id, wallet, recipient, to_wallet, asset, amount, intent, status, stage, reason, message, tx,
    operation_seed, ending, cancel_attempts, reverts, trouble, not_before, block, moved, back";

pub(super) fn read(row: &Row<'_>, rules: &dyn ChainRules) -> Result<Payment, StoreError> {
    let row = Named::keyed(row, "payment", "id")?;
    let id: PaymentId = row.parse("id", str::parse)?;
    let status = |column| row.named(column, Status::named);
    let has = |column| Ok::<_, StoreError>(row.get::<Option<String>>(column)?.is_some());
    Ok(Payment {
        id,
        order: order(&row, rules)?,
        status: status("status")?,
        stage: row.named("stage", Stage::named)?,
        reason: row.get("reason")?,
        message: row.get("message")?,
        tx: row.get("tx")?,
        seed: Seed(row.get("operation_seed")?),
        block: row.get("block")?,
        moved: has("moved")?.then(|| row.parse("moved", str::parse)).transpose()?,
        ending: has("ending")?.then(|| status("ending")).transpose()?,
        back: has("back")?.then(|| row.named("back", Stage::named)).transpose()?,
        cancel_attempts: row.get("cancel_attempts")?,
        reverts: row.get("reverts")?,
        trouble: row.get("trouble")?,
        not_before: history::time(&row, "not_before")?,
    })
}

fn order(row: &Named<'_>, rules: &dyn ChainRules) -> Result<Order, StoreError> {
    let intent: Option<Vec<u8>> = row.get("intent")?;
    let intent = intent.map(|bytes| Attestation::decode(&*bytes)).transpose();
    Ok(Order {
        wallet: row.parse("wallet", str::parse)?,
        to: row.parse("recipient", |text| Address::canonical(text, rules))?,
        to_wallet: row.get::<Option<String>>("to_wallet")?.map(|_| row.parse("to_wallet", str::parse)).transpose()?,
        asset: row.parse("asset", str::parse)?,
        amount: row.parse("amount", str::parse)?,
        intent: intent.map_err(|why| row.damaged("intent", why))?,
    })
}
