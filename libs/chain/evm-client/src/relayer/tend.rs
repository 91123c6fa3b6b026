//! What a new block means for everything under way: asked once for all of it.

use chain::{Amount, ClientError, Finality, Float, Head};
use futures::future::try_join_all;

use super::{Relayers, account::Account};
use crate::client::DECIMALS;

impl Relayers {
    /// Looks after all that is under way; how each account stands.
    pub async fn tend(&self, head: &Head) -> Result<Vec<chain::Account>, ClientError> {
        let _one = self.tending.lock().await;
        self.recover().await?;
        let busy = self.accounts.iter().any(|account| !account.lane().is_idle());
        if busy {
            self.market_anew().await?;
        } else {
            // Whoever sends next asks.
            *self.market.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
        }
        try_join_all(self.accounts.iter().map(|account| self.look(account, head))).await
    }

    async fn look(&self, account: &Account, head: &Head) -> Result<chain::Account, ClientError> {
        let known = {
            let lane = account.lane();
            lane.balance.filter(|_| lane.rests_at(head.number))
        };
        let balance = match known {
            Some(balance) => balance,
            None => self.rpc.balance(account.address, None).await?,
        };
        account.lane().at(head.number);
        if !account.lane().is_idle() {
            self.mined(account, head).await?;
        }
        account.lane().balance = Some(balance);
        if !account.lane().is_idle() {
            self.advance(account).await?;
        }
        let lane = account.lane();
        Ok(chain::Account {
            float: Float { relayer: account.address.to_string(), balance: Amount(balance), decimals: DECIMALS },
            low: Amount(balance) < self.limits.least_float,
            short: lane.short.filter(|needed| balance.saturating_sub(lane.committed()) < *needed).map(Amount),
            in_flight: lane.in_flight(),
            stuck: lane.all_stuck(),
            opened: lane.opened,
            foreign: lane.foreign,
        })
    }

    /// What is in a block now, what is no longer, and what will stay.
    async fn mined(&self, account: &Account, head: &Head) -> Result<(), ClientError> {
        // The nonce first: a transaction mined between both questions must not look replaced.
        let latest = self.rpc.nonce(account.address).await?;
        let asked = account.lane().seen(head.number, latest);
        let receipts = asked.into_iter().map(|(nonce, txs)| async move {
            for tx in txs {
                if let Some(receipt) = self.rpc.receipt(tx).await? {
                    return Ok((nonce, Some(receipt)));
                }
            }
            Ok::<_, ClientError>((nonce, None))
        });
        for (nonce, receipt) in try_join_all(receipts).await? {
            account.lane().told(nonce, receipt);
        }
        let settled = match self.finality {
            Finality::Depth(depth) => head.number.checked_sub(depth),
            Finality::Tagged if account.lane().has_mined() => Some(self.rpc.view().await?.finalized().await?),
            Finality::Tagged => None,
        };
        let ended = account.lane().settle(settled);
        if !ended.is_empty() {
            // Lost with a crash, they are asked for again and ended then.
            self.journal.end(ended).await.map_err(|error| ClientError::Journal(error.into()))?;
        }
        Ok(())
    }

    /// What the network has not got, and what has to be dearer.
    async fn advance(&self, account: &Account) -> Result<(), ClientError> {
        if account.lane().in_flight() == 0 {
            return Ok(());
        }
        let market = self.market().await?;
        let pending = self.rpc.pending_nonce(account.address).await?;
        let due = account.lane().due(pending, market.least, self.limits.replace_after);
        for due in due {
            account.act(due, &market).await?;
        }
        Ok(())
    }
}
