//! Payments, and what the owners sign for them.

use std::fmt;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Store, StoreError};

/// What users see of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Requested,
    Checking,
    Waiting,
    Signing,
    Broadcast,
    Confirmed,
    Refused,
    Failed,
    Cancelled,
}

impl Status {
    pub(crate) const ALL: [Status; 9] = [
        Status::Requested,
        Status::Checking,
        Status::Waiting,
        Status::Signing,
        Status::Broadcast,
        Status::Confirmed,
        Status::Refused,
        Status::Failed,
        Status::Cancelled,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Requested => "requested",
            Status::Checking => "checking",
            Status::Waiting => "waiting",
            Status::Signing => "signing",
            Status::Broadcast => "broadcast",
            Status::Confirmed => "confirmed",
            Status::Refused => "refused",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }
}

/// The step that is taken next; all before it are done and on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Take the Safe's nonce and build the transaction.
    Prepare,
    /// Ask both signers and the chain whether it would go through.
    Check,
    /// Let the signers' time locks begin and pass.
    Wait,
    /// Put the wallet's contract on the chain.
    Deploy,
    /// Hot, then cool.
    Sign,
    /// Simulate with both signatures, send, follow.
    Send,
    /// End the nonce: something is signed at it that will not be sent.
    Cancel,
    /// Nothing can happen to it any more.
    Done,
}

impl Stage {
    pub(crate) const ALL: [Stage; 8] = [
        Stage::Prepare,
        Stage::Check,
        Stage::Wait,
        Stage::Deploy,
        Stage::Sign,
        Stage::Send,
        Stage::Cancel,
        Stage::Done,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Stage::Prepare => "prepare",
            Stage::Check => "check",
            Stage::Wait => "wait",
            Stage::Deploy => "deploy",
            Stage::Sign => "sign",
            Stage::Send => "send",
            Stage::Cancel => "cancel",
            Stage::Done => "done",
        }
    }
}

/// Two transactions of a wallet may carry one nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Moves the money.
    Payment,
    /// Moves nothing and uses the nonce up.
    Cancel,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Payment => "payment",
            Kind::Cancel => "cancel",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A payment that was asked for, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewPayment {
    /// 32 hex digits.
    pub(crate) id: String,
    pub(crate) idempotency_key: String,
    pub(crate) wallet: String,
    /// Checksummed address.
    pub(crate) to: String,
    /// Symbol.
    pub(crate) asset: String,
    /// Decimal, smallest unit.
    pub(crate) amount: String,
    /// Somebody else's signed intent, an encoded attestation.
    pub(crate) intent: Option<Vec<u8>>,
    pub(crate) operation_seed: [u8; 16],
}

/// A payment and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) id: String,
    pub(crate) wallet: String,
    pub(crate) to: String,
    pub(crate) asset: String,
    pub(crate) amount: String,
    /// As it was asked for.
    pub(crate) intent: Option<Vec<u8>>,
    pub(crate) status: Status,
    pub(crate) stage: Stage,
    /// While it waits: when the later of the signers' time locks has passed.
    pub(crate) not_before: Option<Timestamp>,
    /// Why it ended, or will end, without being paid: CamelCase.
    pub(crate) reason: Option<String>,
    /// The reason in words.
    pub(crate) message: Option<String>,
    /// What is being waited for, in words.
    pub(crate) trouble: Option<String>,
    /// The chain transaction that paid.
    pub(crate) tx: Option<String>,
    pub(crate) operation_seed: [u8; 16],
    /// How it ends once the nonce is ended; absent in [`Stage::Cancel`] means: it starts again at the next nonce.
    pub(crate) ending: Option<Status>,
    pub(crate) cancel_attempts: u32,
    /// How often it was mined and reverted although its simulation passed.
    pub(crate) reverts: u32,
}

/// A Safe transaction that the owners are asked to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) kind: Kind,
    /// The Safe's nonce.
    pub(crate) nonce: u64,
    pub(crate) from_block: u64,
    /// The chain's own encoding.
    pub(crate) unsigned: Vec<u8>,
    /// What the owners sign.
    pub(crate) digest: [u8; 32],
    pub(crate) hot_signature: Option<Vec<u8>>,
    pub(crate) cool_signature: Option<Vec<u8>>,
}

impl Store {
    /// Stores the intent, once per idempotency key; `None` if the key belongs to another payment.
    pub(crate) async fn accept(&self, new: NewPayment) -> Result<Option<Payment>, StoreError> {
        self.run(move |db| {
            let stored = db.execute(
                "INSERT OR IGNORE INTO payments
                   (id, idempotency_key, wallet, recipient, asset, amount, intent, status, stage, operation_seed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'requested', 'prepare', ?8)",
                params![
                    new.id,
                    new.idempotency_key,
                    new.wallet,
                    new.to,
                    new.asset,
                    new.amount,
                    new.intent,
                    new.operation_seed
                ],
            )?;
            let payment = one(db, "idempotency_key = ?1", &new.idempotency_key)?;
            let payment = payment.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            let same = payment.wallet == new.wallet
                && payment.to == new.to
                && payment.asset == new.asset
                && payment.amount == new.amount
                && payment.intent == new.intent;
            Ok((stored == 1 || same).then_some(payment))
        })
        .await
    }

