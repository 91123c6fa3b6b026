//! What an operation came to, kept under its id: whoever asks again gets what is on disk.

use std::sync::Arc;

use audit::{Decision, Entry};
use prost::Message;
use protocol::ops::{Outcome, Refused, Response};

use super::{context::SigningContext, request::Accepted, room, signer::Signer, stop::Stop};
use crate::store::{Ledger, OperationKey, Recall, StoreError};

/// Stores a refusal under its operation id, if there is room for it; an earlier result stays.
pub(super) fn conclude(
    ledger: &Ledger<'_>,
    key: &OperationKey,
    entry: Entry,
    stop: Stop,
) -> Result<Result<Outcome, Stop>, StoreError> {
    let entry = Entry { decision: Decision::Refused, reason: stop.reason().to_owned(), ..entry };
    finish(ledger, key, entry, stop.into_outcome())
}

/// Stores a result with its audit record, unless the id has one; what is on disk is the answer. What was done and whose
/// reply is pruned is answered anew and never stored again.
pub(super) fn finish(
    ledger: &Ledger<'_>,
    key: &OperationKey,
    entry: Entry,
    outcome: Outcome,
) -> Result<Result<Outcome, Stop>, StoreError> {
    match (ledger.recall(key)?, &outcome) {
        (Recall::Open, Outcome::Refused(Refused { reason, .. })) => {
            if let Err(stop) = room::refusal(ledger, reason)? {
                return Ok(Err(stop));
            }
        }
        (Recall::Open, _) => {}
        (Recall::Done, Outcome::Refused(_)) => return Ok(Err(Stop::pruned())),
        (Recall::Done, _) => return Ok(Ok(outcome)),
        (known, _) => return Ok(answered(known).unwrap_or_else(|| Err(Stop::pruned()))),
    }
    ledger.finish(key, &Response { outcome: Some(outcome.clone()) }.encode_to_vec())?;
    ledger.append(entry)?;
    Ok(Ok(outcome))
}

/// The answer that is on disk; nothing: the operation has to be carried out, or, where its reply is pruned, made again.
pub(super) fn answered(recall: Recall) -> Option<Result<Outcome, Stop>> {
    match recall {
        Recall::Open | Recall::Done => None,
        Recall::Finished(result) => Some(stored(&result)),
        Recall::Refused(reason) => {
            let message = "this operation was refused; what was said of it then is no longer kept".to_owned();
            Some(Ok(Outcome::Refused(Refused { reason, message })))
        }
        Recall::Reused => Some(Err(Stop::reused())),
    }
}

fn stored(result: &[u8]) -> Result<Outcome, Stop> {
    let unreadable = || Stop::unavailable("StoreDamaged", "a stored result is not readable; restore the volume");
    Response::decode(result).ok().and_then(|response| response.outcome).ok_or_else(unreadable)
}

/// The reason of an outcome for metrics: the operation's success, or why not.
pub fn reason(response: &Response) -> &str {
    match &response.outcome {
        Some(Outcome::Refused(Refused { reason, .. }) | Outcome::Unavailable(Refused { reason, .. })) => reason,
        Some(Outcome::Pending(_)) => "Pending",
        Some(_) => "Done",
        None => "Nothing",
    }
}

impl Signer {
    /// Stores a refusal for good, with its audit record. What is on disk is the answer, whoever wrote it first.
    pub(super) async fn conclude(
        &self,
        serving: &Arc<SigningContext>,
        accepted: Accepted,
        stop: Stop,
    ) -> Result<Outcome, Stop> {
        let serving = serving.clone();
        self.decide(move |ledger| {
            if let Some(frozen) = ledger.frozen(accepted.operation.wallet())? {
                return Ok(Err(Stop::frozen(&frozen)));
            }
            let entry = accepted.entry(&serving, ledger.now_ms());
            conclude(ledger, &accepted.key, entry, stop)
        })
        .await?
    }
}
