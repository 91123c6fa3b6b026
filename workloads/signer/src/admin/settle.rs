//! Settlements that the admin attests in place of a sentinel that is lost or not used, and those that the admin corrects
//! or revokes, whoever attested them.

use audit::Entry;
use chain::{Claim, hex::Hex};
use custody::Role;
use protocol::ops::{Settlement, SettlementState};
use serde::Deserialize;
use signer::pipeline::{Power, note_each};
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done};

/// As it is in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attested {
    wallet: String,
    chain: String,
    /// What is used up: a nonce, or on chains of coins a `claim`, as it is displayed.
    nonce: Option<u64>,
    claim: Option<Claim>,
    digest: Hex<32>,
    /// Another digest was attested, for good or not.
    #[serde(default)]
    correct: bool,
    /// This digest was attested, and it is not so.
    #[serde(default)]
    revoke: bool,
}

impl Attested {
    fn settlement(self) -> Result<(Settlement, Power), AdminError> {
        let claim = match (self.nonce, self.claim) {
            (Some(nonce), None) => Claim::Sequence(nonce),
            (None, Some(claim)) => claim,
            _ => return Err(AdminError::Refused("each settlement has a nonce or a claim, and not both".to_owned())),
        };
        let settlement = Settlement::new(self.wallet, self.chain, claim, self.digest.0);
        match (self.correct, self.revoke) {
            (false, false) => Ok((settlement, Power::Attests)),
            (true, false) => Ok((settlement, Power::Overrules)),
            (false, true) => Ok((settlement.stated(SettlementState::Revoked), Power::Overrules)),
            (true, true) => {
                Err(AdminError::Refused("a settlement is corrected or revoked, not both; attest it anew".to_owned()))
            }
        }
    }
}

/// `settle`: all of the file or nothing.
pub(crate) async fn settle(place: &Place, role: Role, file: &[u8]) -> Result<Done, AdminError> {
    let malformed = |error: serde_json::Error| {
        AdminError::Refused(format!("the settlements are no JSON array of wallet, chain, nonce and digest: {error}"))
    };
    let attested: Vec<Attested> = serde_json::from_slice(file).map_err(malformed)?;
    let settlements = attested.into_iter().map(Attested::settlement).collect::<Result<Vec<_>, _>>()?;
    let (session, all) = (AdminSession::keyed(place, role).await?, settlements.len());
    let entry = session.entry("Settle", 0);
    let noted = session
        .decide(move |ledger| {
            let entry = Entry { at_ms: ledger.now_ms(), ..entry };
            let each = settlements.iter().map(|(settlement, power)| (settlement, *power));
            note_each(ledger, each, &entry)
        })
        .await?
        .map_err(|refusal| AdminError::Refused(format!("{}; nothing was noted", refusal.message)))?;
    let message = format!("{noted} settlement(s) noted, {} known before", all - noted);
    Ok(Done::new(noted > 0, message))
}
