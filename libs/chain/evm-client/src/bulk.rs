//! Many wallets at one block, in few large calls: a node that refuses one for its size, its gas or its time is asked for
//! half as much, and what nodes say differently is asked again and then told by its address.

use std::sync::{Arc, atomic::Ordering};

use alloy_primitives::{Address, Bytes};
use chain::{Asset, Capacity, ClientError, Head, Inability, WalletDesc, WalletState};
use futures::future::{join_all, try_join_all};
use serde_json::json;

use crate::{
    EvmClient, Offer, SafeState,
    client::{DECIMALS, address, token},
    fault::wants_less,
    follow::{View, disagree},
    node::Node,
    queue::{Answer, Read},
    reads::tag,
    safe::{OWN, balance_of, own_reads, units},
};

/// A node that refuses so few in one call is asked without Multicall3.
const LEAST_IN_CALL: usize = 16;
/// Where a token answers none of its holders in a call, so many are asked alone before that is believed of all in it.
const SAMPLE: usize = 4;
/// So often nodes that disagree are asked again.
const AGAIN: u32 = 2;
/// Blocks over which the time between two is measured.
const PACE: u64 = 100;

impl EvmClient {
    /// See [`chain::ChainClient::wallet_states`].
    pub(crate) async fn states_at(
        &self,
        at: &Head,
        wallets: &[WalletDesc],
        assets: &[Asset],
    ) -> Result<Vec<WalletState>, ClientError> {
        let safes = wallets.iter().map(|wallet| address(&wallet.address)).collect::<Result<Vec<_>, _>>()?;
        let listed = assets.iter().map(token).collect::<Result<Vec<_>, _>>()?;
        let tokens: Vec<Address> = listed.iter().copied().flatten().collect();
        let mut agreed: Vec<Option<SafeState>> = vec![None; safes.len()];
        let mut open: Vec<usize> = (0..safes.len()).collect();
        let mut failures = 0;
        while !open.is_empty() {
            tokio::time::sleep(backoff::delay(failures)).await;
            let view = self.rpc.view().await?;
            let asked: Vec<Address> = open.iter().map(|place| safes[*place]).collect();
            let said = said(&view, at, &asked, &tokens).await?;
            let mut differ = Vec::new();
            for (number, place) in open.into_iter().enumerate() {
                let mut each = said.iter().filter_map(|states| states.get(number));
                let Some(first) = each.next() else { return Err(ClientError::Url) };
                match each.all(|other| first.same(other)) {
                    true => agreed[place] = Some(first.clone()),
                    false => differ.push(place),
                }
            }
            if let (Some(first), true) = (differ.first(), failures >= AGAIN) {
                let more = match differ.len() - 1 {
                    0 => String::new(),
                    more => format!(" and of {more} more wallets"),
                };
                let what = format!("the state of {}{more}", wallets[*first].address);
                return Err(disagree(what, at.number, &view.nodes));
            }
            (open, failures) = (differ, failures + 1);
        }
        let states = wallets.iter().zip(agreed.into_iter().flatten());
        Ok(states.map(|(wallet, state)| self.wallet_of(wallet, &listed, &state)).collect())
    }

    /// See [`chain::ChainClient::capacity`].
    pub(crate) async fn room(&self) -> Result<Option<Capacity>, ClientError> {
        let view = self.rpc.view().await?;
        let (Some(node), Some(work)) = (view.nodes.first(), view.head.gas_limit()) else { return Ok(None) };
        let back = view.block().min(PACE);
        if back == 0 {
            return Ok(None);
        }
        let before = node.header(json!(tag(view.block() - back))).await?;
        let passed = view.head.time().saturating_sub(before.time());
        // Not what others tip: a thief who tips in the newest blocks must not make wallets look worthless.
        let price = match (view.head.base_fee(), self.rpc.offer().await?) {
            (Some(base_fee), _) => base_fee.saturating_add(self.rpc.least_tip()),
            (None, Offer::Legacy { price }) => price,
            (None, Offer::Eip1559(fees)) => fees.max,
        };
        let every = std::time::Duration::from_secs_f64(passed as f64 / back as f64);
        Ok(Some(Capacity { work, every, price, decimals: DECIMALS }))
    }
}

