//! Settlements, by whoever attests them: the sentinel, or the admin in its place. What may still vanish is corrected or
//! revoked by whoever said it; what is final, by the admin alone. Neither frees what was signed: amounts are outstanding
//! again, and later nonces wait again.

use audit::{Decision, Entry};
use chain::{Claim, Refusal};
use protocol::ops::{Settlement, SettlementError, SettlementState};

use crate::store::{Attested, Ledger, Progress, StoreError};

/// What a statement may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// What the same attester has said, until it is final.
    Attests,
    /// Whatever was said, and for nothing else: the admin corrects or revokes.
    Overrules,
}

/// A settlement that has been read.
struct Said<'a> {
    wallet: &'a str,
    chain: &'a str,
    claim: Claim,
    id: [u8; 32],
    state: SettlementState,
    power: Power,
    attester: &'a str,
}

/// What a statement makes of what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Known,
    Note,
    Correct,
    Revoke,
}

/// Notes all of them or none, with an audit record each, `entry` saying who attests; how many were new.
pub fn note_settlements(
    ledger: &Ledger<'_>,
    settlements: &[Settlement],
    entry: &Entry,
) -> Result<Result<usize, Refusal>, StoreError> {
    note_each(ledger, settlements.iter().map(|settlement| (settlement, Power::Attests)), entry)
}

/// The same where some of them overrule.
pub fn note_each<'a>(
    ledger: &Ledger<'_>,
    settlements: impl IntoIterator<Item = (&'a Settlement, Power)>,
    entry: &'a Entry,
) -> Result<Result<usize, Refusal>, StoreError> {
    ledger.all_or_nothing(|| {
        let mut noted = 0;
        for (settlement, power) in settlements {
            // Each is judged upon those before it.
            let changed = match Said::read(settlement, power, &entry.requester) {
                Err(refusal) => Err(refusal),
                Ok(said) => said.note(ledger, entry)?,
            };
            match changed {
                Err(refusal) => return Ok(Err(refusal)),
                Ok(changed) => noted += usize::from(changed),
            }
        }
        Ok(Ok(noted))
    })
}

impl<'a> Said<'a> {
    fn read(settlement: &'a Settlement, power: Power, attester: &'a str) -> Result<Self, Refusal> {
        let malformed = |error: SettlementError| refused("Malformed", error.to_string());
        let (claim, id) = (settlement.claim().map_err(malformed)?, settlement.id().map_err(malformed)?);
        if let Claim::Sequence(nonce) = claim
            && i64::try_from(nonce).is_err()
        {
            return Err(refused("Malformed", "a settlement has a nonce below 2^63".to_owned()));
        }
        let state = settlement.known_state().map_err(malformed)?;
        Ok(Self { wallet: &settlement.wallet, chain: &settlement.chain, claim, id, state, power, attester })
    }

    /// False: it was known.
    fn note(&self, ledger: &Ledger<'_>, entry: &Entry) -> Result<Result<bool, Refusal>, StoreError> {
        let Self { wallet, chain, claim, id, state, power, attester } = self;
        if !ledger.is_registered(wallet, chain)? {
            return Ok(Err(refused("WalletUnknown", format!("wallet '{wallet}' is not registered on {chain}"))));
        }
        let known = ledger.attested(wallet, chain, claim)?;
        let change = match self.judge(known.as_ref(), &ledger.progress(wallet, chain)?) {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(change) => change,
        };
        let attested = || Attested { id: *id, state: *state, attester: (*attester).to_owned() };
        match change {
            Change::Known => return Ok(Ok(false)),
            Change::Note => ledger.attest(wallet, chain, claim, &attested())?,
            Change::Revoke => ledger.revoke(wallet, chain, claim)?,
            Change::Correct => {
                ledger.correct(wallet, chain, claim, *id, attester)?;
                if *power == Power::Attests && *state == SettlementState::Final {
                    ledger.attest(wallet, chain, claim, &attested())?;
                }
            }
        }
        let operation = match change {
            Change::Revoke => "SettlementRevoke".to_owned(),
            Change::Correct => "SettlementCorrect".to_owned(),
            Change::Note | Change::Known => entry.operation.clone(),
        };
        ledger.append(Entry {
            decision: Decision::Done,
            operation,
            wallet: (*wallet).to_owned(),
            chain: (*chain).to_owned(),
            digest: id.to_vec(),
            ..entry.clone()
        })?;
        Ok(Ok(true))
    }

