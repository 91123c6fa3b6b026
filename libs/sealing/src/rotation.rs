//! What to do next about the Transit key: a pure decision from what is asked, what the Vault says and what the store
//! holds. Nothing else is remembered, so that a signer that was killed goes on where it stopped, and neither a restart
//! nor another leader on the hub rotates anything.

use vault::KeyInfo;

/// The next step, the only one of its tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Make one more version of the key.
    Rotate,
    /// Seal the next values by the newest version.
    Rewrap,
    /// Nothing below this version is left: it becomes the lowest that opens.
    Raise(u64),
    /// All is as asked.
    Nothing,
}

/// A generation that the hub can't mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the hub asks for Vault key generation {asked}, the key is at {latest}: it is rotated by one at a time; set \
     vaultKeyGeneration to {} or leave it out", latest + 1
)]
pub struct AskedTooFar {
    /// The hub's.
    pub asked: u64,
    /// The Vault's newest version.
    pub latest: u64,
}

/// `asked` is the generation that the hub wants, if it wants one. Of the values that the Vault sealed, `oldest` is the
/// lowest version and `below_latest` the number below the newest. One more version at a time: a generation farther away
/// rotates nothing (see [`asked_too_far`]), and nothing is raised in a store where nothing is sealed.
pub fn next(asked: Option<u64>, key: KeyInfo, oldest: Option<u64>, below_latest: u64) -> Step {
    let latest = key.latest_version;
    if asked.is_some_and(|asked| asked > latest) && asked_too_far(asked, key).is_none() {
        return Step::Rotate;
    }
    match oldest {
        _ if below_latest > 0 => Step::Rewrap,
        Some(oldest) if oldest >= latest && key.min_decryption_version < latest => Step::Raise(latest),
        _ => Step::Nothing,
    }
}

/// Why a generation is not followed: a mistake on the hub must not make thousands of versions.
pub fn asked_too_far(asked: Option<u64>, key: KeyInfo) -> Option<AskedTooFar> {
    let latest = key.latest_version;
    asked.filter(|asked| *asked > latest.saturating_add(1)).map(|asked| AskedTooFar { asked, latest })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(latest_version: u64, min_decryption_version: u64) -> KeyInfo {
        KeyInfo { latest_version, min_decryption_version }
    }

    #[test]
    fn every_situation_has_one_next_step() {
        let table = [
            // Nothing asked, nothing done: also where the key has versions.
            (None, key(1, 1), Some(1), 0, Step::Nothing),
            (None, key(1, 1), None, 0, Step::Nothing),
            // Asked for what is there, at every start again.
            (Some(1), key(1, 1), Some(1), 0, Step::Nothing),
            (Some(1), key(3, 3), Some(3), 0, Step::Nothing),
            // One more, before anything else.
            (Some(2), key(1, 1), Some(1), 0, Step::Rotate),
            (Some(3), key(2, 1), Some(1), 700, Step::Rotate),
            (Some(2), key(1, 1), None, 0, Step::Rotate),
            // Rows first, then the minimum version.
            (Some(2), key(2, 1), Some(1), 1, Step::Rewrap),
            (None, key(2, 1), Some(1), 1, Step::Rewrap),
            (Some(2), key(2, 1), Some(2), 0, Step::Raise(2)),
            (Some(2), key(2, 2), Some(2), 0, Step::Nothing),
            // An empty store proves nothing.
            (Some(2), key(2, 1), None, 0, Step::Nothing),
            // Too far: no rotation, but what was begun is ended.
            (Some(9), key(1, 1), Some(1), 0, Step::Nothing),
            (Some(9), key(2, 1), Some(1), 4, Step::Rewrap),
            (Some(u64::MAX), key(2, 1), Some(2), 0, Step::Raise(2)),
        ];
        for (asked, key, oldest, below, step) in table {
            assert_eq!(next(asked, key, oldest, below), step, "{asked:?} {key:?} {oldest:?} {below}");
        }
    }

    #[test]
    fn a_generation_too_far_away_is_named() {
        assert_eq!(asked_too_far(Some(2), key(1, 1)), None);
        assert_eq!(asked_too_far(None, key(1, 1)), None);
        let words = asked_too_far(Some(1000), key(1, 1)).unwrap().to_string();
        assert!(words.contains("generation 1000") && words.contains("vaultKeyGeneration to 2"), "{words}");
        assert!(asked_too_far(Some(u64::MAX), key(u64::MAX, 1)).is_none());
    }

    proptest! {
        /// Whatever the hub asks, and wherever a signer is killed: the walk ends, with one rotation per generation asked
        /// and the minimum raised only when nothing is below it.
        #[test]
        fn every_rotation_comes_to_its_end(rows in prop::collection::vec(1u64..4, 0..40), asked in 0u64..9) {
            let (mut rows, mut key) = (rows, key(3, 1));
            let mut rotations = 0;
            for _ in 0..100 {
                let oldest = rows.iter().min().copied();
                let below = rows.iter().filter(|row| **row < key.latest_version).count() as u64;
                match next(Some(asked), key, oldest, below) {
                    Step::Rotate => {
                        key.latest_version += 1;
                        rotations += 1;
                    }
                    Step::Rewrap => {
                        let latest = key.latest_version;
                        rows.iter_mut().filter(|row| **row < latest).take(7).for_each(|row| *row = latest);
                    }
                    Step::Raise(version) => {
                        prop_assert!(rows.iter().all(|row| *row >= version));
                        key.min_decryption_version = version;
                    }
                    Step::Nothing => break,
                }
            }
            prop_assert_eq!(rotations, u64::from(asked == 4));
            prop_assert!(rows.iter().all(|row| *row == key.latest_version));
            prop_assert!(rows.is_empty() || key.min_decryption_version == key.latest_version);
        }
    }
}
