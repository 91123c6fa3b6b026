//! App reads what this signer has recorded of its requests: ids, claims, digests, states; never a signature. The store's
//! readers answer, so no signature waits for it, and its own quota bounds what it costs.

use prost::Message;
use protocol::ops::{MAX_RECORDS, Outcome, PAYMENT_ID_BYTES, ReadRecords, Record, RecordState, Records, Used};

use super::{lock::Lock, signer::Signer, stop::Stop};
use crate::store::{Fate, Kind, Recorded, Wanted};

/// Largest answer, bytes: it fits into one envelope. A transaction of many coins takes more than one of a nonce.
const MAX_ANSWER: usize = 900 * 1024;

/// One page. A locked signer may have forgotten some of it itself.
pub(super) async fn read(signer: &Signer, asked: &ReadRecords) -> Result<Outcome, Stop> {
    if let Lock::Locked(why) = &*signer.lock() {
        return Err(Stop::unavailable("Locked", format!("this signer is locked: {why}")));
    }
    let mut wanted = wanted(asked)?;
    signer.records_quota(|quota| quota.take(signer.now_ms()))?;
    let limit = wanted.limit as usize;
    // One more, to know whether there are more.
    wanted.limit += 1;
    let look = move |ledger: &crate::store::Ledger<'_>| Ok((ledger.records(&wanted)?, ledger.records_end()?));
    let (found, (last, store)) = signer.store.look(signer.now_ms(), look).await?;
    let (all, mut bytes, mut records) = (found.len(), 0, Vec::new());
    for record in found.into_iter().take(limit).map(told) {
        bytes += record.encoded_len() + 8;
        if bytes > MAX_ANSWER && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(Outcome::Records(Records { more: records.len() < all, records, store: store.to_vec(), last }))
}

fn wanted(asked: &ReadRecords) -> Result<Wanted, Stop> {
    let ReadRecords { after, wallet, payment_id, limit } = asked;
    let malformed = |message: String| Stop::refused("Malformed", message);
    if i64::try_from(*after).is_err() {
        return Err(malformed(format!("records are numbered below 2^63, not {after}")));
    }
    let payment_id = match payment_id.as_slice() {
        [] => None,
        id => Some(id.try_into().map_err(|_| malformed(format!("a payment id has {PAYMENT_ID_BYTES} bytes")))?),
    };
    let limit = if *limit == 0 { MAX_RECORDS } else { (*limit).min(MAX_RECORDS) };
    Ok(Wanted { after: *after, wallet: Some(wallet.clone()).filter(|it| !it.is_empty()), payment_id, limit })
}

fn told(recorded: Recorded) -> Record {
    let Recorded { number, operation_id, payment_id, wallet, chain, id, kind, refused, claims, fate } = recorded;
    let state = match (&refused, fate) {
        (Some(_), _) => RecordState::Refused,
        (None, Fate::Open) => RecordState::Signed,
        (None, Fate::Made) => RecordState::Settled,
        (None, Fate::Superseded) => RecordState::Superseded,
    };
    Record {
        number,
        operation_id: operation_id.unwrap_or_default(),
        payment_id: payment_id.map_or_else(Vec::new, |id| id.to_vec()),
        wallet,
        chain,
        claims: claims.into_iter().map(Used::from).collect(),
        digest: id.to_vec(),
        state: state.into(),
        reason: refused.unwrap_or_default(),
        cancel: kind == Kind::Cancel,
    }
}
