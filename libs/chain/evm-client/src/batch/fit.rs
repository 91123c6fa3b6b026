//! How much goes into one transaction.

use super::calls::{Piece, Prepared};

/// Gas of one transaction: what EIP-7825 allows.
pub(super) const MOST_GAS: u64 = 1 << 24;
/// Bytes of one transaction's calls: pools of nodes take 128 KiB (geth's `txMaxSize`) with envelope and signature.
pub(super) const MOST_BYTES: usize = 124 * 1024;
/// From this part on a transaction is full, percent.
const FULL: u64 = 92;
/// What part is aimed at, percent: what is too much costs an attempt.
const AIM: u64 = 97;
/// A first guess: an estimate follows. Creating a Safe takes some 265,000 gas, its first execution 60,000, a later one
/// 43,000 to 46,000.
const GUESS_CREATION: u64 = 270_000;
const GUESS_EXECUTION: u64 = 52_000;
/// Attempts at filling one transaction: each is a trial and an estimate.
const ATTEMPTS: u32 = 8;

/// How many of the first groups to try next, until one transaction can hold hardly any more.
#[derive(Debug)]
pub(super) struct Filling {
    groups: usize,
    /// The most that were found to fit, and the least that were not.
    fit: usize,
    over: usize,
    attempts: u32,
}

impl Filling {
    pub(super) fn of(groups: usize) -> Self {
        Self { groups, fit: 0, over: groups + 1, attempts: 0 }
    }

    /// So many are too many, and so many may not be; `None`: what was made before is the most.
    pub(super) fn over(&mut self, tried: usize, fewer: usize) -> Option<usize> {
        (self.over, self.attempts) = (self.over.min(tried), self.attempts + 1);
        // A node may not say by how much they are too many.
        let next = if fewer > self.fit { fewer } else { self.between() };
        // Nothing is made yet: down to one.
        let goes_on = self.fit == 0 || self.attempts < ATTEMPTS;
        (next > self.fit && next < self.over && goes_on).then_some(next)
    }

    /// So many fit and take up this part of a transaction, in percent; `None`: hardly any more do.
    pub(super) fn fit(&mut self, tried: usize, percent: u64) -> Option<usize> {
        (self.fit, self.attempts) = (tried, self.attempts + 1);
        let share = (tried as u64).saturating_mul(AIM) / percent.max(1);
        let share = usize::try_from(share).unwrap_or(usize::MAX).min(self.groups);
        let next = if share < self.over { share } else { self.between() };
        (percent < FULL && next > tried && self.attempts < ATTEMPTS).then_some(next)
    }

    fn between(&self) -> usize {
        usize::midpoint(self.fit, self.over)
    }

    /// Whether hardly any more fit than are in it.
    pub(super) fn is_full(&self, percent: u64) -> bool {
        percent >= FULL || self.fit < self.groups
    }
}

/// What part of a transaction is taken up by so much gas and so many bytes, percent.
pub(super) fn percent(gas: u64, bytes: usize, ceiling: u64) -> u64 {
    (gas.saturating_mul(100) / ceiling.max(1)).max(bytes as u64 * 100 / MOST_BYTES as u64)
}

/// Bytes of these calls in one transaction.
pub(super) fn bytes(pieces: &[&Piece]) -> usize {
    pieces.iter().map(|piece| piece.size()).sum()
}

/// So many of the first groups may fit; at least one.
pub(super) fn fitting(groups: &[Prepared], ceiling: u64) -> usize {
    let (mut size, mut gas) = (0, 0);
    let fits = |group: &&Prepared| {
        size += bytes(&group.all());
        let creation = if group.creation.is_some() { GUESS_CREATION } else { 0 };
        gas += creation + GUESS_EXECUTION * group.executions.len() as u64;
        size <= MOST_BYTES && with_room(gas) <= ceiling
    };
    groups.iter().take_while(fits).count().max(1).min(groups.len())
}

/// With room for what may change until it is carried out: a sixteenth.
pub(super) fn with_room(gas: u64) -> u64 {
    gas.saturating_add(gas / 16)
}

/// How many groups to try instead, where so many need more than the ceiling allows; `None`: one is the least.
pub(super) fn fewer(groups: usize, needed: u64, ceiling: u64) -> Option<usize> {
    let share = u128::from(ceiling) * groups as u128 / u128::from(with_room(needed).max(1));
    let most = usize::try_from(share).unwrap_or(groups).min(groups.saturating_sub(1)).max(1);
    (groups > 1).then_some(most)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes};

    use super::*;

    fn groups(count: usize, bytes: usize, creates: bool) -> Vec<Prepared> {
        let piece = |creates| Piece { to: Address::ZERO, data: Bytes::from(vec![1; bytes]), creates };
        let creation = creates.then(|| piece(Some(Address::ZERO)));
        let piece = piece(None);
        vec![Prepared { wallet: Address::ZERO, creation, executions: vec![piece] }; count]
    }

    #[test]
    fn bytes_bound_what_exists_and_gas_what_does_not() {
        // A payment's call has 548 bytes, 736 in a batch.
        assert_eq!(fitting(&groups(1_000, 548, false), MOST_GAS), MOST_BYTES / 736);
        assert_eq!(fitting(&groups(1_000, 548, true), MOST_GAS), 49);
        assert_eq!(fitting(&groups(3, 548, true), MOST_GAS), 3);
        assert_eq!(fitting(&groups(3, 548, true), 1_000), 1, "one is always tried");
        assert_eq!(fitting(&[], MOST_GAS), 0);
    }

    #[test]
    fn a_transaction_is_filled_in_few_attempts_from_below_and_from_above() {
        let mut filling = Filling::of(256);
        assert_eq!(filling.over(60, 52), Some(52));
        assert_eq!(filling.fit(52, 80), Some(56), "not so many as were too many");
        assert_eq!(filling.over(56, 28), Some(54), "more than fit for certain");
        assert_eq!(filling.fit(54, 91), Some(55));
        assert_eq!(filling.fit(55, 97), None);
        assert!(filling.is_full(97));
        let mut free = Filling::of(256);
        assert_eq!((free.fit(50, 50), free.fit(97, 93)), (Some(97), None), "as many more as there is room for");
        let mut last = Filling::of(5);
        assert_eq!((last.fit(5, 12), last.is_full(12)), (None, false), "those are all");
        // The next one is so large that it can't be in it.
        let mut large = Filling::of(9);
        assert_eq!((large.over(5, 3), large.fit(4, 50)), (Some(3), None));
        assert!(large.is_full(50));
        let mut unsure = Filling::of(64);
        let tries: Vec<usize> = std::iter::successors(Some(64), |tried| unsure.over(*tried, tried / 2)).collect();
        assert_eq!(tries, [64, 32, 16, 8, 4, 2, 1]);
        assert_eq!(percent(8_000_000, MOST_BYTES / 4, 16_000_000), 50);
        assert_eq!(percent(4_000_000, MOST_BYTES / 4 * 3, 16_000_000), 75);
    }

    #[test]
    fn what_needs_too_much_is_tried_with_a_share_of_it() {
        assert_eq!(fewer(100, 16_000_000, 17_000_000), Some(99), "fewer at any rate");
        assert_eq!(fewer(100, 32_000_000, 17_000_000), Some(50));
        assert_eq!(fewer(100, u64::MAX, 1), Some(1));
        assert_eq!(fewer(1, 32_000_000, 17_000_000), None);
    }
}
