//! Idempotency and watermarks: what makes a second signature impossible, on disk before the first one is made.

use rusqlite::{Connection, OptionalExtension};

use super::{Store, StoreError};

/// An operation as its sender named it. The digest is SHA-256 of the request's exact bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationKey {
    /// The sender's role.
    pub sender: &'static str,
    /// 16 bytes.
    pub operation_id: Vec<u8>,
    /// Of the request.
    pub digest: [u8; 32],
}

/// What the store knows of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recall {
    /// Nothing, or recorded and not finished: it may be done (again).
    Open,
    /// Its stored result.
    Finished(Vec<u8>),
    /// The id belongs to another request.
    Reused,
}

/// Payment or cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Moves money.
    Payment,
    /// Uses up the nonce.
    Cancel,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Payment => "payment",
            Kind::Cancel => "cancel",
        }
    }
}

/// What is about to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// Uniqueness within wallet and chain.
    pub nonce: i64,
    /// Payment or cancel.
    pub kind: Kind,
    /// The 32 bytes to be signed.
    pub digest: [u8; 32],
}

/// Outcome of [`Store::record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recording {
    /// On disk: this digest, and no other payment at its nonce, may be signed.
    Recorded,
    /// Another payment holds the nonce; nothing was written.
    NonceUsed,
    /// The id belongs to another request; nothing was written.
    Reused,
}

/// Outcome of [`Store::finish`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// The result that is on disk: the one given, or an earlier one.
    Result(Vec<u8>),
    /// The id belongs to another request; nothing was written.
    Reused,
}

impl Store {
    /// What is known of an operation.
    pub async fn recall(&self, key: OperationKey) -> Result<Recall, StoreError> {
        self.read(move |connection| recall(connection, &key)).await
    }

    /// Whether [`Store::record`] would record this, so far.
    pub async fn nonce_is_free(&self, mark: Watermark) -> Result<bool, StoreError> {
        self.read(move |connection| Ok(mark.kind == Kind::Cancel || !paid_otherwise(connection, &mark)?)).await
    }

    /// Operation and watermark in one commit. The same again is no error; that is what makes a retry after a crash
    /// sign the same digest.
    pub async fn record(&self, key: OperationKey, mark: Watermark) -> Result<Recording, StoreError> {
        self.write(move |connection| {
            if recall(connection, &key)? == Recall::Reused {
                return Ok(Recording::Reused);
            }
            if mark.kind == Kind::Payment && paid_otherwise(connection, &mark)? {
                return Ok(Recording::NonceUsed);
            }
            connection
                .prepare_cached(
                    "INSERT INTO operations (sender, operation_id, digest) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                )?
                .execute((key.sender, &key.operation_id, key.digest))?;
            // No conflict clause for the unique index: another payment must fail the step, whatever was read before.
            connection
                .prepare_cached(
                    "INSERT INTO watermarks (wallet, chain, nonce, kind, digest) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (wallet, chain, nonce, kind, digest) DO NOTHING",
                )?
                .execute((&mark.wallet, &mark.chain, mark.nonce, mark.kind.as_str(), mark.digest))?;
            Ok(Recording::Recorded)
        })
        .await
    }

    /// Stores a result for good; the first one stays.
    pub async fn finish(&self, key: OperationKey, result: Vec<u8>) -> Result<Finished, StoreError> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO operations (sender, operation_id, digest, result) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (sender, operation_id) DO UPDATE SET result = excluded.result
                     WHERE result IS NULL AND digest = excluded.digest",
                )?
                .execute((key.sender, &key.operation_id, key.digest, &result))?;
            match recall(connection, &key)? {
                Recall::Finished(stored) => Ok(Finished::Result(stored)),
                Recall::Reused => Ok(Finished::Reused),
                Recall::Open => Err(StoreError::Failed("a result was written and is not there".to_owned())),
            }
        })
        .await
    }
}

