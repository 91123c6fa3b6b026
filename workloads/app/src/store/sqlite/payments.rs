//! The table `payments`.

use std::sync::Arc;

use async_trait::async_trait;
use chain::ChainRules;
use custody::WalletId;
use jiff::Timestamp;
use prost::Message;
use protocol::ops::Attestation;
use rusqlite::{Connection, Row, params};

use super::{Sqlite, row::Named, transactions};
use crate::{
    domain::{Address, Kind, NewPayment, Order, Payment, PaymentId, Seed, Stage, Status, Transaction},
    store::{Payments, StoreError},
};

#[async_trait]
impl Payments for Sqlite {
    async fn accept(&self, new: NewPayment) -> Result<Option<Payment>, StoreError> {
        let rules = self.rules.clone();
        self.run(move |db| {
            let NewPayment { id, idempotency_key, order, seed } = new;
            let stored = db.execute(
                "INSERT OR IGNORE INTO payments
                   (id, idempotency_key, wallet, recipient, asset, amount, intent, status, stage, operation_seed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'requested', 'prepare', ?8)",
                params![
                    id.to_string(),
                    idempotency_key.as_str(),
                    order.wallet.as_str(),
                    order.to.as_str(),
                    order.asset.as_str(),
                    order.amount.to_string(),
                    order.intent.as_ref().map(Message::encode_to_vec),
                    seed.0
                ],
            )?;
            let payment = one(db, &*rules, "idempotency_key = ?1", idempotency_key.as_str())?;
            let payment = payment.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok((stored == 1 || payment.order == order).then_some(payment))
        })
        .await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.one("id = ?1", id.to_string()).await
    }

    async fn next_payment(&self, wallet: &WalletId) -> Result<Option<Payment>, StoreError> {
        self.one("wallet = ?1 AND stage <> 'done' ORDER BY sequence LIMIT 1", wallet.to_string()).await
    }

    async fn busy_wallets(&self) -> Result<Vec<WalletId>, StoreError> {
        self.run(|db| {
            let mut statement = db.prepare("SELECT DISTINCT wallet FROM payments WHERE stage <> 'done'")?;
            let mut rows = statement.query([])?;
            let mut wallets = Vec::new();
            while let Some(row) = rows.next()? {
                wallets.push(Named::new(row, "payments".to_owned()).parse("wallet", str::parse)?);
            }
            Ok(wallets)
        })
        .await
    }

    async fn update(&self, payment: Payment) -> Result<(), StoreError> {
        self.run(move |db| write(db, &payment)).await
    }

    async fn record(&self, payment: Payment, transaction: Transaction) -> Result<(), StoreError> {
        self.run(move |db| {
            let commit = db.transaction()?;
            write(&commit, &payment)?;
            transactions::write(&commit, payment.id, &transaction)?;
            Ok(commit.commit()?)
        })
        .await
    }

    async fn restart(&self, payment: Payment) -> Result<(), StoreError> {
        self.run(move |db| {
            let commit = db.transaction()?;
            write(&commit, &payment)?;
            transactions::forget(&commit, payment.id)?;
            Ok(commit.commit()?)
        })
        .await
    }

    async fn transaction(&self, payment: PaymentId, kind: Kind) -> Result<Option<Transaction>, StoreError> {
        self.run(move |db| transactions::read(db, payment, kind)).await
    }

    async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        self.run(|db| {
            let mut statement = db.prepare("SELECT status, count(*) AS payments FROM payments GROUP BY status")?;
            let mut rows = statement.query([])?;
            let mut counts = Vec::new();
            while let Some(row) = rows.next()? {
                let row = Named::new(row, "payments".to_owned());
                counts.push((row.named("status", Status::named)?, row.get("payments")?));
            }
            Ok(counts)
        })
        .await
    }
}

impl Sqlite {
    async fn one(&self, condition: &'static str, value: String) -> Result<Option<Payment>, StoreError> {
        let rules: Arc<dyn ChainRules> = self.rules.clone();
        self.run(move |db| one(db, &*rules, condition, &value)).await
    }
}

fn write(db: &Connection, payment: &Payment) -> Result<(), StoreError> {
    db.execute(
        "UPDATE payments SET status = ?2, stage = ?3, reason = ?4, message = ?5, tx = ?6, operation_seed = ?7,
           ending = ?8, cancel_attempts = ?9, reverts = ?10, trouble = ?11, not_before = ?12
         WHERE id = ?1",
        params![
            payment.id.to_string(),
            payment.status.as_str(),
            payment.stage.as_str(),
            payment.reason,
            payment.message,
            payment.tx,
            payment.seed.0,
            payment.ending.map(Status::as_str),
            payment.cancel_attempts,
            payment.reverts,
            payment.trouble,
            payment.not_before.map(Timestamp::as_millisecond)
        ],
    )?;
    Ok(())
}

fn one(db: &Connection, rules: &dyn ChainRules, condition: &str, value: &str) -> Result<Option<Payment>, StoreError> {
    let columns = "id, wallet, recipient, asset, amount, intent, status, stage, reason, message, tx, operation_seed,
                   ending, cancel_attempts, reverts, trouble, not_before";
    let mut statement = db.prepare_cached(&format!("SELECT {columns} FROM payments WHERE {condition}"))?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(|row| read(row, rules)).transpose()
}

fn read(row: &Row<'_>, rules: &dyn ChainRules) -> Result<Payment, StoreError> {
    let row = Named::keyed(row, "payment", "id")?;
    let id: PaymentId = row.parse("id", str::parse)?;
    let status = |column| row.named(column, Status::named);
    let has_ending = row.get::<Option<String>>("ending")?.is_some();
    Ok(Payment {
        id,
        order: order(&row, rules)?,
        status: status("status")?,
        stage: row.named("stage", Stage::named)?,
        reason: row.get("reason")?,
        message: row.get("message")?,
        tx: row.get("tx")?,
        seed: Seed(row.get("operation_seed")?),
        ending: has_ending.then(|| status("ending")).transpose()?,
        cancel_attempts: row.get("cancel_attempts")?,
        reverts: row.get("reverts")?,
        trouble: row.get("trouble")?,
        not_before: row.get::<Option<i64>>("not_before")?.map(|ms| time(&row, ms)).transpose()?,
    })
}

fn order(row: &Named<'_>, rules: &dyn ChainRules) -> Result<Order, StoreError> {
    let intent: Option<Vec<u8>> = row.get("intent")?;
    let intent = intent.map(|bytes| Attestation::decode(&*bytes)).transpose();
    Ok(Order {
        wallet: row.parse("wallet", str::parse)?,
        to: row.parse("recipient", |text| Address::canonical(text, rules))?,
        asset: row.parse("asset", str::parse)?,
        amount: row.parse("amount", str::parse)?,
        intent: intent.map_err(|why| row.damaged("intent", why))?,
    })
}

fn time(row: &Named<'_>, ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|why| row.damaged("not_before", why))
}
