//! Settlements that the admin attests in place of a sentinel that is lost or not used.

use audit::Entry;
use custody::Role;
use protocol::ops::Settlement;
use serde::Deserialize;

use super::{Desk, Done, LocalError};
use crate::{hex::Hex, pipeline::note_settlements, wiring::Place};

/// As it is in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attested {
    wallet: String,
    chain: String,
    nonce: u64,
    digest: Hex<32>,
}

/// `settle`: all of the file or nothing.
pub(crate) async fn settle(place: &Place, role: Role, file: &[u8]) -> Result<Done, LocalError> {
    let malformed = |error: serde_json::Error| {
        LocalError::Refused(format!("the settlements are no JSON array of wallet, chain, nonce and digest: {error}"))
    };
    let attested: Vec<Attested> = serde_json::from_slice(file).map_err(malformed)?;
    let settlement =
        |Attested { wallet, chain, nonce, digest }| Settlement { wallet, chain, nonce, digest: digest.0.to_vec() };
    let settlements: Vec<Settlement> = attested.into_iter().map(settlement).collect();
    let (desk, all) = (Desk::open(place, role).await?, settlements.len());
    let entry = desk.entry("Settle", 0);
    let noted = desk
        .decide(move |ledger| {
            let entry = Entry { at_ms: ledger.now_ms(), ..entry };
            note_settlements(ledger, &settlements, &entry)
        })
        .await?
        .map_err(|refusal| LocalError::Refused(format!("{}; nothing was noted", refusal.message)))?;
    let message = format!("{noted} settlement(s) noted, {} known before", all - noted);
    Ok(Done::new(noted > 0, message))
}
