//! Settlements, by whoever attests them: the sentinel, or the admin in its place.

use std::collections::BTreeMap;

use audit::{Decision, Entry};
use chain::Refusal;
use protocol::ops::Settlement;

use crate::store::{Ledger, Settled, StoreError};

/// Notes all of them or none, with an audit record each, `entry` saying who attests; how many were new.
pub fn note_settlements(
    ledger: &Ledger<'_>,
    settlements: &[Settlement],
    entry: &Entry,
) -> Result<Result<usize, Refusal>, StoreError> {
    // First whether all can be noted, so that nothing is half done.
    let mut digests = BTreeMap::new();
    for settlement in settlements {
        let checked = acceptable(ledger, settlement)?;
        let Settlement { wallet, chain, nonce, digest } = settlement;
        let first = digests.entry((wallet, chain, nonce)).or_insert(digest);
        if let Err(refusal) = checked.and(if *first == digest { Ok(()) } else { Err(otherwise(settlement)) }) {
            return Ok(Err(refusal));
        }
    }
    let mut noted = 0;
    for settlement in settlements {
        noted += usize::from(note_one(ledger, settlement, entry)?);
    }
    Ok(Ok(noted))
}

fn acceptable(ledger: &Ledger<'_>, settlement: &Settlement) -> Result<Result<(), Refusal>, StoreError> {
    let Settlement { wallet, chain, nonce, digest } = settlement;
    if digest.len() != 32 || i64::try_from(*nonce).is_err() {
        return Ok(Err(refused(
            "Malformed",
            "a settlement has a digest of 32 bytes and a nonce below 2^63".to_owned(),
        )));
    }
    if !ledger.is_registered(wallet, chain)? {
        return Ok(Err(refused("WalletUnknown", format!("wallet '{wallet}' is not registered on {chain}"))));
    }
    Ok(match ledger.settled(wallet, chain, *nonce)? {
        Some(known) if known[..] != digest[..] => Err(otherwise(settlement)),
        _ => Ok(()),
    })
}

fn otherwise(Settlement { wallet, nonce, .. }: &Settlement) -> Refusal {
    refused("SettledOtherwise", format!("another digest was attested for nonce {nonce} of wallet {wallet}"))
}

fn refused(reason: &'static str, message: String) -> Refusal {
    Refusal { reason, message }
}

/// False: it was known.
fn note_one(ledger: &Ledger<'_>, settlement: &Settlement, entry: &Entry) -> Result<bool, StoreError> {
    let Settlement { wallet, chain, nonce, digest } = settlement;
    let Ok(bytes) = <[u8; 32]>::try_from(digest.as_slice()) else {
        return Err(StoreError::Failed("a settlement without digest".to_owned()));
    };
    match ledger.settle(wallet, chain, *nonce, &bytes)? {
        Settled::Noted => {}
        Settled::Known => return Ok(false),
        Settled::Otherwise => return Err(StoreError::Failed("a settlement changed while it was noted".to_owned())),
    }
    ledger.append(Entry {
        decision: Decision::Done,
        wallet: wallet.clone(),
        chain: chain.clone(),
        digest: digest.clone(),
        ..entry.clone()
    })?;
    Ok(true)
}
