//! What the owners of one wallet have signed. Several rungs may use up the same: whichever is carried out, the others at
//! its place are worth nothing any more.

use std::sync::Arc;

use chain::{Amount, Asset, Call, ChainRules, Claim, Effect, KeyRole, WalletDesc};

use super::outcome::Line;

/// One signed transaction of a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::evac) struct Rung {
    /// Which line of the report it settles: rungs of the same line move the same asset.
    pub(in crate::evac) line: usize,
    /// What it uses up.
    pub(in crate::evac) claims: Vec<Claim>,
    /// What it moves: asset, amount, destination.
    pub(in crate::evac) effect: Effect,
    /// That asset.
    pub(in crate::evac) asset: Asset,
    /// What carries it out.
    pub(in crate::evac) call: Call,
    /// The 32 bytes that stand for all that was signed.
    pub(in crate::evac) id: [u8; 32],
}

impl Rung {
    /// How much leaves the wallet, smallest unit.
    pub(in crate::evac) fn amount(&self) -> Amount {
        match &self.effect {
            Effect::Transfer { amount, .. } => *amount,
            Effect::Change { .. } | Effect::Cancel { .. } => Amount::ZERO,
        }
    }
}

/// What a wallet holds of an asset: a line of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::evac) struct Holding {
    /// Of the report.
    pub(in crate::evac) line: usize,
    /// Place among the assets of the plan.
    pub(in crate::evac) asset: usize,
    /// All of it, smallest unit.
    pub(in crate::evac) amount: Amount,
}

/// One wallet, and what may be played of it.
pub(in crate::evac) struct Ladder {
    pub(in crate::evac) rules: Arc<dyn ChainRules>,
    pub(in crate::evac) wallet: WalletDesc,
    /// What creates it, where its chain wants that.
    pub(in crate::evac) creation: Option<Call>,
    /// At each place in the order in which they are to be tried. None: the wallet is only to be created.
    pub(in crate::evac) rungs: Vec<Rung>,
    /// What is to be moved.
    pub(in crate::evac) holdings: Vec<Holding>,
    /// The owner who could not sign for it, and then it has no rungs: hot's keys are one for each wallet.
    pub(in crate::evac) unsigned: Option<KeyRole>,
}

/// Wallets that come together, and their lines of the report.
pub(in crate::evac) struct Portion {
    pub(in crate::evac) ladders: Vec<Ladder>,
    pub(in crate::evac) lines: Vec<Line>,
}

/// What can be played now, one after the other, where the wallet's next transaction may use up `next`: of each place the
/// first rung that is open, of each line one. Rungs in doubt come last, so that they keep no other from moving.
pub(in crate::evac) fn sequence(
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
pub(in crate::evac) fn is_used(claim: &Claim, next: &[Claim]) -> bool {
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
