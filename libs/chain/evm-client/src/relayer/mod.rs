//! The accounts that pay gas. They own nothing but their float and can move no wallet's money: they only carry what the
//! owners signed.
//!
//! A transaction is signed, kept in the caller's journal, and only then sent, so that after a crash the same
//! transaction is sent again instead of another one. Nonces are counted here, so that many transactions are under way;
//! with each block, [`Relayers::tend`] looks after all of them at once. All versions of a nonce are followed, and
//! whichever is mined counts.

mod account;
mod answer;
mod follow;
mod key;
mod lane;
mod offer;
mod signed;
mod tend;

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::Address;
use chain::{Amount, ClientError, Errand, Finality, Following, Journal, RelayLimits, Relaying};
use tokio::sync::OnceCell;

pub use self::key::{RelayerKey, Signer};
use self::{
    account::Account,
    follow::Follow,
    offer::Market,
    signed::{Signed, Terms},
};
use crate::{call::Call, rpc::Rpc};

/// See the module.
pub struct Relayers {
    rpc: Arc<Rpc>,
    chain_id: u64,
    finality: Finality,
    limits: RelayLimits,
    journal: Arc<dyn Journal>,
    accounts: Vec<Account>,
    recovered: OnceCell<()>,
    /// What the chain asks, as of the newest block that was told.
    market: Mutex<Option<Market>>,
    /// One block at a time is looked at.
    tending: tokio::sync::Mutex<()>,
}

impl Relayers {
    /// Of the keys in these files' texts, on chain `eip155:chain_id`.
    pub fn new(rpc: Arc<Rpc>, chain_id: u64, finality: Finality, relaying: &Relaying<'_>) -> Result<Self, ClientError> {
        let keys: Result<Vec<_>, _> = relaying.keys.iter().map(|text| RelayerKey::parse(text)).collect();
        let signers = keys?.into_iter().map(|key| Box::new(key) as Box<dyn Signer>).collect();
        Ok(Self::signed_by(rpc, chain_id, finality, signers, relaying.limits, relaying.journal.clone()))
    }

    /// Of these signers' accounts, at least one.
    pub fn signed_by(
        rpc: Arc<Rpc>,
        chain_id: u64,
        finality: Finality,
        signers: Vec<Box<dyn Signer>>,
        limits: RelayLimits,
        journal: Arc<dyn Journal>,
    ) -> Self {
        let account = |signer| Account::new(rpc.clone(), chain_id, signer, limits, journal.clone());
        let accounts = signers.into_iter().map(account).collect();
        let (recovered, market, tending) = (OnceCell::new(), Mutex::new(None), tokio::sync::Mutex::new(()));
        Self { rpc, chain_id, finality, limits, journal, accounts, recovered, market, tending }
    }

    /// The accounts that pay.
    pub fn addresses(&self) -> Vec<Address> {
        self.accounts.iter().map(|account| account.address).collect()
    }

    /// The call of this errand, if it is under way.
    pub async fn under_way(&self, errand: &Errand, call: &Call) -> Result<Option<Box<dyn Following>>, ClientError> {
        self.recover().await?;
        let found = self.accounts.iter().find_map(|account| account.lane().find(errand, call));
        Ok(found.map(|standing| Box::new(Follow(standing)) as Box<dyn Following>))
    }

    /// Keeps and sends a transaction that makes `call` for `wallet`.
    pub async fn relay(&self, wallet: &str, errand: &Errand, call: &Call) -> Result<Box<dyn Following>, ClientError> {
        self.recover().await?;
        let needed = self.rpc.estimate_gas(self.first()?.address, call).await?;
        let ceiling = self.limits.max_gas;
        if needed > ceiling {
            return Err(ClientError::OverGas { needed, ceiling });
        }
        let gas = needed.saturating_add(needed / 5).min(ceiling);
        self.send(wallet, errand, call, gas, self.limits.most_in_flight).await
    }

