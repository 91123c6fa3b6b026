//! Settlements: which transaction is attested to have used a claim up, how sure that is, and by whom it is said. A row
//! stays when it is revoked, so that every later nonce waits for it again.

use chain::Claim;
use protocol::ops::SettlementState;
use rusqlite::{OptionalExtension, Row};

use super::{
    claims::columns,
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// What is attested of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// The transaction that used it up.
    pub id: [u8; 32],
    /// How sure that is.
    pub state: SettlementState,
    /// Whoever said so: a role, or `admin`; empty for what was attested before this was kept.
    pub attester: String,
}

/// Which nonces of a wallet on a chain are settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first that is not attested as used up.
    pub next: u64,
    /// The first that is not final.
    pub next_final: u64,
}

impl Ledger<'_> {
    /// What was attested of a claim, be it revoked.
    pub fn attested(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<Option<Attested>, StoreError> {
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?));
        let row = match columns(claim)? {
            (Some(nonce), _) => self
                .connection
                .prepare_cached(
                    "SELECT id, state, attester FROM settled WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3",
                )?
                .query_row((wallet, chain, nonce), read),
            (None, coin) => self
                .connection
                .prepare_cached("SELECT id, state, attester FROM settled WHERE chain = ?1 AND coin = ?2")?
                .query_row((chain, coin), read),
        };
        let row = row.optional()?;
        row.map(|(id, state, attester)| Ok(Attested { id, state: from_stored(&state)?, attester })).transpose()
    }

    /// The transaction that is attested to have used up a claim.
    pub fn settled(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<Option<[u8; 32]>, StoreError> {
        let attested = self.attested(wallet, chain, claim)?;
        Ok(attested.filter(|it| it.state != SettlementState::Revoked).map(|it| it.id))
    }

    /// The transaction that is attested to have used up a claim for good.
    pub fn settled_for_good(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<Option<[u8; 32]>, StoreError> {
        let attested = self.attested(wallet, chain, claim)?;
        Ok(attested.filter(|it| it.state == SettlementState::Final).map(|it| it.id))
    }

    /// How far the attested nonces go: to the first that was revoked, else to the end.
    pub fn progress(&self, wallet: &str, chain: &str) -> Result<Progress, StoreError> {
        let (revoked, open, last): (Option<i64>, Option<i64>, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT (SELECT min(nonce) FROM settled WHERE wallet = ?1 AND chain = ?2 AND nonce IS NOT NULL
                         AND state <> 'final' AND state = 'revoked'),
                        (SELECT min(nonce) FROM settled WHERE wallet = ?1 AND chain = ?2 AND nonce IS NOT NULL
                         AND state <> 'final'),
                        (SELECT max(nonce) FROM settled WHERE wallet = ?1 AND chain = ?2 AND nonce IS NOT NULL)",
            )?
            .query_row((wallet, chain), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let end = last.map(unsigned).transpose()?.map_or(0, |last| last.saturating_add(1));
        let first = |nonce: Option<i64>| Ok::<_, StoreError>(nonce.map(unsigned).transpose()?.unwrap_or(end));
        Ok(Progress { next: first(revoked)?, next_final: first(open)? })
    }

    /// Notes what is attested of a claim in the place of what was. From a final settlement on, what its transaction moves
    /// counts from now; what claims the same and can't happen any more counts from its signature; what was signed at an
    /// earlier nonce, of which nobody said anything, is taken to have happened. Until it is final all of it stays
    /// outstanding.
    pub fn attest(&self, wallet: &str, chain: &str, claim: &Claim, attested: &Attested) -> Result<(), StoreError> {
        self.delete_settled(wallet, chain, claim)?;
        self.note_settled(wallet, chain, claim, attested, self.now_ms())?;
        if attested.state != SettlementState::Final {
            return Ok(());
        }
        for outstanding in self.outstanding(wallet, chain, claim)? {
            let superseded = outstanding.same_claim && outstanding.spend.id != attested.id;
            let from = if superseded { outstanding.signed_at_ms } else { self.now_ms() };
            self.settle_spend(&outstanding.spend, from)?;
        }
        Ok(())
    }

    /// Another transaction has used a claim up than was attested. That is not final, all that claims it is outstanding
    /// again, and of a nonce all later ones are revoked: what they were in has vanished too.
    pub fn correct(
        &self,
        wallet: &str,
        chain: &str,
        claim: &Claim,
        id: [u8; 32],
        attester: &str,
    ) -> Result<(), StoreError> {
        self.revoke(wallet, chain, claim)?;
        let attested = Attested { id, state: SettlementState::Used, attester: attester.to_owned() };
        self.attest(wallet, chain, claim, &attested)
    }

    /// A claim is not used up after all, and of a nonce neither is any later one. All that claims them is outstanding
    /// again; what was signed stays signed.
    pub fn revoke(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<(), StoreError> {
        let (nonce, coin) = columns(claim)?;
        self.connection.execute(
            "UPDATE settled SET state = 'revoked'
             WHERE chain = ?2 AND (wallet = ?1 AND nonce >= ?3 AND nonce IS NOT NULL OR coin = ?4)",
            (wallet, chain, nonce, coin),
        )?;
        for (spend, counts_from_ms) in self.counted_since(wallet, chain, claim)? {
            self.unsettle_spend(&spend, counts_from_ms)?;
        }
        Ok(())
    }

    fn delete_settled(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<(), StoreError> {
        match columns(claim)? {
            (Some(nonce), _) => self
                .connection
                .prepare_cached("DELETE FROM settled WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3")?
                .execute((wallet, chain, nonce))?,
            (None, coin) => self
                .connection
                .prepare_cached("DELETE FROM settled WHERE chain = ?1 AND coin = ?2")?
                .execute((chain, coin))?,
        };
        Ok(())
    }

    /// The row alone; false: there is one for this claim.
    pub(super) fn note_settled(
        &self,
        wallet: &str,
        chain: &str,
        claim: &Claim,
        attested: &Attested,
        at_ms: u64,
    ) -> Result<bool, StoreError> {
        let (nonce, coin) = columns(claim)?;
        let Attested { id, state, attester } = attested;
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO settled (wallet, chain, nonce, coin, id, at_ms, state, attester)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )?
            .execute((wallet, chain, nonce, coin, id, signed(at_ms)?, stored(*state), attester))?;
        Ok(rows == 1)
    }

    /// Does all of something or, if it is refused, nothing.
    pub fn all_or_nothing<T, R>(
        &self,
        act: impl FnOnce() -> Result<Result<T, R>, StoreError>,
    ) -> Result<Result<T, R>, StoreError> {
        self.connection.execute_batch("SAVEPOINT all_or_nothing")?;
        let outcome = act()?;
        if outcome.is_err() {
            self.connection.execute_batch("ROLLBACK TO all_or_nothing")?;
        }
        self.connection.execute_batch("RELEASE all_or_nothing")?;
        Ok(outcome)
    }
}

fn stored(state: SettlementState) -> &'static str {
    match state {
        SettlementState::Final => "final",
        SettlementState::Used => "used",
        SettlementState::Revoked => "revoked",
    }
}

pub(super) fn from_stored(state: &str) -> Result<SettlementState, StoreError> {
    match state {
        "final" => Ok(SettlementState::Final),
        "used" => Ok(SettlementState::Used),
        "revoked" => Ok(SettlementState::Revoked),
        other => Err(StoreError::Failed(format!("a settlement is in an unknown state ({other}); restore the volume"))),
    }
}
