//! The relayer's transactions: signed, recorded here, and only then sent.

use alloy_primitives::B256;
use chain_evm_client::Relayed;
use rusqlite::{OptionalExtension, params};

use super::{Kind, Store, StoreError};

/// What the relayer sent a transaction for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Puts the wallet's contract on the chain.
    Deployment,
    /// Carries what the owners signed.
    Execution(Kind),
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Purpose::Deployment => "deployment",
            Purpose::Execution(kind) => kind.as_str(),
        }
    }
}

impl Store {
    /// Records a transaction that is about to be sent for a payment. Signing is deterministic, so one that had ended may
    /// be made again.
    pub(crate) async fn relay(&self, payment: String, purpose: Purpose, relayed: Relayed) -> Result<(), StoreError> {
        self.run(move |db| {
            db.execute(
                "INSERT INTO relays (hash, payment, purpose, nonce, raw) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (hash) DO UPDATE SET ended = 0",
                params![relayed.hash.as_slice(), payment, purpose.as_str(), relayed.nonce, relayed.raw.as_ref()],
            )?;
            Ok(())
        })
        .await
    }

    /// The transaction that may still be mined for this purpose.
    pub(crate) async fn relayed(&self, payment: String, purpose: Purpose) -> Result<Option<Relayed>, StoreError> {
        self.run(move |db| {
            let row = db.query_row(
                "SELECT hash, nonce, raw FROM relays WHERE payment = ?1 AND purpose = ?2 AND ended = 0
                 ORDER BY rowid DESC LIMIT 1",
                [&payment, purpose.as_str()],
                |row| {
                    let hash: [u8; 32] = row.get("hash")?;
                    let raw: Vec<u8> = row.get("raw")?;
                    Ok(Relayed { hash: hash.into(), nonce: row.get("nonce")?, raw: raw.into() })
                },
            );
            Ok(row.optional()?)
        })
        .await
    }

    /// The transaction is mined, or never can be.
    pub(crate) async fn relay_ended(&self, hash: B256) -> Result<(), StoreError> {
        self.run(move |db| {
            db.execute("UPDATE relays SET ended = 1 WHERE hash = ?1", [hash.as_slice()])?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::NewPayment;

    #[tokio::test]
    async fn a_transaction_is_kept_until_it_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.ask_for_wallet("alice".into(), [0; 16], None).await.unwrap();
        let text = || "a".to_owned();
        let new = NewPayment {
            id: text(),
            idempotency_key: text(),
            wallet: "alice".into(),
            to: text(),
            asset: text(),
            amount: text(),
            intent: None,
            operation_seed: [0; 16],
        };
        store.accept(new).await.unwrap();
        let relayed = Relayed { hash: B256::repeat_byte(1), raw: vec![2, 3].into(), nonce: u64::from(u32::MAX) };
        let purpose = Purpose::Execution(Kind::Payment);
        store.relay(text(), purpose, relayed.clone()).await.unwrap();
        assert_eq!(store.relayed(text(), purpose).await.unwrap(), Some(relayed.clone()));
        assert_eq!(store.relayed(text(), Purpose::Deployment).await.unwrap(), None);
        store.relay_ended(relayed.hash).await.unwrap();
        assert_eq!(store.relayed(text(), purpose).await.unwrap(), None);
        store.relay(text(), purpose, relayed.clone()).await.unwrap();
        assert_eq!(store.relayed(text(), purpose).await.unwrap(), Some(relayed));
    }
}
