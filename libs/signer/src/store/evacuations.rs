//! Evacuation signatures: recorded before they are made, not limited by nonce.

use audit::Entry;

use super::{error::StoreError, ledger::Ledger, writer::Store};

/// Steps in one transaction at most: the process that serves beside this command gets its turn between two of them, and
/// a freeze waits for milliseconds.
const AT_ONCE: usize = 1_000;

/// What is about to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evacuating {
    /// The transaction's id.
    pub digest: [u8; 32],
    /// The wallet's address, display form.
    pub address: String,
    /// What the audit chain says of it, with its wallet, chain and digest; the time is that of the recording.
    pub entry: Entry,
}

impl Ledger<'_> {
    /// Records a digest that is about to be signed; false: it is there already.
    pub fn record_evacuation(&self, digest: &[u8; 32], chain: &str, address: &str) -> Result<bool, StoreError> {
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO evacuations (digest, chain, address) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute((digest, chain, address))?;
        Ok(rows == 1)
    }

    /// Each is in the audit chain once, however often it is recorded.
    fn record_batch(&self, steps: Vec<Evacuating>) -> Result<(), StoreError> {
        let mut end = self.head()?;
        for Evacuating { digest, address, entry } in steps {
            if self.record_evacuation(&digest, &entry.chain, &address)? {
                end = self.append_after(&end, Entry { at_ms: self.now_ms(), ..entry })?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Records, at `now_ms`, all that is about to be signed: it is on disk with its audit records when this returns. What
    /// was recorded before an error or a kill stays, and the same steps may be recorded again.
    pub async fn record_evacuations(&self, now_ms: u64, steps: Vec<Evacuating>) -> Result<(), StoreError> {
        let mut steps = steps.into_iter();
        loop {
            let batch: Vec<Evacuating> = steps.by_ref().take(AT_ONCE).collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.decide(now_ms, |ledger| ledger.record_batch(batch)).await?;
        }
    }

    /// How many digests were signed for evacuations.
    pub async fn evacuations(&self) -> Result<i64, StoreError> {
        self.read(|connection| Ok(connection.query_row("SELECT count(*) FROM evacuations", [], |row| row.get(0))?))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(count: u32) -> Vec<Evacuating> {
        let step = |number: u32| {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&number.to_be_bytes());
            let entry = Entry { chain: "eip155:1".to_owned(), digest: digest.to_vec(), ..Entry::default() };
            Evacuating { digest, address: format!("0x{number}"), entry }
        };
        (0..count).map(step).collect()
    }

    #[tokio::test]
    async fn a_long_recording_is_many_transactions_and_goes_on_where_it_was_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let run = async |sql: &'static str| {
            store.decide(0, move |ledger| Ok(ledger.connection.execute_batch(sql)?)).await.unwrap();
        };
        run("CREATE TRIGGER stop BEFORE INSERT ON evacuations WHEN NEW.address = '0x2100' BEGIN SELECT RAISE(ABORT, 'stopped'); END")
            .await;
        let stopped = store.record_evacuations(1, steps(2_500)).await.unwrap_err();
        assert!(stopped.to_string().contains("stopped"), "{stopped}");
        assert_eq!(store.evacuations().await.unwrap(), 2_000, "what was committed stays");
        run("DROP TRIGGER stop").await;
        store.record_evacuations(2, steps(2_500)).await.unwrap();
        assert_eq!(store.evacuations().await.unwrap(), 2_500);
        let head = store.look(0, |ledger| ledger.head()).await.unwrap();
        assert_eq!(head.count, 2_500, "each is in the audit chain once");
    }
}
