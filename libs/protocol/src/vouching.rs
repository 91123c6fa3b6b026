//! What whoever vouches for a signer does with a head that it is shown. Pure, and the same for the other signer and the
//! sentinel.
//!
//! The count of records alone says little: a chain that was cut back and has grown again is as long as it was. So the
//! signer itself says which head its chain goes on from, after it has looked, and a head is replaced by no other.

use crate::ops::AuditHead;

/// What becomes of a head that is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It is held from now on.
    Kept,
    /// The one before is held on: the signer has to look first whether its chain goes on from there.
    Left,
    /// It is refused with the reason [`SUPERSEDED`]: another start of the signer has been vouched for since.
    Superseded,
}

/// The reason to refuse a head of a start that is not the present one.
pub const SUPERSEDED: &str = "Superseded";

impl AuditHead {
    /// Whether the start that states this head is another than the present one, which states `present`.
    pub fn superseded_by(&self, present: &AuditHead) -> bool {
        self.epoch < present.epoch || (self.epoch == present.epoch && self.instance != present.instance)
    }

    /// Whether it names a start as it should: 16 bytes with an epoch, none without.
    pub fn names_its_start(&self) -> bool {
        self.instance.len() == if self.epoch == 0 { 0 } else { 16 }
    }
}

/// What becomes of `shown`, a head by a signer whose start is vouched for, where `held` is held; `after` as in
/// [`crate::ops::EchoHead`].
pub fn shown(held: Option<&AuditHead>, shown: &AuditHead, after: &[u8]) -> Shown {
    let Some(held) = held else { return Shown::Kept };
    if shown.superseded_by(held) {
        return Shown::Superseded;
    }
    // A build before epochs does not say what its chain goes on from.
    let newer = (shown.overrides, shown.count) > (held.overrides, held.count);
    let goes_on = if shown.epoch == 0 { newer } else { after == held.hash };
    if goes_on { Shown::Kept } else { Shown::Left }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(epoch: u64, instance: u8, count: u64) -> AuditHead {
        let instance = if epoch == 0 { Vec::new() } else { vec![instance; 16] };
        AuditHead { epoch, instance, count, hash: vec![u8::try_from(count).unwrap(); 32], ..AuditHead::default() }
    }

    #[test]
    fn of_two_starts_the_later_is_held_and_of_two_with_one_epoch_the_first() {
        let held = head(5, 1, 7);
        let table = [
            (head(5, 1, 8), Shown::Kept),
            (head(5, 1, 6), Shown::Kept),
            (head(6, 2, 7), Shown::Kept),
            (head(5, 2, 8), Shown::Superseded),
            (head(4, 1, 9), Shown::Superseded),
            (head(0, 0, 9), Shown::Superseded),
        ];
        for (new, expected) in table {
            assert_eq!(shown(Some(&held), &new, &held.hash), expected, "{new:?}");
        }
        assert_eq!(shown(None, &head(1, 1, 0), &[]), Shown::Kept);
    }

    #[test]
    fn a_head_is_replaced_only_by_one_whose_signer_has_looked_at_it() {
        let held = head(5, 1, 7);
        for after in [&[][..], &[6; 32], &[8; 32]] {
            for new in [head(5, 1, 9), head(6, 2, 9)] {
                assert_eq!(shown(Some(&held), &new, after), Shown::Left, "{after:?}");
            }
        }
    }

    #[test]
    fn before_epochs_the_longer_chain_is_held() {
        let overridden = AuditHead { overrides: 1, ..head(0, 0, 2) };
        let table = [(head(0, 0, 8), Shown::Kept), (head(0, 0, 7), Shown::Left), (overridden, Shown::Kept)];
        for (new, expected) in table {
            assert_eq!(shown(Some(&head(0, 0, 7)), &new, &[]), expected, "{new:?}");
        }
        assert_eq!(shown(Some(&head(0, 0, 7)), &head(1, 1, 7), &[7; 32]), Shown::Kept, "after an upgrade");
    }

    #[test]
    fn a_start_is_named_completely_or_not_at_all() {
        assert!(head(0, 0, 1).names_its_start() && head(3, 1, 1).names_its_start());
        assert!(!AuditHead { epoch: 0, ..head(3, 1, 1) }.names_its_start());
        assert!(!AuditHead { instance: vec![1; 15], ..head(3, 1, 1) }.names_its_start());
    }
}
