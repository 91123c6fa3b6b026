//! What an evacuation needs to know of each wallet, one after the other: a signer may have a million.

use chain::Amount;

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
    wallets::{RegisteredWallet, registered},
};

/// The newest nonces of a wallet whose payments are listed. Without a sentinel nothing is ever attested as used up, and
/// what was signed long ago has long been sent.
const NEWEST: u64 = 8;
/// Wallets that an export holds at once.
const WALLETS_PAGE: u32 = 128;

/// A wallet, and what was signed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedRow {
    /// As it was recorded.
    pub wallet: RegisteredWallet,
    /// Payments at nonces that are not attested as used up for good, by chain and nonce.
    pub outstanding: Vec<Unsettled>,
    /// CAIP-2 chain id, and the highest nonce at which anything was signed.
    pub highest: Vec<(String, u64)>,
}

/// A payment that may still be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// CAIP-2 chain id.
    pub chain: String,
    /// At which nonce.
    pub nonce: u64,
    /// Symbol.
    pub asset: String,
    /// In the smallest unit.
    pub amount: Amount,
    /// Where it goes, display form, where that is known.
    pub to: Option<String>,
}

impl Ledger<'_> {
    /// Hands all wallets to `each`, by id, until it fails. They are read page by page, each page of one moment, and handed
    /// over between two of them: however slowly they are taken, nothing waits for it. What is signed meanwhile may be in
    /// it.
    pub fn each_wallet<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(ExportedRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = String::new();
        loop {
            let page = self.moment(|| self.wallets_after(&after))?;
            let Some(last) = page.last() else { return Ok(()) };
            after.clone_from(&last.wallet.wallet);
            page.into_iter().try_for_each(&mut each)?;
        }
    }

    fn wallets_after(&self, after: &str) -> Result<Vec<ExportedRow>, StoreError> {
        let mut query =
            self.connection.prepare_cached("SELECT wallet FROM wallets WHERE wallet > ?1 ORDER BY wallet LIMIT ?2")?;
        let ids = query.query_map((after, WALLETS_PAGE), |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let found = ids.iter().filter_map(|id| registered(self.connection, id).transpose());
        found.map(|wallet| self.exported(wallet?)).collect()
    }

    fn exported(&self, wallet: RegisteredWallet) -> Result<ExportedRow, StoreError> {
        let (mut outstanding, mut highest) = (Vec::new(), Vec::new());
        for (chain, _) in &wallet.addresses {
            let nonces = self.nonces(&wallet.wallet, chain, 0)?;
            let Some(newest) = nonces.highest else { continue };
            highest.push((chain.clone(), newest));
            let open = self.progress(&wallet.wallet, chain)?.next_final;
            let from = open.max(newest.saturating_sub(NEWEST - 1));
            outstanding.extend(self.unsettled(&wallet.wallet, chain, from)?);
        }
        Ok(ExportedRow { wallet, outstanding, highest })
    }

    fn unsettled(&self, wallet: &str, chain: &str, from: u64) -> Result<Vec<Unsettled>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT c.nonce, s.asset, s.amount, s.destination
             FROM claims c JOIN spends s ON s.wallet = c.wallet AND s.chain = c.chain AND s.id = c.id
             WHERE c.wallet = ?1 AND c.chain = ?2 AND c.kind = 'payment' AND c.nonce >= ?3 AND c.nonce IS NOT NULL
             ORDER BY c.nonce, s.asset",
        )?;
        let rows = query.query_map((wallet, chain, signed(from)?), |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, Amount::from_be_bytes(row.get(2)?), row.get(3)?))
        })?;
        rows.map(|row| {
            let (nonce, account, amount, to) = row?;
            let asset = symbol(&account).to_owned();
            Ok(Unsettled { chain: chain.to_owned(), nonce: unsigned(nonce)?, asset, amount, to })
        })
        .collect()
    }
}

/// The symbol of [`super::account`].
fn symbol(account: &str) -> &str {
    account.rsplit(':').next().unwrap_or(account)
}

#[cfg(test)]
mod tests {
    use chain::Claim;
    use policy::Payees;
    use protocol::ops::SettlementState;

    use super::*;
    use crate::store::{Attested, Kind, Spend, Store, Watermark, account};

    const CHAIN: &str = "eip155:1";

    #[tokio::test]
    async fn a_wallet_comes_with_what_was_signed_and_is_not_settled() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let record = |ledger: &Ledger<'_>| {
            for id in ["alice", "bob"] {
                ledger.register(RegisteredWallet {
                    wallet: id.to_owned(),
                    hot_keys: vec![1],
                    salt: vec![0; 32],
                    addresses: vec![(CHAIN.to_owned(), format!("0x{id}"))],
                    record: vec![2],
                })?;
            }
            for nonce in 0..12u8 {
                let (wallet, chain, id) = ("alice".to_owned(), CHAIN.to_owned(), [nonce; 32]);
                let claims = vec![Claim::Sequence(nonce.into())];
                ledger.record(&Watermark { wallet, chain, claims, kind: Kind::Payment, id })?;
                let (wallet, chain) = ("alice".to_owned(), CHAIN.to_owned());
                let asset = account("ETH", if nonce == 11 { Payees::Internal } else { Payees::External });
                let (amount, to) = (Amount::from(u128::from(nonce)), (nonce > 9).then(|| "0xBob".to_owned()));
                ledger.spend(&Spend { wallet, chain, id, asset, amount, to }, false)?;
            }
            let cancel = Watermark {
                wallet: "alice".to_owned(),
                chain: CHAIN.to_owned(),
                claims: vec![Claim::Sequence(12)],
                kind: Kind::Cancel,
                id: [12; 32],
            };
            ledger.record(&cancel).map(drop)
        };
        store.decide(0, record).await.unwrap();
        let rows = async || {
            let read = |ledger: &Ledger<'_>| {
                let mut rows = Vec::new();
                ledger.each_wallet(|row| {
                    rows.push(row);
                    Ok::<_, StoreError>(())
                })?;
                Ok(rows)
            };
            store.export(0, read).await.unwrap()
        };
        let listed = |row: &ExportedRow| -> Vec<u64> { row.outstanding.iter().map(|payment| payment.nonce).collect() };
        let seen = rows().await;
        assert_eq!(seen.iter().map(|row| row.wallet.wallet.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
        assert_eq!(seen[0].highest, [(CHAIN.to_owned(), 12)]);
        assert_eq!(listed(&seen[0]), (5..12).collect::<Vec<_>>(), "without settlements only the newest are listed");
        let (amount, to) = (Amount::from(11), Some("0xBob".to_owned()));
        let last = Unsettled { chain: CHAIN.to_owned(), nonce: 11, asset: "ETH".to_owned(), amount, to };
        assert_eq!(seen[0].outstanding.last(), Some(&last));
        assert_eq!(seen[0].outstanding[0].to, None, "it is not known of every payment");
        assert!(seen[1].outstanding.is_empty() && seen[1].highest.is_empty());
        let settle = async |state| {
            let attested = Attested { id: [10; 32], state, attester: "sentinel".to_owned() };
            let claim = Claim::Sequence(10);
            store.decide(1, move |ledger| ledger.attest("alice", CHAIN, &claim, &attested)).await.unwrap();
        };
        settle(SettlementState::Used).await;
        assert_eq!(listed(&rows().await[0]), [10, 11], "its block may vanish");
        settle(SettlementState::Final).await;
        assert_eq!(listed(&rows().await[0]), [11]);
    }
}
