//! One account that pays: signs, keeps and hands over what its lane says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, Bytes, U256};
use chain::{Amount, ClientError, Errand, GAP, Journal, RelayLimits, Stuck};
use tokio::sync::watch;

use super::{
    answer::Answer,
    key::Signer,
    lane::{Due, Lane, Standing, Version},
    offer::{Market, Step},
    signed::{Signed, Terms},
};
use crate::{call::Call, fees::Offer, rpc::Rpc};

/// See the module.
pub(super) struct Account {
    pub(super) rpc: Arc<Rpc>,
    pub(super) address: Address,
    pub(super) limits: RelayLimits,
    pub(super) journal: Arc<dyn Journal>,
    chain_id: u64,
    signer: Box<dyn Signer>,
    lane: Mutex<Lane>,
}

impl Account {
    pub(super) fn new(
        rpc: Arc<Rpc>,
        chain_id: u64,
        signer: Box<dyn Signer>,
        limits: RelayLimits,
        journal: Arc<dyn Journal>,
    ) -> Self {
        let address = signer.address();
        let lane = Mutex::new(Lane::new(address.to_string(), 0, 0, rpc.is_private()));
        Self { rpc, address, limits, journal, chain_id, signer, lane }
    }

    /// Held for a moment, never while something is waited for.
    pub(super) fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an earlier process has left: what was kept, and what the chain says of the account.
    pub(super) async fn recover(&self, kept: Vec<(Errand, Signed)>) -> Result<(), ClientError> {
        // In this order: a transaction mined between both must not look free.
        let latest = self.rpc.nonce(self.address).await?;
        let pending = self.rpc.pending_nonce(self.address).await?;
        let taken = if self.limits.takes_over { latest } else { pending };
        let mut lane = Lane::new(self.address.to_string(), latest, taken, self.rpc.is_private());
        kept.into_iter().for_each(|(errand, signed)| lane.adopt(errand, signed));
        *self.lane() = lane;
        Ok(())
    }

    /// What is left of the float beside what is under way, wei; from memory unless `anew`.
    pub(super) async fn free(&self, anew: bool) -> Result<U256, ClientError> {
        let known = self.lane().balance.filter(|_| !anew);
        let balance = match known {
            Some(balance) => balance,
            None => self.rpc.balance(self.address, None).await?,
        };
        let mut lane = self.lane();
        lane.balance = Some(balance);
        Ok(balance.saturating_sub(lane.committed()))
    }

    /// Sends `call` with the next nonce.
    pub(super) async fn send(
        &self,
        wallet: &str,
        errand: &Errand,
        call: &Call,
        terms: Terms,
        market: &Market,
    ) -> Result<watch::Receiver<Standing>, ClientError> {
        let (nonce, standing) = self.lane().reserve(errand, wallet, call);
        if let Err(error) = self.keep(nonce, errand, terms, call, false).await {
            self.lane().release(nonce);
            return Err(error);
        }
        self.hand(nonce, market).await?;
        Ok(standing)
    }

    /// Does what is due.
    pub(super) async fn act(&self, due: Due, market: &Market) -> Result<(), ClientError> {
        match due {
            Due::Resend(nonce) => self.hand(nonce, market).await,
            Due::Replace(nonce, lost) => {
                if self.raise(nonce, market, Step::Least).await? || lost {
                    self.hand(nonce, market).await?;
                }
                Ok(())
            }
            Due::Vacate(nonce) => {
                let newest = self.lane().newest(nonce).map(|(errand, version)| (errand.clone(), version.clone()));
                let Some((errand, version)) = newest else { return Ok(()) };
                let offer = version.signed.terms.offer;
                let offer = offer.raised(market, self.limits.max_price, Step::Least).unwrap_or(offer);
                self.empty(nonce, &errand.of, offer).await?;
                self.hand(nonce, market).await
            }
            Due::Fill(nonce) => {
                let Some(offer) = market.within(self.limits.max_price) else { return Ok(()) };
                let of = self.lane().behind(nonce).map(|errand| errand.of.clone()).unwrap_or_default();
                let errand = Errand { of: of.clone(), purpose: GAP.to_owned() };
                self.lane().reserve_at(nonce, &errand, "", &self.nothing());
                if let Err(error) = self.empty(nonce, &of, offer).await {
                    self.lane().release(nonce);
                    return Err(error);
                }
                self.hand(nonce, market).await
            }
        }
    }