    /// Pure: upon what is known of the claim, and of its wallet's nonces.
    fn judge(&self, known: Option<&Attested>, progress: &Progress) -> Result<Change, Refusal> {
        let standing = known.filter(|known| known.state != SettlementState::Revoked);
        match (self.state, standing) {
            (SettlementState::Revoked, Some(known)) if known.id == self.id => {
                self.may_change(known)?;
                Ok(Change::Revoke)
            }
            (SettlementState::Revoked, Some(_)) => Err(self.otherwise()),
            (SettlementState::Revoked, None) if known.is_some_and(|known| known.id == self.id) => Ok(Change::Known),
            (SettlementState::Revoked, None) => Err(self.unknown()),
            (_, Some(known)) if known.id != self.id => {
                self.may_change(known)?;
                self.final_in_order(progress)?;
                Ok(Change::Correct)
            }
            (SettlementState::Final, Some(known)) if known.state == SettlementState::Used => {
                if self.power == Power::Overrules {
                    return Ok(Change::Known);
                }
                self.final_in_order(progress)?;
                Ok(Change::Note)
            }
            (_, Some(_)) => Ok(Change::Known),
            (_, None) if self.power == Power::Overrules => Err(self.unknown()),
            (_, None) => {
                self.in_order(progress.next, "attested as used up")?;
                self.final_in_order(progress)?;
                Ok(Change::Note)
            }
        }
    }

    fn may_change(&self, known: &Attested) -> Result<(), Refusal> {
        let Self { wallet, claim, .. } = self;
        match (self.power, known.state) {
            (Power::Overrules, _) => Ok(()),
            (Power::Attests, SettlementState::Final) if self.state == SettlementState::Revoked => Err(refused(
                "SettlementFinal",
                format!("{claim} of wallet {wallet} is settled for good; only this data centre's admin revokes that"),
            )),
            (Power::Attests, SettlementState::Used) if known.attester == self.attester => Ok(()),
            (Power::Attests, _) => Err(self.otherwise()),
        }
    }

    /// An overruling statement makes nothing final.
    fn final_in_order(&self, progress: &Progress) -> Result<(), Refusal> {
        if self.power == Power::Overrules || self.state != SettlementState::Final {
            return Ok(());
        }
        self.in_order(progress.next_final, "final")
    }

