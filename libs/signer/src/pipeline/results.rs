//! What an operation came to, kept under its id: whoever asks again gets what is on disk.

use std::sync::Arc;

use audit::{Decision, Entry};
use prost::Message;
use protocol::ops::{Outcome, Refused, Response};

use super::{context::SigningContext, request::Accepted, signer::Signer, stop::Stop};
use crate::store::{Ledger, OperationKey, Recall, StoreError};

/// Stores a refusal under its operation id; an earlier result stays.
pub(super) fn conclude(
    ledger: &Ledger<'_>,
    key: &OperationKey,
    entry: Entry,
    stop: Stop,
) -> Result<Result<Outcome, Stop>, StoreError> {
    let entry = Entry { decision: Decision::Refused, reason: stop.reason().to_owned(), ..entry };
    finish(ledger, key, entry, stop.into_outcome())
}

/// Stores a result with its audit record, unless the id has one; what is on disk is the answer.
pub(super) fn finish(
    ledger: &Ledger<'_>,
    key: &OperationKey,
    entry: Entry,
    outcome: Outcome,
) -> Result<Result<Outcome, Stop>, StoreError> {
    match ledger.recall(key)? {
        Recall::Finished(result) => return Ok(stored(&result)),
        Recall::Reused => return Ok(Err(Stop::reused())),
        Recall::Open => {}
    }
    ledger.finish(key, &Response { outcome: Some(outcome.clone()) }.encode_to_vec())?;
    ledger.append(entry)?;
    Ok(Ok(outcome))
}

pub(super) fn stored(result: &[u8]) -> Result<Outcome, Stop> {
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
