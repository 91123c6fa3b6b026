//! Nonces: which are used up, and what was signed at them.

use rusqlite::OptionalExtension;

use super::{
    Ledger, StoreError,
    ledger::{signed, unsigned},
};

/// Payment or cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Moves money.
    Payment,
    /// Uses up the nonce.
    Cancel,
}

/// What is about to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// Uniqueness within wallet and chain.
    pub nonce: u64,
    /// Payment or cancel.
    pub kind: Kind,
    /// The 32 bytes to be signed.
    pub digest: [u8; 32],
}

/// What is known of a wallet's nonces, as far as the next signature depends on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nonces {
    /// The first nonce that is not attested as used up.
    pub next: u64,
    /// The highest at which anything was signed.
    pub highest: Option<u64>,
    /// The lowest at or after `next` at which a payment was signed.
    pub outstanding: Option<u64>,
    /// The payment signed at the nonce that was asked about.
    pub payment: Option<[u8; 32]>,
}

/// What became of an attested nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is noted.
    Noted,
    /// The same was attested before.
    Known,
    /// Another digest was attested for this nonce before; nothing was written.
    Otherwise,
}

impl Ledger<'_> {
    /// What is known of a wallet on a chain, looking at `nonce`.
    pub fn nonces(&self, wallet: &str, chain: &str, nonce: u64) -> Result<Nonces, StoreError> {
        let (settled, highest): (Option<i64>, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT (SELECT max(nonce) FROM settlements WHERE wallet = ?1 AND chain = ?2),
                        (SELECT max(nonce) FROM watermarks WHERE wallet = ?1 AND chain = ?2)",
            )?
            .query_row((wallet, chain), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let next = settled.map(unsigned).transpose()?.map_or(0, |settled| settled.saturating_add(1));
        let outstanding: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(nonce) FROM watermarks
                 WHERE wallet = ?1 AND chain = ?2 AND kind = 'payment' AND nonce >= ?3",
            )?
            .query_row((wallet, chain, signed(next)?), |row| row.get(0))?;
        let payment = self
            .connection
            .prepare_cached(
                "SELECT digest FROM watermarks WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3 AND kind = 'payment'",
            )?
            .query_row((wallet, chain, signed(nonce)?), |row| row.get(0))
            .optional()?;
        let highest = highest.map(unsigned).transpose()?;
        Ok(Nonces { next, highest, outstanding: outstanding.map(unsigned).transpose()?, payment })
    }

    /// Whether this very digest is recorded: it may be signed again.
    pub fn recorded(&self, mark: &Watermark) -> Result<bool, StoreError> {
        let row = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM watermarks
                 WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3 AND kind = ?4 AND digest = ?5",
            )?
            .query_row((&mark.wallet, &mark.chain, signed(mark.nonce)?, mark.kind.as_str(), mark.digest), |_| Ok(()))
            .optional()?;
        Ok(row.is_some())
    }

    /// Whether this digest was signed for a wallet, at whatever nonce.
    pub fn has_signed_digest(&self, wallet: &str, chain: &str, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT 1 FROM watermarks WHERE wallet = ?1 AND chain = ?2 AND digest = ?3")?
            .query_row((wallet, chain, digest), |_| Ok(()))
            .optional()?;
        Ok(row.is_some())
    }

    /// Records what is about to be signed. A second payment at a nonce fails: the table itself refuses it.
    pub fn record(&self, mark: &Watermark) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO watermarks (wallet, chain, nonce, kind, digest) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (wallet, chain, nonce, kind, digest) DO NOTHING",
            )?
            .execute((&mark.wallet, &mark.chain, signed(mark.nonce)?, mark.kind.as_str(), mark.digest))?;
        Ok(())
    }

    /// The digest that was attested for a nonce.
    pub fn settled(&self, wallet: &str, chain: &str, nonce: u64) -> Result<Option<[u8; 32]>, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT digest FROM settlements WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3")?
            .query_row((wallet, chain, signed(nonce)?), |row| row.get(0));
        Ok(row.optional()?)
    }

    /// Notes that a nonce is used up by `digest`, and with it all before it. The amount that this digest moves counts
    /// from now; what was signed at the same nonce and can't happen any more counts from its signature; what was signed
    /// before it, of which nobody said anything, is taken to have happened.
    pub fn settle(&self, wallet: &str, chain: &str, nonce: u64, digest: &[u8; 32]) -> Result<Settled, StoreError> {
        match self.settled(wallet, chain, nonce)? {
            Some(known) if known == *digest => return Ok(Settled::Known),
            Some(_) => return Ok(Settled::Otherwise),
            None => {}
        }
        self.connection.execute(
            "INSERT INTO settlements (wallet, chain, nonce, digest, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            (wallet, chain, signed(nonce)?, digest, signed(self.now_ms())?),
        )?;
        for (spend, signed_at_ms) in self.outstanding(wallet, chain, nonce)? {
            let superseded = spend.nonce == nonce && spend.digest != *digest;
            self.settle_spend(&spend, if superseded { signed_at_ms } else { self.now_ms() })?;
        }
        Ok(Settled::Noted)
    }
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::Payment => "payment",
            Kind::Cancel => "cancel",
        }
    }
}
