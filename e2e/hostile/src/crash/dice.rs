//! What happens at random happens again with the same seed.

use sha2::{Digest, Sha256};

/// A seeded generator, so that a failure can be met again: SHA-256 in counter mode.
pub(super) struct Dice {
    seed: u64,
    rolled: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, rolled: 0 }
    }

    /// Below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.rolled += 1;
        let hash = Sha256::digest([self.seed.to_be_bytes(), self.rolled.to_be_bytes()].concat());
        let number = hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        number % sides.max(1)
    }
}
