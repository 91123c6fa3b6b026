//! Outstanding money. A signature without expiry is money gone: its amount counts from then on in every rolling window
//! ([`super::windows`]), until its settlement is attested, and a window longer.

use chain::{Amount, Claim};
use policy::Payees;

use super::{
    claims::columns,
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// What a signed transaction moves of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// The transaction's id.
    pub id: [u8; 32],
    /// By which name it counts: see [`account`].
    pub asset: String,
    /// In the smallest unit.
    pub amount: Amount,
    /// Where all of it goes, display form; `None`: to several places, or it is not known.
    pub to: Option<String>,
}

/// A signed amount whose settlement is not attested yet.
pub(super) struct Outstanding {
    pub(super) spend: Spend,
    pub(super) signed_at_ms: u64,
    /// It uses up the very claim that was asked about, and not an earlier nonce.
    pub(super) same_claim: bool,
}

/// By which name amounts of an asset are counted: its symbol, or, for payments to wallets of the custody alone, the
/// symbol after `internal:`, which no symbol contains.
pub fn account(symbol: &str, payees: Payees) -> String {
    match payees {
        Payees::Internal => format!("internal:{symbol}"),
        Payees::External | Payees::All => symbol.to_owned(),
    }
}

impl Ledger<'_> {
    /// Counts a signed amount; one that counts already is not counted twice. `outstanding`: until its settlement is
    /// attested; else from now on.
    pub fn spend(&self, spend: &Spend, outstanding: bool) -> Result<(), StoreError> {
        let Spend { wallet, chain, id, asset, amount, to } = spend;
        let now = self.now_ms();
        let counts_from = (!outstanding).then(|| signed(now)).transpose()?;
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO spends (wallet, chain, id, asset, amount, signed_at_ms, counts_from_ms, destination)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            )?
            .execute((wallet, chain, id, asset, amount.to_be_bytes(), signed(now)?, counts_from, to))?;
        if rows == 0 {
            return Ok(());
        }
        self.each_window(|window| self.put(window, spend, (!outstanding).then_some(now)))
    }

    /// What uses up this claim, or an earlier nonce, and is outstanding.
    pub(super) fn outstanding(&self, wallet: &str, chain: &str, claim: &Claim) -> Result<Vec<Outstanding>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT s.wallet, s.id, s.asset, s.amount, s.signed_at_ms, c.nonce = ?3
             FROM spends s CROSS JOIN claims c ON c.wallet = s.wallet AND c.chain = s.chain AND c.id = s.id
             WHERE s.wallet = ?1 AND s.chain = ?2 AND s.counts_from_ms IS NULL AND +c.nonce <= ?3
             UNION ALL SELECT DISTINCT s.wallet, s.id, s.asset, s.amount, s.signed_at_ms, 1
             FROM claims c CROSS JOIN spends s ON s.wallet = c.wallet AND s.chain = c.chain AND s.id = c.id
             WHERE c.chain = ?2 AND c.coin = ?4 AND s.counts_from_ms IS NULL",
        )?;
        let (nonce, coin) = columns(claim)?;
        let rows = query.query_map((wallet, chain, nonce, coin), |row| {
            let (wallet, asset, chain) = (row.get(0)?, row.get(2)?, chain.to_owned());
            let amount = Amount::from_be_bytes(row.get(3)?);
            let spend = Spend { wallet, chain, id: row.get(1)?, asset, amount, to: None };
            Ok((spend, row.get::<_, i64>(4)?, row.get(5)?))
        })?;
        rows.map(|row| {
            let (spend, signed_at_ms, same_claim) = row?;
            Ok(Outstanding { spend, signed_at_ms: unsigned(signed_at_ms)?, same_claim })
        })
        .collect()
    }

    /// From outstanding to counting from a time on.
    pub(super) fn settle_spend(&self, spend: &Spend, counts_from_ms: u64) -> Result<(), StoreError> {
        let Spend { wallet, chain, id, asset, .. } = spend;
        self.connection.execute(
            "UPDATE spends SET counts_from_ms = ?5 WHERE wallet = ?1 AND chain = ?2 AND id = ?3 AND asset = ?4",
            (wallet, chain, id, asset, signed(counts_from_ms)?),
        )?;
        self.each_window(|window| {
            self.take(window, spend)?;
            self.put(window, spend, Some(counts_from_ms))
        })
    }

    /// What uses up this claim, or a later nonce, and counts from a time on, which comes with it.
    pub(super) fn counted_since(
        &self,
        wallet: &str,
        chain: &str,
        claim: &Claim,
    ) -> Result<Vec<(Spend, u64)>, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT DISTINCT s.wallet, s.id, s.asset, s.amount, s.counts_from_ms
             FROM claims c JOIN spends s ON s.wallet = c.wallet AND s.chain = c.chain AND s.id = c.id
             WHERE c.chain = ?2 AND s.counts_from_ms IS NOT NULL
             AND (c.wallet = ?1 AND c.nonce >= ?3 AND c.nonce IS NOT NULL OR c.coin = ?4)",
        )?;
        let (nonce, coin) = columns(claim)?;
        let rows = query.query_map((wallet, chain, nonce, coin), |row| {
            let (wallet, asset, chain) = (row.get(0)?, row.get(2)?, chain.to_owned());
            let amount = Amount::from_be_bytes(row.get(3)?);
            Ok((Spend { wallet, chain, id: row.get(1)?, asset, amount, to: None }, row.get::<_, i64>(4)?))
        })?;
        rows.map(|row| row.map_err(StoreError::from).and_then(|(spend, from)| Ok((spend, unsigned(from)?)))).collect()
    }

    /// From counting from a time on to outstanding again.
    pub(super) fn unsettle_spend(&self, spend: &Spend, counts_from_ms: u64) -> Result<(), StoreError> {
        let Spend { wallet, chain, id, asset, .. } = spend;
        self.connection.execute(
            "UPDATE spends SET counts_from_ms = NULL WHERE wallet = ?1 AND chain = ?2 AND id = ?3 AND asset = ?4",
            (wallet, chain, id, asset),
        )?;
        self.each_window(|window| {
            self.take_counted(window, spend, counts_from_ms)?;
            self.put(window, spend, None)
        })
    }
}
