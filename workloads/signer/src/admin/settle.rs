//! Settlements that the admin attests in place of a sentinel that is lost or not used.

use audit::Entry;
use chain::hex::Hex;
use custody::Role;
use protocol::ops::Settlement;
use serde::Deserialize;
use signer::pipeline::note_settlements;
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done};

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
pub(crate) async fn settle(place: &Place, role: Role, file: &[u8]) -> Result<Done, AdminError> {
    let malformed = |error: serde_json::Error| {
        AdminError::Refused(format!("the settlements are no JSON array of wallet, chain, nonce and digest: {error}"))
    };
    let attested: Vec<Attested> = serde_json::from_slice(file).map_err(malformed)?;
    let settlement =
        |Attested { wallet, chain, nonce, digest }| Settlement { wallet, chain, nonce, digest: digest.0.to_vec() };
    let settlements: Vec<Settlement> = attested.into_iter().map(settlement).collect();
    let (session, all) = (AdminSession::open(place, role).await?, settlements.len());
    let entry = session.entry("Settle", 0);
    let noted = session
        .decide(move |ledger| {
            let entry = Entry { at_ms: ledger.now_ms(), ..entry };
            note_settlements(ledger, &settlements, &entry)
        })
        .await?
        .map_err(|refusal| AdminError::Refused(format!("{}; nothing was noted", refusal.message)))?;
    let message = format!("{noted} settlement(s) noted, {} known before", all - noted);
    Ok(Done::new(noted > 0, message))
}
