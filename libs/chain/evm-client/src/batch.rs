//! Many wallets in one transaction, by `aggregate3` of Multicall3: each call may fail for itself. What would fail is found
//! out before anything is sent, by a trial of the very calls; what it costs, by an estimate in which nothing may fail,
//! since one in which something may ends with too little gas for the last of them.

mod calls;
mod fit;
mod trial;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use chain::{
    ClientError, Errand, Following,
    batch::{Batch, Batched, Batching, Group, Tried},
};
use chain_evm::constants::MULTICALL;

use self::{
    calls::{Piece, Prepared, Verdict, aggregate},
    fit::{Filling, MOST_BYTES, MOST_GAS, bytes, fewer, fitting, percent, with_room},
    trial::Trial,
};
use crate::{EvmClient, node::Node};

/// What one attempt comes to.
enum Attempt {
    /// And which part of a transaction it takes up, percent.
    Made(Batch, u64),
    /// The same with so many groups instead.
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
        let mut prepared = groups.iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        let (view, relayers) = (self.rpc.view().await?, self.paying()?);
        let block_gas = view.head.gas_limit().unwrap_or(MOST_GAS);
        let gas = relayers.most_gas().min(MOST_GAS).min(block_gas);
        let trial = Trial { view: &view, from: relayers.caller()?, gas };
        let mut filling = Filling::of(prepared.len());
        let (mut next, mut made) = (Some(fitting(&prepared, gas)), batch(None, Vec::new()));
        let mut refused = BTreeMap::new();
        while let Some(count) = next {
            next = match attempt(&trial, &prepared[..count]).await? {
                Attempt::Fewer(fewer) => filling.over(count, fewer),
                Attempt::Made(batch, percent) => {
                    let next = filling.fit(count, percent).filter(|_| batch.transaction.is_some());
                    made = Batch { full: filling.is_full(percent), ..batch };
                    leave_out(&mut prepared, &made.tried, &mut refused);
                    next
                }
            };
        }
        for (place, tried) in refused {
            if matches!(made.tried[place], Tried::In { .. }) {
                made.tried[place] = tried;
            }
        }
        made.tried.resize(groups.len(), Tried::Later);
        Ok(made)
    }

    async fn relay_batch(&self, errand: &Errand, batched: &Batched) -> Result<Box<dyn Following>, ClientError> {
        self.paying()?.relay_batch(errand, &(&batched.call).try_into()?, batched.work).await
    }
}

async fn attempt(trial: &Trial<'_>, offered: &[Prepared]) -> Result<Attempt, ClientError> {
    let verdicts = match trial.of(offered).await {
        Ok(verdicts) => verdicts,
        Err(error) => return halved(offered.len(), error),
    };
    let left: Vec<Prepared> = offered.iter().zip(&verdicts).map(|(group, verdict)| group.left(verdict)).collect();
    let pieces: Vec<&Piece> = left.iter().flat_map(Prepared::all).collect();
    if pieces.is_empty() {
        let none = offered.len() > 1 && verdicts.iter().all(|verdict| verdict.tried == Tried::Later);
        return Ok(if none { Attempt::Fewer(offered.len() / 2) } else { Attempt::Made(batch(None, verdicts), 0) });
    }
    let size = bytes(&pieces);
    if size > MOST_BYTES && offered.len() > 1 {
        return Ok(Attempt::Fewer(offered.len() * MOST_BYTES / size));
    }
    let needed = match trial.estimate(&pieces).await {
        Ok(needed) => needed,
        Err(error) => return halved(offered.len(), error),
    };
    let ceiling = trial.gas;
    let work = match with_room(needed) {
        work if work <= ceiling => work,
        _ => match fewer(offered.len(), needed, ceiling) {
            Some(most) => return Ok(Attempt::Fewer(most)),
            None if needed <= ceiling => ceiling,
            None => return Err(ClientError::OverGas { needed, ceiling }),
        },
    };
    let call = chain::Call { to: MULTICALL.to_string(), data: aggregate(&pieces, true).data.to_vec() };
    Ok(Attempt::Made(batch(Some(Batched { call, work }), verdicts), percent(work, size, ceiling)))
}

/// What is refused at this block is refused again: it takes no gas of further attempts.
fn leave_out(prepared: &mut [Prepared], tried: &[Tried], refused: &mut BTreeMap<usize, Tried>) {
    for (place, (group, tried)) in prepared.iter_mut().zip(tried).enumerate() {
        let left = match tried {
            Tried::In { executions, refused: Some(_) } => *executions,
            Tried::Refused(_) => 0,
            Tried::In { refused: None, .. } | Tried::Later => continue,
        };
        group.executions.truncate(left);
        group.creation = group.creation.take().filter(|_| left > 0);
        refused.insert(place, tried.clone());
    }
}

fn batch(transaction: Option<Batched>, verdicts: Vec<Verdict>) -> Batch {
    Batch { transaction, full: false, tried: verdicts.into_iter().map(|verdict| verdict.tried).collect() }
}

/// What a node refuses of many may be too much for what it spends on one call.
fn halved(groups: usize, error: ClientError) -> Result<Attempt, ClientError> {
    match error {
        ClientError::Reverted { .. } | ClientError::Node { .. } if groups > 1 => Ok(Attempt::Fewer(groups / 2)),
        ClientError::Reverted { reason, .. } => {
            let tried = vec![Tried::Refused(reason); groups];
            Ok(Attempt::Made(Batch { transaction: None, full: false, tried }, 0))
        }
        error => Err(error),
    }
}