    /// The same of a call that makes those of many wallets, with so much gas, whatever a node estimates: what goes on when
    /// a part of it fails takes less in an estimate than it needs.
    pub async fn relay_batch(&self, errand: &Errand, call: &Call, gas: u64) -> Result<Box<dyn Following>, ClientError> {
        let RelayLimits { most_batches, most_in_flight, .. } = self.limits;
        self.send(&errand.of, errand, call, gas, most_batches.min(most_in_flight)).await
    }

    /// Where fewer than `most` are under way.
    async fn send(
        &self,
        wallet: &str,
        errand: &Errand,
        call: &Call,
        gas: u64,
        most: usize,
    ) -> Result<Box<dyn Following>, ClientError> {
        self.recover().await?;
        let market = self.market().await?;
        let (asked, ceiling) = (market.least, self.limits.max_price);
        let offer = market.within(ceiling).ok_or(ClientError::OverPrice { asked, ceiling })?;
        let terms = Terms { gas, offer };
        let account = self.chosen(wallet, &terms, call, most).await?;
        Ok(Box::new(Follow(account.send(wallet, errand, call, terms, &market).await?)))
    }

    /// Who simulated calls come from.
    pub(crate) fn caller(&self) -> Result<Address, ClientError> {
        Ok(self.first()?.address)
    }

    /// The most gas that one transaction may use.
    pub(crate) fn most_gas(&self) -> u64 {
        self.limits.max_gas
    }

    fn first(&self) -> Result<&Account, ClientError> {
        self.accounts.first().ok_or(ClientError::Key { expected: "the key of at least one relayer" })
    }

    /// Once in a process: what an earlier one has left.
    async fn recover(&self) -> Result<(), ClientError> {
        let recovered = self.recovered.get_or_try_init(|| async {
            let kept = self.journal.under_way().await.map_err(|error| ClientError::Journal(error.into()))?;
            let read = |(errand, relayed): (Errand, chain::Relayed)| {
                Signed::read(&relayed.raw, self.chain_id).map(|(from, signed)| (from, errand, signed))
            };
            let kept: Vec<_> = kept.into_iter().filter_map(read).collect();
            for account in &self.accounts {
                let own = kept.iter().filter(|(from, ..)| *from == account.address);
                account.recover(own.map(|(_, errand, signed)| (errand.clone(), signed.clone())).collect()).await?;
            }
            Ok(())
        });
        recovered.await.copied()
    }

    async fn market(&self) -> Result<Market, ClientError> {
        if let Some(known) = *self.market.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(known);
        }
        self.market_anew().await
    }

    async fn market_anew(&self) -> Result<Market, ClientError> {
        let market = Market::new(self.rpc.offer().await?);
        *self.market.lock().unwrap_or_else(PoisonError::into_inner) = Some(market);
        Ok(market)
    }

    /// The account that the wallet is with, or else the one with least under way, among those that have room and can pay;
    /// one whose transactions wait for its float comes last.
    async fn chosen(&self, wallet: &str, terms: &Terms, call: &Call, most: usize) -> Result<&Account, ClientError> {
        let with = self.accounts.iter().find(|account| account.lane().serves(wallet));
        let mut candidates: Vec<&Account> =
            with.map_or_else(|| self.accounts.iter().collect(), |account| vec![account]);
        candidates.sort_by_key(|account| {
            let lane = account.lane();
            (lane.waits_for_float(), lane.in_flight())
        });
        let needed = terms.cost().saturating_add(call.value);
        let (mut richest, mut full) = (None, false);
        for account in candidates {
            if account.lane().in_flight() >= most {
                full = true;
                continue;
            }
            let mut free = account.free(false).await?;
            if free < needed {
                free = account.free(true).await?;
            }
            account.lane().short = Some(needed).filter(|_| free < needed);
            if free >= needed {
                return Ok(account);
            }
            richest = richest.max(Some((free, account.address)));
        }
        if full {
            return Err(ClientError::Full { most });
        }
        let (balance, relayer) =
            richest.map_or((Amount::ZERO, String::new()), |(free, at)| (Amount(free), at.to_string()));
        Err(ClientError::Float { relayer, balance, needed: Amount(needed), unit: "wei" })
    }
}
