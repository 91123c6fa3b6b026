//! The table `payments`.

use std::sync::Arc;

use async_trait::async_trait;
use chain::{ChainRules, Claim};
use custody::WalletId;
use jiff::Timestamp;
use prost::Message;
use rusqlite::params;

use super::{
    Clock, Db, Sqlite, history, lists,
    payment_row::{COLUMNS, read},
    row::Named,
    transactions,
};
use crate::{
    domain::{History, Kind, NewPayment, Page, Payment, PaymentFilter, PaymentId, Stage, Status, Transaction},
    store::{Payments, StoreError, rows::Rows},
};

#[async_trait]
impl Payments for Sqlite {
    async fn accept(&self, new: NewPayment) -> Result<Option<Payment>, StoreError> {
        let (rules, clock) = (self.rules.clone(), self.clock);
        self.write(move |db| {
            let NewPayment { id, caller, idempotency_key, order, seed } = new;
            let key = [caller.as_str(), idempotency_key.as_str()].join(" ");
            // Times rise with the sequence, also where a clock was put back: a list by time is one by sequence.
            let stored = db.execute(
                "INSERT OR IGNORE INTO payments
                   (id, idempotency_key, wallet, recipient, asset, amount, intent, status, stage, operation_seed,
                    to_wallet, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'accepted', 'prepare', ?8, ?9,
                    max(?10, coalesce((SELECT max(created_at) FROM payments), 0)), ?10)",
                params![
                    id.to_string(),
                    key,
                    order.wallet.as_str(),
                    order.to.as_str(),
                    order.asset.as_str(),
                    order.amount.to_string(),
                    order.intent.as_ref().map(Message::encode_to_vec),
                    seed.0,
                    order.to_wallet.as_ref().map(WalletId::as_str),
                    clock().as_millisecond()
                ],
            )?;
            if stored == 1 {
                history::note(db, id)?;
            }
            let payment = one(db, &*rules, "idempotency_key = ?1", &key)?;
            let payment = payment.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            Ok((stored == 1 || payment.order == order).then_some(payment))
        })
        .await
    }

    async fn payments(&self, filter: PaymentFilter, page: Page) -> Result<Rows<(Payment, History)>, StoreError> {
        let rules = self.rules.clone();
        self.read(move |db| lists::payments(db, &*rules, &filter, &page)).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.one("id = ?1", id.to_string()).await
    }

    async fn next_payment(&self, wallet: &WalletId) -> Result<Option<Payment>, StoreError> {
        let condition =
            "wallet = ?1 AND stage <> 'done' AND stage NOT IN ('follow', 'short') ORDER BY sequence LIMIT 1";
        self.one(condition, wallet.to_string()).await
    }

    async fn history(&self, id: PaymentId) -> Result<History, StoreError> {
        self.read(move |db| history::read(db, id)).await
    }

    async fn followed(&self) -> Result<Vec<Payment>, StoreError> {
        let rules = self.rules.clone();
        self.read(move |db| {
            let condition = "stage IN ('follow', 'short') ORDER BY sequence";
            let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM payments WHERE {condition}"))?;
            let mut rows = statement.query([])?;
            let mut payments = Vec::new();
            while let Some(row) = rows.next()? {
                payments.push(read(row, &*rules)?);
            }
            Ok(payments)
        })
        .await
    }

    async fn holder(&self, wallet: &WalletId, claims: &[Claim]) -> Result<Option<PaymentId>, StoreError> {
        let (wallet, claims) = (wallet.to_string(), claims.to_vec());
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT payments.id FROM payments JOIN claims ON claims.payment = payments.id
                 WHERE payments.wallet = ?1 AND payments.stage <> 'done' AND payments.stage = 'follow'
                   AND claims.claim = ?2 LIMIT 1",
            )?;
            for claim in claims {
                let mut rows = statement.query([&wallet, &claim.to_string()])?;
                if let Some(row) = rows.next()? {
                    return Ok(Some(Named::new(row, "payments".to_owned()).parse("id", str::parse)?));
                }
            }
            Ok(None)
        })
        .await
    }

    async fn busy_wallets(&self) -> Result<Vec<WalletId>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT DISTINCT wallet FROM payments WHERE stage <> 'done' AND stage NOT IN ('follow', 'short')",
            )?;
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
        let clock = self.clock;
        self.write(move |db| write(db, &payment, clock)).await
    }

    async fn record(&self, payment: Payment, transaction: Transaction) -> Result<(), StoreError> {
        let clock = self.clock;
        self.write(move |db| {
            write(db, &payment, clock)?;
            transactions::write(db, payment.id, &transaction)
        })
        .await
    }

    async fn restart(&self, payment: Payment) -> Result<(), StoreError> {
        let clock = self.clock;
        self.write(move |db| {
            write(db, &payment, clock)?;
            transactions::forget(db, payment.id)
        })
        .await
    }

    async fn transaction(&self, payment: PaymentId, kind: Kind) -> Result<Option<Transaction>, StoreError> {
        self.read(move |db| transactions::read(db, payment, kind)).await
    }

    async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT status, payments FROM payment_counts WHERE payments > 0")?;
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
        self.read(move |db| one(db, &*rules, condition, &value)).await
    }
}

fn write(db: Db<'_>, payment: &Payment, clock: Clock) -> Result<(), StoreError> {
    db.execute(
        "UPDATE payments SET status = ?2, stage = ?3, reason = ?4, message = ?5, tx = ?6, operation_seed = ?7,
           ending = ?8, cancel_attempts = ?9, reverts = ?10, trouble = ?11, not_before = ?12, block = ?13,
           moved = ?14, back = ?15, updated_at = ?16
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
            payment.not_before.map(Timestamp::as_millisecond),
            payment.block,
            payment.moved.map(|amount| amount.to_string()),
            payment.back.map(Stage::as_str),
            clock().as_millisecond()
        ],
    )?;
    history::note(db, payment.id)
}

fn one(db: Db<'_>, rules: &dyn ChainRules, condition: &str, value: &str) -> Result<Option<Payment>, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM payments WHERE {condition}"))?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(|row| read(row, rules)).transpose()
}
