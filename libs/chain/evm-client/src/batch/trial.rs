//! What would fail, found out by making the very calls at the newest block without sending anything.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U64, U256};
use alloy_sol_types::SolCall;
use chain::{ClientError, batch::Tried};
use serde_json::{Value, json};

use super::calls::{Piece, Prepared, Verdict, aggregate};
use crate::{
    call::{Call, word},
    follow::View,
    node::Node,
    reads::{Answered, aggregate3Call, tag},
    revert::Revert,
    rpc::request,
};

/// Where calls are tried: at the newest block, by the relayer, with as much gas as a transaction may have.
pub(super) struct Trial<'a> {
    pub(super) view: &'a View,
    pub(super) from: Address,
    pub(super) gas: u64,
}

impl Trial<'_> {
    /// Gas that these calls take together when none of them fails, after the same block.
    pub(super) async fn estimate(&self, pieces: &[&Piece]) -> Result<u64, ClientError> {
        let params = json!([request(self.from, &aggregate(pieces, false)), tag(self.view.block())]);
        let params = &params;
        let ask = |node: Arc<Node>| async move { node.ask::<U64>("eth_estimateGas", params.clone(), "gas").await };
        // Each node reckons in its own way.
        Ok(self.view.agreed("the gas of a batch", ask, |_, _| true).await?.to())
    }

    /// All groups in company. What fails there is tried alone, where others can't have taken its gas, and then what is
    /// left of all of them in company again.
    pub(super) async fn of(&self, groups: &[Prepared]) -> Result<Vec<Verdict>, ClientError> {
        let mut verdicts = self.in_company(groups).await?;
        let fails = |verdict: &Verdict| !matches!(verdict.tried, Tried::In { refused: None, .. });
        let failed: Vec<usize> = (0..groups.len()).filter(|place| fails(&verdicts[*place])).collect();
        if failed.is_empty() || groups.len() == 1 {
            return Ok(verdicts);
        }
        let lists: Vec<Vec<&Piece>> = failed.iter().map(|place| groups[*place].all()).collect();
        for (place, answers) in failed.into_iter().zip(self.make(&lists).await?) {
            verdicts[place] = verdict(&groups[place], &answers);
        }
        let left: Vec<Prepared> = groups.iter().zip(&verdicts).map(|(group, verdict)| group.left(verdict)).collect();
        let together = self.in_company(&left).await?;
        for (verdict, together) in verdicts.iter_mut().zip(&together) {
            if matches!(verdict.tried, Tried::In { .. }) && fails(together) {
                *verdict = Verdict { tried: Tried::Later, creates: false };
            }
        }
        Ok(verdicts)
    }

    async fn in_company(&self, groups: &[Prepared]) -> Result<Vec<Verdict>, ClientError> {
        let all: Vec<&Piece> = groups.iter().flat_map(Prepared::all).collect();
        let mut answers = self.make(&[all]).await?.into_iter().flatten();
        let own = |group: &Prepared| verdict(group, &answers.by_ref().take(group.all().len()).collect::<Vec<_>>());
        Ok(groups.iter().map(own).collect())
    }

    /// What each of these lists of calls answers, tried for itself, as many nodes as must agree say it.
    async fn make(&self, lists: &[Vec<&Piece>]) -> Result<Vec<Vec<Answered>>, ClientError> {
        let calls: Vec<(Call, usize)> = lists.iter().map(|pieces| (aggregate(pieces, true), pieces.len())).collect();
        let (calls, block) = (&calls, self.view.block());
        let ask = |node: Arc<Node>| async move { node.make(self.from, calls, self.gas, block).await };
        let successes = |made: &[Vec<Answered>]| made.iter().flatten().map(|one| one.success).collect::<Vec<_>>();
        self.view.agreed("a batch of calls", ask, |one, other| successes(one) == successes(other)).await
    }
}