    /// A Safe uses its nonces in their order; coins have none.
    fn in_order(&self, first: u64, what: &str) -> Result<(), Refusal> {
        let Self { wallet, chain, claim, .. } = self;
        match claim {
            Claim::Sequence(nonce) if *nonce > first => Err(refused(
                "SettlementNotContiguous",
                format!(
                    "nonces are settled in their order: {claim} of wallet {wallet} on {chain} comes after nonce {first}, \
                     which is not {what}; attest from there on"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn otherwise(&self) -> Refusal {
        let Self { wallet, claim, .. } = self;
        refused("SettledOtherwise", format!("another digest was attested for {claim} of wallet {wallet}"))
    }

    fn unknown(&self) -> Refusal {
        let Self { wallet, claim, .. } = self;
        let message = format!("no settlement stands of {claim} of wallet {wallet}, so there is nothing to take back");
        refused("SettlementUnknown", message)
    }
}

fn refused(reason: &'static str, message: String) -> Refusal {
    Refusal { reason, message }
}

#[cfg(test)]
mod tests {
    use SettlementState::{Final, Revoked, Used};

    use super::*;

    fn said(nonce: u64, id: u8, state: SettlementState, power: Power, attester: &str) -> Said<'_> {
        let claim = Claim::Sequence(nonce);
        Said { wallet: "alice", chain: "eip155:1", claim, id: [id; 32], state, power, attester }
    }

    #[test]
    fn nonces_are_settled_in_their_order_and_only_whoever_said_it_takes_it_back_until_it_is_final() {
        use Power::{Attests, Overrules};
        // Nonces below 3 are final, 3 and 4 are used.
        let progress = Progress { next: 5, next_final: 3 };
        let by = |id: u8, state, who: &str| Some(Attested { id: [id; 32], state, attester: who.to_owned() });
        let sentinel = |id, state| by(id, state, "sentinel");
        let table = [
            (None, said(5, 1, Used, Attests, "sentinel"), Ok(Change::Note)),
            (None, said(5, 1, Final, Attests, "sentinel"), Err("SettlementNotContiguous")),
            (None, said(6, 1, Used, Attests, "sentinel"), Err("SettlementNotContiguous")),
            (None, said(1_000_000_000, 1, Used, Attests, "sentinel"), Err("SettlementNotContiguous")),
            (None, said(5, 1, Revoked, Attests, "sentinel"), Err("SettlementUnknown")),
            (None, said(5, 1, Used, Overrules, "admin"), Err("SettlementUnknown")),
            (sentinel(1, Used), said(3, 1, Used, Attests, "sentinel"), Ok(Change::Known)),
            (sentinel(1, Used), said(3, 1, Final, Attests, "sentinel"), Ok(Change::Note)),
            (sentinel(1, Used), said(4, 1, Final, Attests, "sentinel"), Err("SettlementNotContiguous")),
            (sentinel(1, Used), said(3, 2, Used, Attests, "sentinel"), Ok(Change::Correct)),
            (sentinel(1, Used), said(3, 2, Final, Attests, "sentinel"), Ok(Change::Correct)),
            (sentinel(1, Used), said(4, 2, Final, Attests, "sentinel"), Err("SettlementNotContiguous")),
            (sentinel(1, Used), said(3, 1, Revoked, Attests, "sentinel"), Ok(Change::Revoke)),
            (sentinel(1, Used), said(3, 2, Revoked, Attests, "sentinel"), Err("SettledOtherwise")),
            (by(1, Used, "admin"), said(3, 2, Used, Attests, "sentinel"), Err("SettledOtherwise")),
            (by(1, Used, "admin"), said(3, 1, Revoked, Attests, "sentinel"), Err("SettledOtherwise")),
            (by(1, Used, "admin"), said(3, 1, Final, Attests, "sentinel"), Ok(Change::Note)),
            (sentinel(1, Used), said(3, 2, Used, Attests, "admin"), Err("SettledOtherwise")),
            (sentinel(1, Final), said(2, 1, Used, Attests, "sentinel"), Ok(Change::Known)),
            (sentinel(1, Final), said(2, 2, Final, Attests, "sentinel"), Err("SettledOtherwise")),
            (sentinel(1, Final), said(2, 1, Revoked, Attests, "sentinel"), Err("SettlementFinal")),
            (sentinel(1, Final), said(2, 2, Final, Overrules, "admin"), Ok(Change::Correct)),
            (sentinel(1, Final), said(2, 1, Final, Overrules, "admin"), Ok(Change::Known)),
            (sentinel(1, Final), said(2, 1, Revoked, Overrules, "admin"), Ok(Change::Revoke)),
            (sentinel(1, Final), said(2, 2, Revoked, Overrules, "admin"), Err("SettledOtherwise")),
            (sentinel(1, Revoked), said(3, 1, Revoked, Attests, "sentinel"), Ok(Change::Known)),
            (sentinel(1, Revoked), said(3, 2, Final, Attests, "sentinel"), Ok(Change::Note)),
        ];
        for (known, said, expected) in table {
            let judged = said.judge(known.as_ref(), &progress).map_err(|refusal| refusal.reason);
            let Said { claim, id, state, power, attester, .. } = said;
            assert_eq!(judged, expected, "{known:?}; {attester}: {claim} by {} {state:?} {power:?}", id[0]);
        }
        let coin = Said { claim: Claim::Coin([1; 32], 0), ..said(0, 1, Final, Attests, "sentinel") };
        assert_eq!(coin.judge(None, &progress), Ok(Change::Note), "coins have no order");
    }
}
