//! How much goes into one transaction.

use super::calls::{Piece, Prepared};

/// Gas of one transaction: what EIP-7825 allows.
pub(super) const MOST_GAS: u64 = 1 << 24;
/// Bytes of one transaction's calls: pools of nodes take 128 KiB (geth's `txMaxSize`) with envelope and signature.
const MOST_BYTES: usize = 124 * 1024;
/// A first guess, rather too little than too much: an estimate follows. Creating a Safe takes some 240,000 gas, an
/// execution 42,000 to 63,000.
const GUESS_CREATION: u64 = 240_000;
const GUESS_EXECUTION: u64 = 45_000;
/// What one call adds to its bytes: its place in the list, target, flag, place and length of its data.
const AROUND_CALL: usize = 5 * 32;

/// So many of the first groups may fit; at least one.
pub(super) fn fitting(groups: &[Prepared], ceiling: u64) -> usize {
    let (mut bytes, mut gas) = (0, 0);
    let fits = |group: &&Prepared| {
        bytes += group.all().into_iter().map(size).sum::<usize>();
        let creation = if group.creation.is_some() { GUESS_CREATION } else { 0 };
        gas += creation + GUESS_EXECUTION * group.executions.len() as u64;
        bytes <= MOST_BYTES && with_room(gas) <= ceiling
    };
    groups.iter().take_while(fits).count().max(1).min(groups.len())
}

fn size(piece: &Piece) -> usize {
    AROUND_CALL + piece.data.len().next_multiple_of(32)
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
        let piece = Piece { to: Address::ZERO, data: Bytes::from(vec![1; bytes]) };
        let creation = creates.then(|| piece.clone());
        vec![Prepared { wallet: Address::ZERO, creation, executions: vec![piece] }; count]
    }

    #[test]
    fn bytes_bound_what_exists_and_gas_what_does_not() {
        // A payment's call has 548 bytes, 736 in a batch.
        assert_eq!(fitting(&groups(1_000, 548, false), MOST_GAS), MOST_BYTES / 736);
        assert_eq!(fitting(&groups(1_000, 548, true), MOST_GAS), 55);
        assert_eq!(fitting(&groups(3, 548, true), MOST_GAS), 3);
        assert_eq!(fitting(&groups(3, 548, true), 1_000), 1, "one is always tried");
        assert_eq!(fitting(&[], MOST_GAS), 0);
    }

    #[test]
    fn what_needs_too_much_is_tried_with_a_share_of_it() {
        assert_eq!(fewer(100, 16_000_000, 17_000_000), Some(99), "fewer at any rate");
        assert_eq!(fewer(100, 32_000_000, 17_000_000), Some(50));
        assert_eq!(fewer(100, u64::MAX, 1), Some(1));
        assert_eq!(fewer(1, 32_000_000, 17_000_000), None);
    }
}
