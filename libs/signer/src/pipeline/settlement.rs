//! Settlements, by whoever attests them: the sentinel, or the admin in its place.

use std::collections::BTreeMap;

use audit::{Decision, Entry};
use chain::{Claim, Refusal};
use protocol::ops::{Settlement, SettlementError};

use crate::store::{Ledger, Settled, StoreError};

/// A settlement that has been read.
struct Attested<'a> {
    wallet: &'a str,
    chain: &'a str,
    claim: Claim,
    id: [u8; 32],
}

/// Notes all of them or none, with an audit record each, `entry` saying who attests; how many were new.
pub fn note_settlements(
    ledger: &Ledger<'_>,
    settlements: &[Settlement],
    entry: &Entry,
) -> Result<Result<usize, Refusal>, StoreError> {
    // First whether all can be noted, so that nothing is half done.
    let mut all = Vec::with_capacity(settlements.len());
    let mut first = BTreeMap::new();
    for settlement in settlements {
        let attested = match Attested::read(settlement) {
            Ok(attested) => attested,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let known = first.entry((attested.wallet, attested.chain, attested.claim)).or_insert(attested.id);
        let repeated = if *known == attested.id { Ok(()) } else { Err(attested.otherwise()) };
        if let Err(refusal) = attested.acceptable(ledger)?.and(repeated) {
            return Ok(Err(refusal));
        }
        all.push(attested);
    }
    let mut noted = 0;
    for attested in &all {
        noted += usize::from(attested.note(ledger, entry)?);
    }
    Ok(Ok(noted))
}

impl<'a> Attested<'a> {
    fn read(settlement: &'a Settlement) -> Result<Self, Refusal> {
        let malformed = |error: SettlementError| refused("Malformed", error.to_string());
        let (claim, id) = (settlement.claim().map_err(malformed)?, settlement.id().map_err(malformed)?);
        if let Claim::Sequence(nonce) = claim
            && i64::try_from(nonce).is_err()
        {
            return Err(refused("Malformed", "a settlement has a nonce below 2^63".to_owned()));
        }
        Ok(Self { wallet: &settlement.wallet, chain: &settlement.chain, claim, id })
    }

    fn acceptable(&self, ledger: &Ledger<'_>) -> Result<Result<(), Refusal>, StoreError> {
        let Self { wallet, chain, claim, id } = self;
        if !ledger.is_registered(wallet, chain)? {
            return Ok(Err(refused("WalletUnknown", format!("wallet '{wallet}' is not registered on {chain}"))));
        }
        Ok(match ledger.settled(wallet, chain, claim)? {
            Some(known) if known != *id => Err(self.otherwise()),
            _ => Ok(()),
        })
    }

    fn otherwise(&self) -> Refusal {
        let Self { wallet, claim, .. } = self;
        refused("SettledOtherwise", format!("another digest was attested for {claim} of wallet {wallet}"))
    }

    /// False: it was known.
    fn note(&self, ledger: &Ledger<'_>, entry: &Entry) -> Result<bool, StoreError> {
        let Self { wallet, chain, claim, id } = self;
        match ledger.settle(wallet, chain, claim, id)? {
            Settled::Noted => {}
            Settled::Known => return Ok(false),
            Settled::Otherwise => return Err(StoreError::Failed("a settlement changed while it was noted".to_owned())),
        }
        ledger.append(Entry {
            decision: Decision::Done,
            wallet: (*wallet).to_owned(),
            chain: (*chain).to_owned(),
            digest: id.to_vec(),
            ..entry.clone()
        })?;
        Ok(true)
    }
}

fn refused(reason: &'static str, message: String) -> Refusal {
    Refusal { reason, message }
}
