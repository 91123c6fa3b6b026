//! Claims: what signed transactions use up. A nonce is unique within its wallet, a coin within its chain, whosever it
//! is.

use chain::Claim;
use rusqlite::OptionalExtension;

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// Payment or cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Moves money.
    Payment,
    /// Only uses up its claims.
    Cancel,
}

/// What is about to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// Wallet id.
    pub wallet: String,
    /// CAIP-2 chain id.
    pub chain: String,
    /// All that it uses up.
    pub claims: Vec<Claim>,
    /// Payment or cancel.
    pub kind: Kind,
    /// The transaction's id.
    pub id: [u8; 32],
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

/// What is known of a coin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coin {
    /// Whether another wallet has claimed it.
    pub claimed_elsewhere: bool,
    /// The payment of this wallet that claims it.
    pub payment: Option<[u8; 32]>,
    /// Whether it is attested as used up.
    pub settled: bool,
}

/// A claim as it is stored: a nonce, or a coin.
pub(super) type Columns = (Option<i64>, Option<Vec<u8>>);

pub(super) fn columns(claim: &Claim) -> Result<Columns, StoreError> {
    Ok(match claim {
        Claim::Sequence(nonce) => (Some(signed(*nonce)?), None),
        Claim::Coin(of, place) => (None, Some([&of[..], &place.to_be_bytes()].concat())),
    })
}

pub(super) fn claim((nonce, coin): Columns) -> Result<Claim, StoreError> {
    let damaged = || StoreError::Failed("a claim is neither a nonce nor a coin; restore the volume".to_owned());
    match (nonce, coin) {
        (Some(nonce), None) => Ok(Claim::Sequence(unsigned(nonce)?)),
        (None, Some(coin)) => {
            let (of, place) = coin.split_first_chunk::<32>().ok_or_else(damaged)?;
            Ok(Claim::Coin(*of, u32::from_be_bytes(place.try_into().map_err(|_| damaged())?)))
        }
        _ => Err(damaged()),
    }
}

