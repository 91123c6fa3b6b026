//! What envelopes tell for certain of the clocks of those who signed them. A difference is known only as far as neither
//! a slow nor a hostile broker can make it up: a message can be held back, but it never arrives before it was made.

use std::collections::BTreeMap;

use custody::Role;
use protocol::envelope::MAX_SKEW_MS;

/// Below it nothing is said: half of what is tolerated.
const TOLD_MS: i64 = MAX_SKEW_MS.cast_signed() / 2;
/// A request of a peer that was thought to be ahead is taken to have travelled no longer than this. Whoever holds it back
/// can hide a difference, and make up none.
const TRAVEL_MS: i64 = 2_000;
/// What is known stays as it is told while what comes contradicts it by no more: else each message would tell another.
const HOLD_MS: i64 = 500;

/// Peers' clocks minus the own one, milliseconds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Clocks(BTreeMap<Role, i64>);

impl Clocks {
    /// A request that `peer` made at `iat_ms` by its own clock is here at `now_ms`: the peer's clock is ahead by no less.
    pub(crate) fn request(&mut self, peer: Role, iat_ms: u64, now_ms: u64) {
        let least = minus(iat_ms, now_ms);
        let known = self.known(peer);
        let most = if known > 0 { least.saturating_add(TRAVEL_MS) } else { i64::MAX };
        // One that was behind still is, as far as this request does not come too early for that.
        self.note(peer, held(known, least, most).unwrap_or_else(|| known.min(0).max(least)));
    }

    /// `peer` answered at `iat_ms` by its own clock what was asked at `asked_ms`, and its answer is here at `now_ms`: its
    /// clock was read between the two.
    pub(crate) fn answer(&mut self, peer: Role, iat_ms: u64, asked_ms: u64, now_ms: u64) {
        let (least, most) = (minus(iat_ms, now_ms), minus(iat_ms, asked_ms));
        // The own clock may have been set back meanwhile; then nothing is certain.
        if least <= most {
            let known = self.known(peer);
            self.note(peer, held(known, least, most).unwrap_or_else(|| 0.clamp(least, most)));
        }
    }

    /// How far `peer` is ahead; behind, if it is negative. Zero if nothing is certain.
    pub(crate) fn known(&self, peer: Role) -> i64 {
        self.0.get(&peer).copied().unwrap_or_default()
    }

    /// For people; none where no clock is known to differ.
    pub(crate) fn describe(&self) -> Option<String> {
        let differ: Vec<_> = self.0.iter().map(|(peer, difference)| describe(*peer, *difference)).collect();
        (!differ.is_empty()).then(|| differ.join("; "))
    }

    /// The same of one peer.
    pub(crate) fn describe_one(&self, peer: Role) -> Option<String> {
        self.0.get(&peer).map(|difference| describe(peer, *difference))
    }

    fn note(&mut self, peer: Role, difference: i64) {
        if difference.abs() < TOLD_MS {
            self.0.remove(&peer);
        } else {
            self.0.insert(peer, difference);
        }
    }
}

/// What was known, unless the bounds contradict it. That nothing differs is not held against what is certain.
fn held(known: i64, least: i64, most: i64) -> Option<i64> {
    let near = least.saturating_sub(HOLD_MS)..=most.saturating_add(HOLD_MS);
    (known != 0 && near.contains(&known)).then_some(known)
}

/// What is wrong and what to do, in one line.
fn describe(peer: Role, difference: i64) -> String {
    let (seconds, side) = ((difference.unsigned_abs() + 500) / 1_000, if difference > 0 { "ahead" } else { "behind" });
    format!("{peer}'s clock differs by {seconds} s from the clock here ({side}); set both by a time server")
}

fn minus(one_ms: u64, other_ms: u64) -> i64 {
    i64::try_from(i128::from(one_ms) - i128::from(other_ms)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn after(notes: &[&dyn Fn(&mut Clocks)]) -> i64 {
        let mut clocks = Clocks::default();
        notes.iter().for_each(|note| note(&mut clocks));
        clocks.known(Role::Cooler)
    }

    /// A request that came at [`NOW`].
    fn made(iat_ms: u64) -> impl Fn(&mut Clocks) {
        move |clocks| clocks.request(Role::Cooler, iat_ms, NOW)
    }

    /// An answer that came at [`NOW`], three seconds after the question.
    fn answered(iat_ms: u64) -> impl Fn(&mut Clocks) {
        move |clocks| clocks.answer(Role::Cooler, iat_ms, NOW - 3_000, NOW)
    }

    #[test]
    fn only_what_is_certain_is_known() {
        assert_eq!(after(&[&made(NOW + 10_000)]), 10_000);
        // Held back, or by a clock that is behind: nobody can tell.
        assert_eq!(after(&[&made(NOW - 10_000)]), 0);
        assert_eq!(after(&[&answered(NOW + 10_000)]), 10_000);
        assert_eq!(after(&[&answered(NOW - 13_000)]), -10_000);
        // It may have been made at any time in between.
        for iat in [NOW, NOW - 1_000, NOW - 3_000] {
            assert_eq!(after(&[&answered(iat)]), 0);
        }
        assert_eq!(after(&[&answered(NOW + 2_499)]), 0, "small differences are nobody's trouble");
    }

    #[test]
    fn what_was_known_ends_when_something_newer_contradicts_it() {
        assert_eq!(after(&[&made(NOW + 10_000), &made(NOW + 9_500)]), 10_000, "travel is no news");
        assert_eq!(after(&[&made(NOW + 10_000), &made(NOW)]), 0);
        assert_eq!(after(&[&made(NOW + 10_000), &answered(NOW - 1)]), 0);
        assert_eq!(after(&[&answered(NOW - 13_000), &made(NOW - 20_000)]), -10_000, "a late request says nothing");
        assert_eq!(after(&[&answered(NOW - 13_000), &made(NOW)]), 0);
        assert_eq!(after(&[&answered(NOW - 13_000), &answered(NOW)]), 0);
        assert_eq!(after(&[&answered(NOW - 13_000), &answered(NOW - 12_600)]), -10_000, "nor is a little more");
        assert_eq!(after(&[&answered(NOW - 13_000), &answered(NOW - 9_000)]), -6_000);
        assert_eq!(after(&[&answered(NOW - 13_000), &made(NOW + 10_000)]), 10_000);
    }

    #[test]
    fn a_clock_that_was_set_back_meanwhile_proves_nothing() {
        assert_eq!(after(&[&|clocks: &mut Clocks| clocks.answer(Role::Cooler, NOW, NOW + 60_000, NOW)]), 0);
    }

    #[test]
    fn people_are_told_who_by_how_much_and_what_to_do() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.describe(), None);
        clocks.request(Role::App, NOW + 9_600, NOW);
        clocks.answer(Role::Cooler, NOW - 13_000, NOW - 3_000, NOW);
        let told = "cooler's clock differs by 10 s from the clock here (behind); set both by a time server; \
                    app's clock differs by 10 s from the clock here (ahead); set both by a time server";
        assert_eq!(clocks.describe().as_deref(), Some(told));
    }
}