fn recall(connection: &Connection, key: &OperationKey) -> Result<Recall, StoreError> {
    let row: Option<([u8; 32], Option<Vec<u8>>)> = connection
        .prepare_cached("SELECT digest, result FROM operations WHERE sender = ?1 AND operation_id = ?2")?
        .query_row((key.sender, &key.operation_id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match row {
        None => Recall::Open,
        Some((digest, _)) if digest != key.digest => Recall::Reused,
        Some((_, None)) => Recall::Open,
        Some((_, Some(result))) => Recall::Finished(result),
    })
}

fn paid_otherwise(connection: &Connection, mark: &Watermark) -> Result<bool, StoreError> {
    let digest: Option<[u8; 32]> = connection
        .prepare_cached(
            "SELECT digest FROM watermarks WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3 AND kind = 'payment'",
        )?
        .query_row((&mark.wallet, &mark.chain, mark.nonce), |row| row.get(0))
        .optional()?;
    Ok(digest.is_some_and(|digest| digest != mark.digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8, digest: u8) -> OperationKey {
        OperationKey { sender: "app", operation_id: vec![id; 16], digest: [digest; 32] }
    }

    fn mark(kind: Kind, nonce: i64, digest: u8) -> Watermark {
        let (wallet, chain) = ("alice".to_owned(), "eip155:1".to_owned());
        Watermark { wallet, chain, nonce, kind, digest: [digest; 32] }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    #[tokio::test]
    async fn one_payment_per_nonce_and_the_cancel_beside_it() {
        use {Kind::*, Recording::*};
        let (_dir, store) = store();
        let matrix = [
            (mark(Payment, 0, 1), Recorded),
            (mark(Payment, 0, 1), Recorded),
            (mark(Payment, 0, 2), NonceUsed),
            (mark(Cancel, 0, 3), Recorded),
            (mark(Cancel, 0, 3), Recorded),
            (mark(Cancel, 0, 4), Recorded),
            (mark(Payment, 0, 1), Recorded),
            (mark(Payment, 1, 2), Recorded),
            (mark(Cancel, 2, 5), Recorded),
            (mark(Payment, 2, 6), Recorded),
            (mark(Payment, 2, 5), NonceUsed),
            (Watermark { wallet: "bob".to_owned(), ..mark(Payment, 0, 2) }, Recorded),
            (Watermark { chain: "eip155:10".to_owned(), ..mark(Payment, 0, 2) }, Recorded),
        ];
        for (id, (mark, expected)) in matrix.into_iter().enumerate() {
            let outcome = store.record(key(id as u8, id as u8), mark.clone()).await.unwrap();
            assert_eq!(outcome, expected, "{mark:?}");
        }
    }

    #[tokio::test]
    async fn the_first_result_stays_and_the_id_belongs_to_one_request() {
        let (_dir, store) = store();
        assert_eq!(store.recall(key(1, 1)).await.unwrap(), Recall::Open);
        assert_eq!(store.finish(key(1, 1), vec![7]).await.unwrap(), Finished::Result(vec![7]));
        assert_eq!(store.finish(key(1, 1), vec![8]).await.unwrap(), Finished::Result(vec![7]));
        assert_eq!(store.recall(key(1, 1)).await.unwrap(), Recall::Finished(vec![7]));
        assert_eq!(store.recall(key(1, 2)).await.unwrap(), Recall::Reused);
        assert_eq!(store.finish(key(1, 2), vec![9]).await.unwrap(), Finished::Reused);
        assert_eq!(store.record(key(1, 2), mark(Kind::Payment, 0, 1)).await.unwrap(), Recording::Reused);
        let other_sender = OperationKey { sender: "observer", ..key(1, 2) };
        assert_eq!(store.recall(other_sender).await.unwrap(), Recall::Open);
    }

    #[tokio::test]
    async fn after_a_crash_between_record_and_result_the_same_digest_may_be_signed_and_no_other() {
        let (dir, store) = store();
        store.record(key(1, 1), mark(Kind::Payment, 0, 1)).await.unwrap();
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.recall(key(1, 1)).await.unwrap(), Recall::Open);
        assert_eq!(store.record(key(1, 1), mark(Kind::Payment, 0, 1)).await.unwrap(), Recording::Recorded);
        assert_eq!(store.record(key(2, 2), mark(Kind::Payment, 0, 2)).await.unwrap(), Recording::NonceUsed);
        assert_eq!(store.recall(key(2, 2)).await.unwrap(), Recall::Open);
    }

    #[tokio::test]
    async fn of_many_payments_at_once_one_gets_the_nonce() {
        let (_dir, store) = store();
        let races = (0..50).map(|n| store.record(key(n, n), mark(Kind::Payment, 0, n)));
        let outcomes = futures::future::join_all(races).await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(Recording::Recorded)).count(), 1);
    }
}