    fn nothing(&self) -> Call {
        Call { to: self.address, value: U256::ZERO, data: Bytes::new() }
    }

    /// A transaction that carries nothing, at this nonce.
    async fn empty(&self, nonce: u64, of: &str, offer: Offer) -> Result<(), ClientError> {
        let call = self.nothing();
        let gas = self.rpc.estimate_gas(self.address, &call).await?;
        let errand = Errand { of: of.to_owned(), purpose: GAP.to_owned() };
        self.keep(nonce, &errand, Terms { gas, offer }, &call, true).await
    }

    /// Signs, and keeps what is signed. Nothing is sent.
    async fn keep(
        &self,
        nonce: u64,
        errand: &Errand,
        terms: Terms,
        call: &Call,
        empty: bool,
    ) -> Result<(), ClientError> {
        let signed = Signed::new(&*self.signer, self.chain_id, nonce, terms, call).await?;
        self.journal.write(errand, &signed.relayed()).await.map_err(|error| ClientError::Journal(error.into()))?;
        self.lane().kept(Version { signed, empty });
        Ok(())
    }

    /// Hands the newest version to the node; one that is too cheap for its pool is made dearer at once.
    async fn hand(&self, nonce: u64, market: &Market) -> Result<(), ClientError> {
        loop {
            let newest = self.lane().newest(nonce).map(|(_, version)| version.signed.clone());
            let Some(signed) = newest else { return Ok(()) };
            let openly = self.lane().is_open_to_all(nonce);
            match Answer::of(self.rpc.send_raw(&signed.raw, openly).await) {
                Some(Answer::Taken) => self.lane().accepted(nonce),
                // The next look tells; what the node has not got is sent again then.
                Some(Answer::Passed) => {}
                Some(Answer::Later) | None => self.lane().unanswered(nonce),
                Some(Answer::Underpriced) if self.raise(nonce, market, Step::Refused).await? => continue,
                Some(Answer::Underpriced) => {}
                // Nodes say in many words that they have it already: asking whether they do is surer.
                Some(Answer::Refused(message)) => match self.rpc.knows(signed.tx).await {
                    Ok(true) => self.lane().accepted(nonce),
                    Ok(false) => self.lane().refused(nonce, message),
                    Err(_) => {}
                },
            }
            return Ok(());
        }
    }

    /// Keeps a dearer version of what is at this nonce; `false`: there is none, and the lane says why.
    async fn raise(&self, nonce: u64, market: &Market, step: Step) -> Result<bool, ClientError> {
        let newest = self.lane().newest(nonce).map(|(errand, version)| (errand.clone(), version.clone()));
        let Some((errand, Version { signed, empty })) = newest else { return Ok(false) };
        let ceiling = self.limits.max_price;
        let Some(offer) = signed.terms.offer.raised(market, ceiling, step) else {
            let offered = signed.terms.offer.most();
            self.lane().stuck(nonce, Stuck::AtCeiling { offered, ceiling });
            return Ok(false);
        };
        let terms = Terms { offer, ..signed.terms };
        let needed = terms.cost().saturating_sub(signed.terms.cost());
        let mut free = self.free(false).await?;
        if free < needed {
            free = self.free(true).await?;
        }
        if free < needed {
            let relayer = self.address.to_string();
            self.lane().stuck(nonce, Stuck::Float { relayer, balance: Amount(free), needed: Amount(needed) });
            return Ok(false);
        }
        let errand = if empty { Errand { purpose: GAP.to_owned(), ..errand } } else { errand };
        self.keep(nonce, &errand, terms, &signed.call, empty).await?;
        Ok(true)
    }
}