impl Ledger<'_> {
    /// What is known of a wallet on a chain, looking at `nonce`.
    pub fn nonces(&self, wallet: &str, chain: &str, nonce: u64) -> Result<Nonces, StoreError> {
        let next = self.progress(wallet, chain)?.next;
        let (highest, outstanding): (Option<i64>, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT (SELECT max(nonce) FROM claims WHERE wallet = ?1 AND chain = ?2 AND nonce IS NOT NULL),
                        (SELECT min(nonce) FROM claims WHERE wallet = ?1 AND chain = ?2 AND kind = 'payment'
                         AND nonce >= ?3 AND nonce IS NOT NULL)",
            )?
            .query_row((wallet, chain, signed(next)?), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let payment = self
            .connection
            .prepare_cached(
                "SELECT id FROM claims WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3 AND kind = 'payment'",
            )?
            .query_row((wallet, chain, signed(nonce)?), |row| row.get(0))
            .optional()?;
        let highest = highest.map(unsigned).transpose()?;
        Ok(Nonces { next, highest, outstanding: outstanding.map(unsigned).transpose()?, payment })
    }

    /// What is known of a coin that a wallet would use up.
    pub fn coin(&self, wallet: &str, chain: &str, coin: &Claim) -> Result<Coin, StoreError> {
        let (_, stored) = columns(coin)?;
        let mut query =
            self.connection.prepare_cached("SELECT wallet, kind, id FROM claims WHERE chain = ?1 AND coin = ?2")?;
        let rows = query.query_map((chain, &stored), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, [u8; 32]>(2)?))
        })?;
        let mut known = Coin { settled: self.settled(wallet, chain, coin)?.is_some(), ..Coin::default() };
        for row in rows {
            let (by, kind, id) = row?;
            known.claimed_elsewhere |= by != wallet;
            if by == wallet && kind == Kind::Payment.as_str() {
                known.payment = Some(id);
            }
        }
        Ok(known)
    }

    /// Whether this very transaction is recorded: it may be signed again. All its claims are written in one commit, so
    /// one of them tells.
    pub fn recorded(&self, mark: &Watermark) -> Result<bool, StoreError> {
        self.has_signed_transaction(&mark.wallet, &mark.chain, &mark.id)
    }

    /// Whether this transaction of a wallet was signed, whatever it uses up.
    pub fn has_signed_transaction(&self, wallet: &str, chain: &str, id: &[u8; 32]) -> Result<bool, StoreError> {
        let row = self
            .connection
            .prepare_cached("SELECT 1 FROM claims WHERE wallet = ?1 AND chain = ?2 AND id = ?3 LIMIT 1")?
            .query_row((wallet, chain, id), |_| Ok(()))
            .optional()?;
        Ok(row.is_some())
    }

    /// Records what is about to be signed, with all its claims. A second payment for one of them fails: the table itself
    /// refuses it.
    pub fn record(&self, mark: &Watermark) -> Result<(), StoreError> {
        for claim in &mark.claims {
            self.record_claim(mark, claim)?;
        }
        Ok(())
    }

    /// False: it was there.
    pub(super) fn record_claim(&self, mark: &Watermark, claim: &Claim) -> Result<bool, StoreError> {
        let Watermark { wallet, chain, claims: _, kind, id } = mark;
        let (nonce, coin) = columns(claim)?;
        let rows = self
            .connection
            .prepare_cached(
                "INSERT INTO claims (wallet, chain, nonce, coin, kind, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (wallet, chain, id, ifnull(nonce, -1), ifnull(coin, x'')) DO NOTHING",
            )?
            .execute((wallet, chain, nonce, coin, kind.as_str(), id))?;
        Ok(rows == 1)
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

#[cfg(test)]
mod tests {
    use chain::Amount;
    use policy::{Payees, Scope, Window};
    use protocol::ops::SettlementState;

    use super::*;
    use crate::store::{Attested, Spend, Store};

    const CHAIN: &str = "eip155:7";

    fn coin(number: u8) -> Claim {
        Claim::Coin([number; 32], 0)
    }

    fn mark(wallet: &str, claims: &[Claim], kind: Kind, id: u8) -> Watermark {
        let (wallet, chain) = (wallet.to_owned(), CHAIN.to_owned());
        Watermark { wallet, chain, claims: claims.to_vec(), kind, id: [id; 32] }
    }

    fn spend(mark: &Watermark, amount: u128) -> Spend {
        let Watermark { wallet, chain, id, .. } = mark.clone();
        Spend { wallet, chain, id, asset: "COIN".to_owned(), amount: Amount::from(amount), to: None }
    }

    #[tokio::test]
    async fn a_coin_takes_one_payment_on_its_chain_whosever_wallet_asks() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let record = async |mark: Watermark| store.decide(0, move |ledger| ledger.record(&mark)).await;
        let known = async |wallet: &'static str, number: u8| {
            store.look(0, move |ledger| ledger.coin(wallet, CHAIN, &coin(number))).await.unwrap()
        };
        let paid = mark("alice", &[coin(1), coin(2)], Kind::Payment, 1);
        record(paid.clone()).await.unwrap();
        record(paid.clone()).await.unwrap();
        assert_eq!(known("alice", 2).await, Coin { payment: Some([1; 32]), ..Coin::default() });
        assert_eq!(known("bob", 2).await, Coin { claimed_elsewhere: true, ..Coin::default() });
        assert_eq!(known("alice", 3).await, Coin::default());
        for second in
            [mark("alice", &[coin(3), coin(2)], Kind::Payment, 2), mark("bob", &[coin(3), coin(2)], Kind::Payment, 3)]
        {
            assert!(matches!(record(second).await, Err(StoreError::Failed(_))));
            assert_eq!(known("alice", 3).await, Coin::default(), "all claims of a transaction or none");
        }
        record(mark("alice", &[coin(1), coin(2)], Kind::Cancel, 4)).await.unwrap();
        let elsewhere = Watermark { chain: "eip155:8".to_owned(), ..mark("bob", &[coin(1)], Kind::Payment, 5) };
        record(elsewhere).await.unwrap();
    }

    #[tokio::test]
    async fn a_settled_coin_frees_what_was_outstanding_and_what_it_outran_counts_from_its_signature() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let window = Window { scope: Scope::Total, length_ms: 64_000, payees: Payees::All, limit: Amount::ZERO };
        let spent = async |at: u64| {
            store.decide(at, move |ledger| ledger.spent(&window, "alice", CHAIN, "COIN")).await.unwrap()
        };
        let settle = async |at: u64, number: u8, id: u8, state: SettlementState| {
            let attested = Attested { id: [id; 32], state, attester: "sentinel".to_owned() };
            store.decide(at, move |ledger| ledger.attest("alice", CHAIN, &coin(number), &attested)).await.unwrap()
        };
        // Two payments of two coins each; the second is outrun by a transaction that takes one of its coins.
        store
            .decide(1_000, |ledger| {
                for (first, id, amount) in [(1, 1, 10), (3, 2, 100)] {
                    let mark = mark("alice", &[coin(first), coin(first + 1)], Kind::Payment, id);
                    ledger.record(&mark)?;
                    ledger.spend(&spend(&mark, amount), true)?;
                }
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(spent(900_000).await, Amount::from(110), "however long ago");
        settle(899_000, 1, 1, SettlementState::Used).await;
        settle(899_000, 4, 9, SettlementState::Used).await;
        assert_eq!(spent(900_000).await, Amount::from(110), "it may vanish");
        settle(900_000, 1, 1, SettlementState::Final).await;
        // Its other coin, and another transaction's that takes one of the second's.
        settle(950_000, 2, 1, SettlementState::Final).await;
        settle(950_000, 4, 9, SettlementState::Final).await;
        assert_eq!(spent(950_000).await, Amount::from(10), "the first counts from its settlement on");
        assert_eq!(spent(970_000).await, Amount::ZERO);
        // All that takes a coin that was not used after all is outstanding again, and only that.
        store.decide(970_000, |ledger| ledger.revoke("alice", CHAIN, &coin(2))).await.unwrap();
        assert_eq!((spent(970_000).await, spent(9_970_000).await), (Amount::from(10), Amount::from(10)));
    }
}
