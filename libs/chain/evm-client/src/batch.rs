//! Many wallets in one transaction, by `aggregate3` of Multicall3: each call may fail for itself. What would fail is found
//! out before anything is sent, by a trial of the very calls; what it costs, by an estimate in which nothing may fail,
//! since one in which something may ends with too little gas for the last of them.

mod calls;
mod fit;
mod trial;

use std::sync::Arc;

use async_trait::async_trait;
use chain::{
    ClientError, Errand, Following,
    batch::{Batch, Batched, Batching, Group, Tried},
};
use chain_evm::constants::MULTICALL;

use self::{
    calls::{Piece, Prepared, Verdict, aggregate},
    fit::{MOST_GAS, fewer, fitting, with_room},
    trial::Trial,
};
use crate::{EvmClient, node::Node};

/// What one attempt comes to.
enum Attempt {
    Made(Batch),
    /// The same with so many groups less.
    Fewer(usize),
}

#[async_trait]
impl Batching for EvmClient {
    async fn carries(&self) -> Result<bool, ClientError> {
        let view = self.rpc.view().await?;
        let ask = |node: Arc<Node>| async move { node.has_multicall().await };
        view.agreed("the code of Multicall3", ask, |one, other| one == other).await
    }

    async fn batch(&self, groups: &[Group<'_>]) -> Result<Batch, ClientError> {
        let prepared = groups.iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let mut offered = prepared.as_slice();
        loop {
            match self.attempt(offered).await? {
                Attempt::Fewer(most) => offered = &offered[..most],
                Attempt::Made(mut batch) => {
                    batch.tried.resize(groups.len(), Tried::Later);
                    return Ok(batch);
                }
            }
        }
    }

    async fn relay_batch(&self, errand: &Errand, batched: &Batched) -> Result<Box<dyn Following>, ClientError> {
        self.paying()?.relay_with(&errand.of, errand, &(&batched.call).try_into()?, batched.work).await
    }
}

impl EvmClient {
    async fn attempt(&self, offered: &[Prepared]) -> Result<Attempt, ClientError> {
        let view = self.rpc.view().await?;
        let relayers = self.paying()?;
        let block_gas = view.head.gas_limit().unwrap_or(MOST_GAS);
        let ceiling = relayers.most_gas().min(MOST_GAS).min(block_gas);
        let offered = &offered[..fitting(offered, ceiling)];
        let trial = Trial { view: &view, from: relayers.caller()?, gas: ceiling };
        let verdicts = match trial.of(offered).await {
            Ok(verdicts) => verdicts,
            Err(error) => return halved(offered.len(), error),
        };
        let pieces: Vec<&Piece> =
            offered.iter().zip(&verdicts).flat_map(|(prepared, verdict)| prepared.played(verdict)).collect();
        if pieces.is_empty() {
            let none = offered.len() > 1 && verdicts.iter().all(|verdict| verdict.tried == Tried::Later);
            return Ok(if none { Attempt::Fewer(offered.len() / 2) } else { Attempt::Made(batch(None, verdicts)) });
        }
        let needed = match self.rpc.estimate_gas(trial.from, &aggregate(&pieces, false)).await {
            Ok(needed) => needed,
            // The chain has moved on since the trial.
            Err(error) => return halved(offered.len(), error),
        };
        let work = match with_room(needed) {
            work if work <= ceiling => work,
            _ => match fewer(offered.len(), needed, ceiling) {
                Some(most) => return Ok(Attempt::Fewer(most)),
                None if needed <= ceiling => ceiling,
                None => return Err(ClientError::OverGas { needed, ceiling }),
            },
        };
        let call = chain::Call { to: MULTICALL.to_string(), data: aggregate(&pieces, true).data.to_vec() };
        Ok(Attempt::Made(batch(Some(Batched { call, work }), verdicts)))
    }
}

fn batch(transaction: Option<Batched>, verdicts: Vec<Verdict>) -> Batch {
    Batch { transaction, tried: verdicts.into_iter().map(|verdict| verdict.tried).collect() }
}

/// What a node refuses of many may be too much for what it spends on one call.
fn halved(groups: usize, error: ClientError) -> Result<Attempt, ClientError> {
    match error {
        ClientError::Reverted { .. } | ClientError::Node { .. } if groups > 1 => Ok(Attempt::Fewer(groups / 2)),
        ClientError::Reverted { reason, .. } => {
            let tried = vec![Tried::Refused(reason); groups];
            Ok(Attempt::Made(Batch { transaction: None, tried }))
        }
        error => Err(error),
    }
}