impl Node {
    /// Each of these calls with as many answers as it holds calls.
    async fn make(
        &self,
        from: Address,
        calls: &[(Call, usize)],
        gas: u64,
        block: u64,
    ) -> Result<Vec<Vec<Answered>>, ClientError> {
        let asked: Vec<(&'static str, Value)> = calls
            .iter()
            .map(|(call, _)| ("eth_call", json!([request(from, call).gas_limit(gas), tag(block)])))
            .collect();
        let answers = self.batch(&asked).await.into_iter().zip(calls).map(|(answer, (_, expected))| {
            let malformed = || self.malformed("eth_call", "an answer to each of the calls");
            let answer: Bytes = serde_json::from_value(answer?).map_err(|_| malformed())?;
            let answered = aggregate3Call::abi_decode_returns_validate(&answer).map_err(|_| malformed())?;
            if answered.len() == *expected { Ok(answered) } else { Err(malformed()) }
        });
        answers.collect()
    }
}

/// What the answers to all calls of a group mean.
fn verdict(group: &Prepared, answers: &[Answered]) -> Verdict {
    let (creation, executions) = answers.split_at(group.creation.iter().len().min(answers.len()));
    let creation = creation.first().map(|answer| created(group.wallet, answer));
    let creates = creation == Some(Ok(()));
    let not_created = || creation.clone()?.err().map(|why| format!("it can't be created: {why}"));
    // An account without code answers every call with nothing; execTransaction returns true.
    let done = |answer: &Answered| answer.success && word(&answer.returnData) == Some(U256::ONE);
    let nothing = |answer: &Answered| answer.success && answer.returnData.is_empty();
    let passes = executions.iter().take_while(|answer| done(answer)).count();
    let refused = match executions.get(passes) {
        Some(answer) => Some(not_created().filter(|_| nothing(answer)).unwrap_or_else(|| reason(answer))),
        None if executions.is_empty() => not_created(),
        None => None,
    };
    let tried = match (passes, refused) {
        (0, Some(reason)) => Tried::Refused(reason),
        (executions, refused) => Tried::In { executions, refused },
    };
    Verdict { tried, creates }
}

/// What the answer to a [creation](Piece) means: of two calls, the second, if nothing was at the address before.
fn created(wallet: Address, answer: &Answered) -> Result<(), String> {
    let there = || "something is at its address already".to_owned();
    if !answer.success {
        return Err(there());
    }
    let both = aggregate3Call::abi_decode_returns_validate(&answer.returnData).unwrap_or_default();
    match both.get(1) {
        // The factory returns the address.
        Some(made) if made.success && made.returnData.get(12..32) == Some(wallet.as_slice()) => Ok(()),
        Some(other) => Err(reason(other)),
        None => Err(there()),
    }
}

fn reason(answer: &Answered) -> String {
    match answer.success {
        true => "it would have no effect".to_owned(),
        false => Revert::new(answer.returnData.clone(), "").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use alloy_sol_types::{Revert as ErrorString, SolError};

    use super::*;

    const WALLET: Address = Address::repeat_byte(7);

    fn group(creates: bool, executions: usize) -> Prepared {
        let piece = |creates| Piece { to: WALLET, data: Bytes::new(), creates };
        let (creation, executions) = (creates.then(|| piece(Some(WALLET))), vec![piece(None); executions]);
        Prepared { wallet: WALLET, creation, executions }
    }

    fn answer(success: bool, data: impl Into<Bytes>) -> Answered {
        Answered { success, returnData: data.into() }
    }

    fn yes() -> Answered {
        answer(true, U256::ONE.to_be_bytes::<32>())
    }

    fn no(reason: &str) -> Answered {
        answer(false, ErrorString { reason: reason.into() }.abi_encode())
    }

    /// Nothing was there, and this is what the factory answers.
    fn absent(factory: Answered) -> Answered {
        answer(true, aggregate3Call::abi_encode_returns(&vec![answer(true, Bytes::new()), factory]))
    }

    fn made() -> Answered {
        absent(answer(true, WALLET.into_word().0))
    }

    fn included(executions: usize, refused: Option<&str>) -> Tried {
        Tried::In { executions, refused: refused.map(str::to_owned) }
    }

    #[test]
    fn what_passes_before_the_first_refusal_is_played() {
        let of = |creates, answers: &[Answered]| {
            let executions = answers.len() - usize::from(creates);
            let Verdict { tried, creates } = verdict(&group(creates, executions), answers);
            (tried, creates)
        };
        assert_eq!(of(false, &[yes(), yes()]), (included(2, None), false));
        assert_eq!(of(false, &[yes(), no("GS013"), yes()]), (included(1, Some("GS013")), false));
        assert_eq!(of(false, &[no("GS026"), yes()]), (Tried::Refused("GS026".to_owned()), false));
        assert_eq!(of(true, &[made(), yes()]), (included(1, None), true));
        assert_eq!(of(true, &[made(), no("GS013")]), (Tried::Refused("GS013".to_owned()), true));
        assert_eq!(of(true, &[made()]), (included(0, None), true), "a creation alone");
    }

    #[test]
    fn a_wallet_that_somebody_else_has_created_is_no_failure_and_one_that_is_not_there_does_nothing() {
        let raced = verdict(&group(true, 1), &[no("GS031"), yes()]);
        assert_eq!(raced, Verdict { tried: included(1, None), creates: false });
        let alone = verdict(&group(true, 0), &[no("GS031")]);
        let there = "it can't be created: something is at its address already";
        assert_eq!(alone.tried, Tried::Refused(there.to_owned()));
        let nothing = answer(true, Bytes::new());
        let failed = verdict(&group(true, 1), &[absent(no("Create2 call failed")), nothing.clone()]);
        assert_eq!(failed.tried, Tried::Refused("it can't be created: Create2 call failed".to_owned()));
        let nowhere = verdict(&group(false, 1), &[nothing]);
        assert_eq!(nowhere.tried, Tried::Refused("it would have no effect".to_owned()));
        let elsewhere = absent(answer(true, Address::repeat_byte(8).into_word().0));
        assert!(!verdict(&group(true, 1), &[elsewhere, yes()]).creates);
    }
}