    /// The payment of this id.
    pub(crate) async fn payment(&self, id: String) -> Result<Option<Payment>, StoreError> {
        self.run(move |db| one(db, "id = ?1", &id)).await
    }

    /// The oldest payment of a wallet that has not ended.
    pub(crate) async fn next_payment(&self, wallet: String) -> Result<Option<Payment>, StoreError> {
        self.run(move |db| one(db, "wallet = ?1 AND stage <> 'done' ORDER BY sequence LIMIT 1", &wallet)).await
    }

    /// Wallets with payments that have not ended.
    pub(crate) async fn busy_wallets(&self) -> Result<Vec<String>, StoreError> {
        self.run(|db| {
            let mut statement = db.prepare("SELECT DISTINCT wallet FROM payments WHERE stage <> 'done'")?;
            Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Writes how far a payment is: all that may change of it.
    pub(crate) async fn update(&self, payment: Payment) -> Result<(), StoreError> {
        self.run(move |db| write(db, &payment)).await
    }

    /// Writes a transaction and, in the same commit, how far its payment is.
    pub(crate) async fn record(&self, payment: Payment, transaction: Transaction) -> Result<(), StoreError> {
        self.run(move |db| {
            let commit = db.transaction()?;
            write(&commit, &payment)?;
            commit.execute(
                "INSERT OR REPLACE INTO transactions
                   (payment, kind, nonce, from_block, unsigned, digest, hot_signature, cool_signature)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    payment.id,
                    transaction.kind.as_str(),
                    transaction.nonce,
                    transaction.from_block,
                    transaction.unsigned,
                    transaction.digest,
                    transaction.hot_signature,
                    transaction.cool_signature
                ],
            )?;
            Ok(commit.commit()?)
        })
        .await
    }

    /// Forgets a payment's transactions, and writes how far it is: it starts again at another nonce.
    pub(crate) async fn restart(&self, payment: Payment) -> Result<(), StoreError> {
        self.run(move |db| {
            let commit = db.transaction()?;
            write(&commit, &payment)?;
            commit.execute("DELETE FROM transactions WHERE payment = ?1", [&payment.id])?;
            commit.execute("UPDATE relays SET ended = 1 WHERE payment = ?1", [&payment.id])?;
            Ok(commit.commit()?)
        })
        .await
    }

    /// A payment's transaction of a kind, once it is built.
    pub(crate) async fn transaction(&self, payment: String, kind: Kind) -> Result<Option<Transaction>, StoreError> {
        self.run(move |db| {
            let row = db.query_row(
                "SELECT nonce, from_block, unsigned, digest, hot_signature, cool_signature
                 FROM transactions WHERE payment = ?1 AND kind = ?2",
                [&payment, kind.as_str()],
                |row| {
                    Ok(Transaction {
                        kind,
                        nonce: row.get("nonce")?,
                        from_block: row.get("from_block")?,
                        unsigned: row.get("unsigned")?,
                        digest: row.get("digest")?,
                        hot_signature: row.get("hot_signature")?,
                        cool_signature: row.get("cool_signature")?,
                    })
                },
            );
            Ok(row.optional()?)
        })
        .await
    }

    /// How many payments there are of each status.
    pub(crate) async fn counts(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        self.run(|db| {
            let mut statement = db.prepare("SELECT status, count(*) FROM payments GROUP BY status")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
            rows.map(|row| row.map_err(StoreError::from).and_then(|(status, n)| Ok((known_status(&status)?, n))))
                .collect()
        })
        .await
    }
}

fn write(db: &Connection, payment: &Payment) -> Result<(), StoreError> {
    db.execute(
        "UPDATE payments SET status = ?2, stage = ?3, reason = ?4, message = ?5, tx = ?6, operation_seed = ?7,
           ending = ?8, cancel_attempts = ?9, reverts = ?10, trouble = ?11, not_before = ?12
         WHERE id = ?1",
        params![
            payment.id,
            payment.status.as_str(),
            payment.stage.as_str(),
            payment.reason,
            payment.message,
            payment.tx,
            payment.operation_seed,
            payment.ending.map(Status::as_str),
            payment.cancel_attempts,
            payment.reverts,
            payment.trouble,
            payment.not_before.map(Timestamp::as_millisecond)
        ],
    )?;
    Ok(())
}

fn one(db: &Connection, condition: &str, value: &str) -> Result<Option<Payment>, StoreError> {
    let columns = "id, wallet, recipient, asset, amount, intent, status, stage, reason, message, tx, operation_seed,
                   ending, cancel_attempts, reverts, trouble, not_before";
    let mut statement = db.prepare_cached(&format!("SELECT {columns} FROM payments WHERE {condition}"))?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> Result<Payment, StoreError> {
    let stage: String = row.get("stage")?;
    let ending: Option<String> = row.get("ending")?;
    Ok(Payment {
        id: row.get("id")?,
        wallet: row.get("wallet")?,
        to: row.get("recipient")?,
        asset: row.get("asset")?,
        amount: row.get("amount")?,
        intent: row.get("intent")?,
        status: known_status(&row.get::<_, String>("status")?)?,
        stage: Stage::ALL
            .into_iter()
            .find(|known| known.as_str() == stage)
            .ok_or(StoreError::Unknown { what: "a stage", value: stage })?,
        reason: row.get("reason")?,
        message: row.get("message")?,
        tx: row.get("tx")?,
        operation_seed: row.get("operation_seed")?,
        ending: ending.as_deref().map(known_status).transpose()?,
        cancel_attempts: row.get("cancel_attempts")?,
        reverts: row.get("reverts")?,
        trouble: row.get("trouble")?,
        not_before: row.get::<_, Option<i64>>("not_before")?.map(known_time).transpose()?,
    })
}

fn known_time(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|_| StoreError::Unknown { what: "a time", value: ms.to_string() })
}

fn known_status(text: &str) -> Result<Status, StoreError> {
    let known = Status::ALL.into_iter().find(|status| status.as_str() == text);
    known.ok_or_else(|| StoreError::Unknown { what: "a status", value: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.ask_for_wallet("alice".into(), [0; 16], None).await.unwrap();
        (dir, store)
    }

    fn new(id: &str, key: &str) -> NewPayment {
        NewPayment {
            id: id.into(),
            idempotency_key: key.into(),
            wallet: "alice".into(),
            to: "0x1".into(),
            asset: "ETH".into(),
            amount: "7".into(),
            intent: None,
            operation_seed: [7; 16],
        }
    }

    async fn accepted(store: &Store, new: NewPayment) -> Payment {
        store.accept(new).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn the_same_key_and_body_are_one_payment() {
        let (_dir, store) = store().await;
        let first = accepted(&store, new("a", "k")).await;
        assert_eq!(accepted(&store, new("b", "k")).await, first);
        assert_eq!(store.payment("b".into()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_same_key_with_another_body_is_refused() {
        let (_dir, store) = store().await;
        accepted(&store, new("a", "k")).await;
        for other in [
            NewPayment { amount: "8".into(), ..new("b", "k") },
            NewPayment { to: "0x2".into(), ..new("b", "k") },
            NewPayment { asset: "USDC".into(), ..new("b", "k") },
            NewPayment { intent: Some(vec![1]), ..new("b", "k") },
        ] {
            assert_eq!(store.accept(other).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn payments_of_a_wallet_come_in_the_order_in_which_they_were_asked_for() {
        let (_dir, store) = store().await;
        for id in ["z", "a", "m"] {
            accepted(&store, new(id, id)).await;
        }
        for id in ["z", "a", "m"] {
            let next = store.next_payment("alice".into()).await.unwrap().unwrap();
            assert_eq!(next.id, id);
            store.update(Payment { stage: Stage::Done, status: Status::Failed, ..next }).await.unwrap();
        }
        assert_eq!(store.next_payment("alice".into()).await.unwrap(), None);
        assert!(store.busy_wallets().await.unwrap().is_empty());
        assert_eq!(store.counts().await.unwrap(), [(Status::Failed, 3)]);
    }

    #[tokio::test]
    async fn everything_that_changes_is_read_back() {
        let (dir, store) = store().await;
        let payment = Payment {
            status: Status::Signing,
            stage: Stage::Cancel,
            reason: Some("R".into()),
            message: Some("m".into()),
            trouble: Some("t".into()),
            tx: Some("0x2".into()),
            operation_seed: [9; 16],
            ending: Some(Status::Refused),
            cancel_attempts: 3,
            reverts: 2,
            not_before: Some(Timestamp::from_millisecond(1_700_000_000_123).unwrap()),
            ..accepted(&store, NewPayment { intent: Some(vec![1]), ..new("a", "k") }).await
        };
        let transaction = Transaction {
            kind: Kind::Cancel,
            nonce: 4,
            from_block: 5,
            unsigned: vec![6],
            digest: [7; 32],
            hot_signature: Some(vec![8]),
            cool_signature: None,
        };
        store.record(payment.clone(), transaction.clone()).await.unwrap();
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.payment("a".into()).await.unwrap(), Some(payment));
        assert_eq!(store.transaction("a".into(), Kind::Cancel).await.unwrap(), Some(transaction));
        assert_eq!(store.transaction("a".into(), Kind::Payment).await.unwrap(), None);
    }

    #[test]
    fn names_are_unique() {
        let statuses: std::collections::BTreeSet<_> = Status::ALL.map(Status::as_str).into_iter().collect();
        let stages: std::collections::BTreeSet<_> = Stage::ALL.map(Stage::as_str).into_iter().collect();
        assert_eq!((statuses.len(), stages.len()), (Status::ALL.len(), Stage::ALL.len()));
    }
}