/// What each node of the view says of these.
async fn said(
    view: &View,
    at: &Head,
    safes: &[Address],
    tokens: &[Address],
) -> Result<Vec<Vec<SafeState>>, ClientError> {
    let asked = view.nodes.iter().map(async |node| {
        let states = node.states(at, safes, tokens).await;
        if let Err(error) = &states
            && error.is_away()
        {
            node.failed(error);
        }
        states
    });
    join_all(asked).await.into_iter().collect()
}

impl Node {
    /// All of them at the end of the block `at`.
    async fn states(
        self: &Arc<Self>,
        at: &Head,
        safes: &[Address],
        tokens: &[Address],
    ) -> Result<Vec<SafeState>, ClientError> {
        let own: Vec<Read> = safes.iter().flat_map(|safe| own_reads(*safe)).collect();
        let own = self.many(at.number, own);
        // Each token apart: one that eats all gas leaves the others theirs.
        let held = try_join_all(
            tokens
                .iter()
                .map(|token| self.many(at.number, safes.iter().map(|safe| balance_of(*token, *safe)).collect())),
        );
        let (own, held) = tokio::try_join!(own, held)?;
        // Behind one URL there may be several nodes, and a number may be of another block by now.
        let block = self.header(json!(tag(at.number))).await?;
        if block.hash.to_string() != at.id {
            let words = format!("block {} is {} by now, and no longer {}", at.number, block.hash, at.id);
            return Err(self.unable("eth_getBlockByNumber", Inability::NoBlock(words)));
        }
        let state = |(number, own): (usize, &[Answer])| {
            let of_it = tokens.iter().zip(&held);
            let of_it = of_it.filter_map(|(token, answers)| Some(units(*token, answers.get(number)?)));
            self.safe_state(at.number, own, of_it.collect())
        };
        own.chunks(OWN).enumerate().map(state).collect()
    }

    /// What these reads return, in as few calls as the node takes.
    async fn many(&self, block: u64, reads: Vec<Read>) -> Result<Vec<Answer>, ClientError> {
        if !self.has_multicall().await? {
            return self.one_by_one(block, &reads).await;
        }
        let mut answers = Vec::with_capacity(reads.len());
        while answers.len() < reads.len() {
            let left = &reads[answers.len()..];
            let calls = left.len().div_ceil(self.in_call.load(Ordering::Relaxed));
            let part = &left[..left.len().div_ceil(calls)];
            let together = self.together(block, part).await;
            let none = match &together {
                Ok(answers) => answers.iter().all(Option::is_none),
                Err(error) => matches!(error, ClientError::Reverted { .. }),
            };
            if none && let Some(reason) = self.refuses(block, part).await? {
                answers.extend(std::iter::repeat_n(Err(reason), part.len()));
                continue;
            }
            match together {
                Ok(together) => answers.extend(self.explained(block, part, together).await?),
                Err(error) if !wants_less(&error) => return Err(error),
                Err(_) if part.len() > LEAST_IN_CALL => {
                    self.in_call.fetch_min(part.len() / 2, Ordering::Relaxed);
                }
                Err(_) => answers.extend(self.one_by_one(block, part).await?),
            }
        }
        Ok(answers)
    }

    /// Why these reads fail, if the first of them do so alone too: of a token that refuses everybody nobody asks a
    /// million times, and one that eats all gas makes no other's call smaller.
    async fn refuses(&self, block: u64, reads: &[Read]) -> Result<Option<String>, ClientError> {
        let alone = self.one_by_one(block, &reads[..reads.len().min(SAMPLE)]).await?;
        let reasons: Option<Vec<String>> = alone.into_iter().map(Result::err).collect();
        Ok(reasons.and_then(|reasons| reasons.into_iter().next()))
    }

    /// What fails among others is asked again alone: it may have failed for want of gas, and it says why.
    pub(crate) async fn explained(
        &self,
        block: u64,
        reads: &[Read],
        together: Vec<Option<Bytes>>,
    ) -> Result<Vec<Answer>, ClientError> {
        let failed = together.iter().zip(reads).filter(|(answer, _)| answer.is_none());
        let failed: Vec<Read> = failed.map(|(_, read)| read.clone()).collect();
        let alone = self.one_by_one(block, &failed).await?;
        let mut alone = alone.into_iter();
        let answer = |answer: Option<Bytes>| match answer {
            Some(answer) => Ok(answer),
            None => alone.next().unwrap_or_else(|| Err("no reason given".to_owned())),
        };
        Ok(together.into_iter().map(answer).collect())
    }
}
