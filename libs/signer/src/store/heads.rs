//! The newest audit heads of the other signers: what they are told when they start; which start of this signer the present
//! one is; and where the admin has accepted this signer's chain although others knew a newer one.

use audit::Head;
use custody::{CustodyId, Role};
use ed25519_dalek::{SigningKey, VerifyingKey};
use prost::Message;
use protocol::{
    attestation::{accepted_head, attest_override},
    ops::{Attestation, AuditHead},
};
use rusqlite::OptionalExtension;

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// One start of a signer: of two, the one with the higher epoch is the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// From 1 on.
    pub epoch: u64,
    /// Random: two copies of one volume may take the same epoch.
    pub instance: [u8; 16],
}

/// Another signer's head as it attested it.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerHead {
    /// What it says.
    pub head: AuditHead,
    /// In whose words.
    pub attestation: Attestation,
}

impl Ledger<'_> {
    /// Takes the next epoch for a start, above all that this volume has seen and above `told`.
    pub fn take_epoch(&self, told: u64) -> Result<u64, StoreError> {
        let take = "UPDATE start SET epoch = max(epoch, ?1) + 1 WHERE id = 1 RETURNING epoch";
        unsigned(self.connection.query_row(take, [signed(told)?], |row| row.get(0))?)
    }

    /// The newest head of `role` that was kept here, be it readable or not.
    #[cfg(test)]
    pub(crate) fn peer_head(&self, role: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = "SELECT attestation FROM heads WHERE role = ?1";
        Ok(self.connection.query_row(query, [role], |row| row.get(0)).optional()?)
    }

    /// The newest head of `role` that was kept here, and whether App has forwarded one.
    pub fn held_head(&self, role: &str) -> Result<Option<(PeerHead, bool)>, StoreError> {
        let row: Option<(Vec<u8>, bool)> = self
            .connection
            .prepare_cached("SELECT attestation, forwarded FROM heads WHERE role = ?1")?
            .query_row([role], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((attestation, forwarded)) = row else { return Ok(None) };
        let unreadable = |_| StoreError::Failed("a stored head is not readable; restore the volume".to_owned());
        let attestation = Attestation::decode(attestation.as_slice()).map_err(unreadable)?;
        let head = AuditHead::decode(attestation.body.as_slice()).map_err(unreadable)?;
        Ok(Some((PeerHead { head, attestation }, forwarded)))
    }

    /// Keeps a head in the place of the one that was held; `forwarded` where it came by App.
    pub fn keep_head(&self, role: &str, head: &PeerHead, forwarded: bool) -> Result<(), StoreError> {
        let PeerHead { head: AuditHead { overrides, count, .. }, attestation } = head;
        self.connection
            .prepare_cached(
                "INSERT INTO heads (role, overrides, count, attestation, forwarded) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (role) DO UPDATE SET overrides = excluded.overrides, count = excluded.count,
                 attestation = excluded.attestation, forwarded = max(forwarded, excluded.forwarded)",
            )?
            .execute((role, signed(*overrides)?, signed(*count)?, attestation.encode_to_vec(), forwarded))?;
        Ok(())
    }

    /// How often this signer's admin has accepted its chain although others knew a longer one. Only what this signer's
    /// own key attested counts: whoever can write to the volume, and has no Vault, can't add one.
    pub fn overrides(&self, own: &VerifyingKey) -> Result<u64, StoreError> {
        Ok(self.accepted(own)?.map_or(0, |newest| newest.overrides))
    }

    /// Records that the admin accepts the chain as it is now.
    pub fn accept_chain(&self, own: &SigningKey, custody: CustodyId, role: Role) -> Result<(), StoreError> {
        let head = self.head()?;
        let number = self.overrides(&own.verifying_key())?.saturating_add(1);
        let accepted = AuditHead {
            custody_id: custody.as_bytes().to_vec(),
            role: role.to_string(),
            count: head.count,
            hash: head.hash.to_vec(),
            at_ms: self.now_ms(),
            overrides: number,
            ..AuditHead::default()
        };
        // A row that does not count may be in the way.
        self.connection.execute(
            "INSERT OR REPLACE INTO overrides (id, attestation) VALUES (?1, ?2)",
            (signed(number)?, attest_override(&accepted, own).encode_to_vec()),
        )?;
        Ok(())
    }

    /// Whether the admin has accepted this chain since `since_ms`.
    pub fn accepted_since(&self, own: &VerifyingKey, since_ms: u64) -> Result<bool, StoreError> {
        let Some(newest) = self.accepted(own)?.filter(|newest| newest.at_ms >= since_ms) else {
            return Ok(false);
        };
        match <[u8; 32]>::try_from(newest.hash.as_slice()) {
            Ok(hash) => self.knows(&Head { count: newest.count, hash }),
            Err(_) => Ok(false),
        }
    }

    /// The newest head that was accepted: the last of the rows from 1 on that say so themselves.
    fn accepted(&self, own: &VerifyingKey) -> Result<Option<AuditHead>, StoreError> {
        let mut query = self.connection.prepare_cached("SELECT attestation FROM overrides ORDER BY id")?;
        let mut rows = query.query([])?;
        let mut newest: Option<AuditHead> = None;
        while let Some(row) = rows.next()? {
            let number = newest.as_ref().map_or(0, |newest| newest.overrides).saturating_add(1);
            let attestation = Attestation::decode(row.get_ref(0)?.as_blob().unwrap_or_default()).unwrap_or_default();
            match accepted_head(&attestation, own) {
                Ok(accepted) if accepted.overrides == number => newest = Some(accepted),
                _ => break,
            }
        }
        Ok(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn key(fill: u8) -> SigningKey {
        SigningKey::from_bytes(&[fill; 32])
    }

    #[tokio::test]
    async fn each_start_takes_a_higher_epoch_than_all_before_it_and_than_the_one_that_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let take = async |told: u64| {
            let store = Store::open(dir.path()).unwrap();
            store.decide(0, move |ledger| ledger.take_epoch(told)).await.unwrap()
        };
        assert_eq!((take(0).await, take(0).await, take(9).await, take(4).await), (1, 2, 10, 11));
    }

    #[tokio::test]
    async fn only_the_signers_own_key_accepts_a_chain_and_each_acceptance_counts_once_and_for_its_chain() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let custody = CustodyId::from_slice(&[7; 16]).unwrap();
        let own = key(1).verifying_key();
        let accept = async |at_ms: u64, by: u8| {
            store.decide(at_ms, move |ledger| ledger.accept_chain(&key(by), custody, Role::Keeper)).await.unwrap();
        };
        let seen = async |since_ms: u64| {
            let look = move |ledger: &Ledger<'_>| Ok((ledger.overrides(&own)?, ledger.accepted_since(&own, since_ms)?));
            store.look(0, look).await.unwrap()
        };
        let write = async |sql: &'static str| {
            store.decide(0, move |ledger| Ok(ledger.connection.execute_batch(sql)?)).await.unwrap();
        };
        assert_eq!(seen(0).await, (0, false));
        // Whoever has the volume and no Vault.
        accept(50, 2).await;
        write("INSERT INTO overrides (id, attestation) VALUES (2, x'00')").await;
        assert_eq!(seen(0).await, (0, false));

        accept(100, 1).await;
        assert_eq!((seen(100).await, seen(101).await), ((1, true), (1, false)));
        write("DELETE FROM overrides WHERE id > 1; INSERT INTO overrides SELECT 2, attestation FROM overrides").await;
        assert_eq!(seen(100).await, (1, true));
        accept(200, 1).await;
        assert_eq!((seen(200).await, seen(201).await), ((2, true), (2, false)));
        // Accepted was the empty chain, which is the beginning of every one; another head is not.
        let accepted = AuditHead { count: 4, hash: vec![9; 32], at_ms: 300, overrides: 3, ..AuditHead::default() };
        let row = attest_override(&accepted, &key(1)).encode_to_vec();
        let insert = move |ledger: &Ledger<'_>| {
            Ok(ledger.connection.execute("INSERT INTO overrides (id, attestation) VALUES (3, ?1)", [row])?)
        };
        store.decide(0, insert).await.unwrap();
        assert_eq!(seen(300).await, (3, false));
    }
}
