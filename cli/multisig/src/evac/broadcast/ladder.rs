//! What the owners of one wallet have signed. Several rungs may use up the same: whichever is carried out, the others at
//! its place are worth nothing any more.

use std::{collections::BTreeMap, sync::Arc};

use chain::{Amount, Asset, Call, ChainId, ChainRules, Claim, Effect, KeyRole, WalletDesc};
use chain_adapters::Adapters;
use evacuation::{EvacuationError, Step, VerifiedBundle, VerifiedStep};

use super::{report::Line, value::Values};

/// One signed transaction of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rung {
    /// Which line of the report it settles: rungs of the same line move the same asset.
    pub(super) line: usize,
    /// What it uses up.
    pub(super) claims: Vec<Claim>,
    /// What it moves: asset, amount, destination.
    pub(super) effect: Effect,
    /// That asset.
    pub(super) asset: Asset,
    /// What carries it out.
    pub(super) call: Call,
    /// The 32 bytes that stand for all that was signed.
    pub(super) id: [u8; 32],
}

impl Rung {
    /// How much leaves the wallet, smallest unit.
    pub(super) fn amount(&self) -> Amount {
        match &self.effect {
            Effect::Transfer { amount, .. } => *amount,
            Effect::Change { .. } | Effect::Cancel { .. } => Amount::ZERO,
        }
    }
}

/// What a wallet holds of an asset: a line of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holding {
    /// Of the report.
    pub(super) line: usize,
    /// Place among the assets of the plan's [`Values`].
    pub(super) asset: usize,
    /// All of it, smallest unit.
    pub(super) amount: Amount,
}

/// One wallet, and what may be played of it.
pub(super) struct Ladder {
    pub(super) rules: Arc<dyn ChainRules>,
    pub(super) wallet: WalletDesc,
    /// What creates it, where its chain wants that.
    pub(super) creation: Option<Call>,
    /// At each place in the order in which they are to be tried.
    pub(super) rungs: Vec<Rung>,
    /// What is to be moved.
    pub(super) holdings: Vec<Holding>,
    /// The owner who could not sign for it, and then it has no rungs: hot's keys are one for each wallet.
    pub(super) unsigned: Option<KeyRole>,
}

/// Wallets that come together, and their lines of the report.
pub(super) struct Portion {
    pub(super) ladders: Vec<Ladder>,
    pub(super) lines: Vec<Line>,
}

/// The wallets of a bundle, in the order of their first steps, the lines of the report, and what they are worth. Nothing
/// is sent of a bundle that is not signed by both.
pub(super) fn ladders(bundle: &VerifiedBundle) -> Result<(Portion, Values), EvacuationError> {
    let (mut lines, mut values) = (Vec::new(), Values::default());
    let mut ladders: Vec<Ladder> = Vec::new();
    let mut places: BTreeMap<(&ChainId, &str), usize> = BTreeMap::new();
    for (line, verified) in bundle.steps().iter().enumerate() {
        let Step { wallet: id, chain, address, asset, contract, amount, destination, .. } = verified.step();
        lines.push(Line {
            id: id.to_string(),
            address: address.clone(),
            asset: asset.clone(),
            to: destination.clone(),
            amount: *amount,
        });
        let place = values.add(asset, contract.as_deref(), *amount);
        let (rung, holding) = (rung(line, verified)?, Holding { line, asset: place, amount: *amount });
        if let Some(ladder) = places.get(&(chain, address.as_str())).and_then(|place| ladders.get_mut(*place)) {
            ladder.rungs.push(rung);
            ladder.holdings.push(holding);
            continue;
        }
        let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: chain.clone(), source };
        let (rules, wallet) = (Adapters::all().rules(chain).map_err(wrong)?, verified.wallet().clone());
        let creation = rules.creation(&wallet).map_err(wrong)?;
        places.insert((chain, address), ladders.len());
        ladders.push(Ladder { rules, wallet, creation, rungs: vec![rung], holdings: vec![holding], unsigned: None });
    }
    Ok((Portion { ladders, lines }, values))
}

fn rung(line: usize, verified: &VerifiedStep) -> Result<Rung, EvacuationError> {
    let Step { asset, contract, amount, destination, claims, .. } = verified.step();
    Ok(Rung {
        line,
        claims: claims.clone(),
        effect: Effect::Transfer { asset: asset.clone(), to: destination.clone(), amount: *amount },
        asset: Asset { symbol: asset.clone(), contract: contract.clone() },
        call: verified.call()?,
        id: *verified.id(),
    })
}

/// What can be played now, one after the other, where the wallet's next transaction may use up `next`: of each place the
/// first rung that is open, of each line one. Rungs in doubt come last, so that they keep no other from moving.
pub(super) fn sequence(
    rungs: &[Rung],
    next: &[Claim],
    open: impl Fn(usize) -> bool,
    in_doubt: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let (mut next, mut chosen): (Vec<Claim>, Vec<usize>) = (next.to_vec(), Vec::new());
    let playable = |next: &[Claim], chosen: &[usize]| {
        let fresh = |line| chosen.iter().all(|earlier| rungs[*earlier].line != line);
        let live = |rung: &Rung| rung.claims.iter().all(|claim| next.contains(claim));
        let plays = |place: &usize| fresh(rungs[*place].line) && live(&rungs[*place]) && open(*place);
        let first = (0..rungs.len()).find(|place| plays(place) && !in_doubt(*place));
        first.or_else(|| (0..rungs.len()).find(plays))
    };
    while let Some(place) = playable(&next, &chosen) {
        next = after(&next, &rungs[place].claims);
        chosen.push(place);
    }
    chosen
}

/// What can be used up once these claims are.
fn after(next: &[Claim], used: &[Claim]) -> Vec<Claim> {
    let left = next.iter().filter_map(|claim| match claim {
        Claim::Sequence(number) if used.contains(claim) => Some(Claim::Sequence(number + 1)),
        Claim::Coin(..) if used.contains(claim) => None,
        other => Some(*other),
    });
    left.collect()
}

/// Whether a claim can't be used any more where `next` can.
pub(super) fn is_used(claim: &Claim, next: &[Claim]) -> bool {
    match claim {
        Claim::Sequence(number) => next.iter().any(|other| matches!(other, Claim::Sequence(next) if number < next)),
        Claim::Coin(..) => !next.contains(claim),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(of: &[(usize, u64)]) -> Vec<Rung> {
        let rung = |(line, nonce): &(usize, u64)| Rung {
            line: *line,
            claims: vec![Claim::Sequence(*nonce)],
            effect: Effect::Cancel { to: String::new() },
            asset: Asset { symbol: "ETH".to_owned(), contract: None },
            call: Call { to: String::new(), data: Vec::new() },
            id: [0; 32],
        };
        of.iter().map(rung).collect()
    }

    /// Lines and nonces in the order in which they are played.
    fn played(of: &[(usize, u64)], next: u64, closed: &[(usize, u64)]) -> Vec<(usize, u64)> {
        let open = |place: usize| !closed.contains(&of[place]);
        let doubted = |place: usize| closed.iter().any(|(line, nonce)| *line == of[place].0 && *nonce >= next);
        let chosen = sequence(&rungs(of), &[Claim::Sequence(next)], open, doubted);
        chosen.into_iter().map(|place| of[place]).collect()
    }

    #[test]
    fn one_rung_a_nonce_is_played_in_order_from_the_live_one() {
        let steps = [(0, 4), (1, 5), (2, 6)];
        assert_eq!(played(&steps, 4, &[]), steps);
        assert_eq!(played(&steps, 5, &[]), steps[1..]);
        assert_eq!(played(&steps, 3, &[]), [], "an earlier nonce is not used");
        assert_eq!(played(&steps, 7, &[]), []);
        assert_eq!(played(&steps, 4, &[(1, 5)]), steps[..1], "what reverts blocks what follows");
        let reversed = [(2, 6), (1, 5), (0, 4)];
        assert_eq!(played(&reversed, 4, &[]), steps);
    }

    #[test]
    fn with_every_asset_at_every_nonce_a_used_nonce_shifts_and_a_reverting_asset_is_skipped() {
        let every: Vec<(usize, u64)> = (4..7).flat_map(|nonce| [(0, nonce), (1, nonce)]).collect();
        assert_eq!(played(&every, 4, &[]), [(0, 4), (1, 5)]);
        assert_eq!(played(&every, 5, &[]), [(0, 5), (1, 6)], "a front-runner used one");
        assert_eq!(played(&every, 4, &[(0, 4)]), [(1, 4), (0, 5)], "its next rung may not revert");
        let three: Vec<(usize, u64)> = (4..7).flat_map(|nonce| [(0, nonce), (1, nonce), (2, nonce)]).collect();
        assert_eq!(played(&three, 4, &[(0, 4)]), [(1, 4), (2, 5), (0, 6)], "and comes last");
        let first: Vec<_> = every.iter().copied().filter(|(line, _)| *line == 0).collect();
        assert_eq!(played(&every, 5, &first), [(1, 5)], "what has moved is not moved again");
    }

    #[test]
    fn of_one_asset_at_a_nonce_the_first_rung_is_played_that_is_not_in_doubt() {
        let amounts = rungs(&[(0, 4), (0, 4), (1, 4), (0, 5), (0, 5), (1, 5)]);
        let played = |refused: &[usize], doubted: &[usize]| {
            let open = |place: usize| !refused.contains(&place);
            sequence(&amounts, &[Claim::Sequence(4)], open, |place| doubted.contains(&place))
        };
        assert_eq!(played(&[], &[]), [0, 5]);
        assert_eq!(played(&[0], &[3]), [1, 5], "the largest is refused, and the next smaller takes its place");
        assert_eq!(played(&[0, 1], &[3, 4]), [2, 3], "all are, and the other asset moves first");
    }

    #[test]
    fn coins_are_played_as_long_as_they_are_there() {
        let coin = |place| Claim::Coin([1; 32], place);
        let mut both = rungs(&[(0, 0), (1, 0)]);
        (both[0].claims, both[1].claims) = (vec![coin(0)], vec![coin(0), coin(1)]);
        assert_eq!(sequence(&both, &[coin(0), coin(1)], |_| true, |_| false), [0]);
        assert_eq!(sequence(&both, &[coin(0), coin(1)], |place| place == 1, |_| false), [1]);
        assert!(is_used(&coin(2), &[coin(0)]) && !is_used(&coin(0), &[coin(0)]));
        let at = [Claim::Sequence(4)];
        assert_eq!([3, 4, 5].map(|nonce| is_used(&Claim::Sequence(nonce), &at)), [true, false, false]);
    }
}
