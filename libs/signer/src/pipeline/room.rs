//! What the volume has room for: quotas for what a sender could write without end, and the reserve that ordinary
//! operations never use. Pure, but for the rows in which the quotas are counted.
//!
//! Freezes, settlements, heads and the admin's commands don't come by here.

use custody::volume::Room;

use super::{signer::Signer, stop::Stop};
use crate::store::{Ledger, Quoted, StoreError, Used};

/// Refusals that are stored in a minute: a hundred a second.
const REFUSALS_A_MINUTE: u64 = 6_000;
/// Refusals that are stored with their reply: about 100 MB. They are pruned after [`crate::store::KEEP_MS`].
const REFUSALS: u64 = 100_000;
/// Wallets made or registered in a minute: five hundred a second. How many in all, the volume says.
const WALLETS_A_MINUTE: u64 = 30_000;
/// Freezes in force of wallets that are not registered.
const UNREGISTERED_FREEZES: u64 = 1_000;
const MINUTE_MS: u64 = 60_000;

/// How much may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota {
    of: Quoted,
    reason: &'static str,
    a_minute: u64,
    in_all: u64,
    /// What to do once all are used.
    remedy: &'static str,
}

impl Quota {
    const REFUSALS: Self = Self {
        of: Quoted::Refusals,
        reason: "RefusalsQuota",
        a_minute: REFUSALS_A_MINUTE,
        in_all: REFUSALS,
        remedy: "find out who asks for so much that is refused; replies are pruned after thirty days",
    };

    fn wallets(of: Quoted, most: u64) -> Self {
        let remedy = "enlarge the signer's volume (docs/runbooks/volume-full.md)";
        Self { of, reason: "WalletsQuota", a_minute: WALLETS_A_MINUTE, in_all: most, remedy }
    }

    /// One more, if there is one left at `now_ms`.
    fn take(&self, used: Used, now_ms: u64) -> Result<Used, Stop> {
        let (what, minute) = (self.of.shown(), now_ms / MINUTE_MS);
        let in_minute = if used.minute == minute { used.in_minute } else { 0 };
        if used.in_all >= self.in_all {
            let message = format!("this signer keeps at most {} {what}; {}", self.in_all, self.remedy);
            return Err(Stop::unavailable(self.reason, message));
        }
        if in_minute >= self.a_minute {
            let message = format!("{} {what} were written in this minute; ask again in the next", self.a_minute);
            return Err(Stop::unavailable(self.reason, message));
        }
        Ok(Used { minute, in_minute: in_minute + 1, in_all: used.in_all + 1 })
    }

    /// The same on disk.
    fn take_of(&self, ledger: &Ledger<'_>) -> Result<Result<(), Stop>, StoreError> {
        match self.take(ledger.used(self.of)?, ledger.now_ms()) {
            Ok(used) => Ok(Ok(ledger.note_used(self.of, used)?)),
            Err(stop) => Ok(Err(stop)),
        }
    }
}

impl Quoted {
    fn shown(self) -> &'static str {
        match self {
            Quoted::Refusals => "refusals",
            Quoted::Keys => "wallets' keys",
            Quoted::Wallets => "wallets",
        }
    }
}

/// Room for one stored refusal. Without it nothing is decided: an answer that is not stored would not be for good.
pub(super) fn refusal(ledger: &Ledger<'_>, reason: &str) -> Result<Result<(), Stop>, StoreError> {
    let taken = Quota::REFUSALS.take_of(ledger)?;
    Ok(taken.map_err(|stop| stop.and(format!("it would be refused now: {reason}"))))
}

/// Room for the keys, or the record, of one more wallet.
pub(super) fn wallet(ledger: &Ledger<'_>, of: Quoted, most: u64) -> Result<Result<(), Stop>, StoreError> {
    Quota::wallets(of, most).take_of(ledger)
}

/// Room for a freeze that a peer asks for.
pub(super) fn freeze(ledger: &Ledger<'_>, wallet: &str) -> Result<Result<(), Stop>, StoreError> {
    if wallet.is_empty() || ledger.has_wallet(wallet)? || ledger.has_freeze(wallet)? {
        return Ok(Ok(()));
    }
    Ok(judge_unregistered(ledger.unregistered_freezes()?))
}

fn judge_unregistered(frozen: u64) -> Result<(), Stop> {
    if frozen < UNREGISTERED_FREEZES {
        return Ok(());
    }
    Err(Stop::unavailable(
        "FreezesQuota",
        format!(
            "{frozen} wallets that are not registered here are frozen, which is as many as there may be; freeze \
             everything, or have the admin thaw what does not exist"
        ),
    ))
}

impl Signer {
    /// The volume as it is now. Until it was looked at nothing is held back.
    pub fn see_room(&self, room: Room) {
        self.room.store(Some(std::sync::Arc::new(room)));
    }

    /// Whether there is room for what ordinary operations write.
    pub(super) fn require_room(&self) -> Result<(), Stop> {
        match self.room.load().as_deref() {
            Some(room) if room.left() == 0 => Err(Stop::unavailable(
                "VolumeFull",
                format!(
                    "this signer's volume has {} bytes left, which are kept for evacuations, freezes and settlements; \
                     its admin has to enlarge it (docs/runbooks/volume-full.md)",
                    room.space.free
                ),
            )),
            _ => Ok(()),
        }
    }

    /// How many wallets the volume is good for.
    pub(super) fn most_wallets(&self) -> u64 {
        self.room.load().as_deref().map_or(u64::MAX, |room| room.most_wallets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_ends_with_its_minute_and_in_all_with_what_the_volume_holds() {
        let quota = Quota { a_minute: 2, in_all: 3, ..Quota::REFUSALS };
        let taken = |used: Used, now_ms| quota.take(used, now_ms).map_err(|stop| stop.reason());
        let one = taken(Used::default(), 60_000).unwrap();
        assert_eq!(one, Used { minute: 1, in_minute: 1, in_all: 1 });
        let two = taken(one, 119_999).unwrap();
        assert_eq!(taken(two, 119_999), Err("RefusalsQuota"));
        let three = taken(two, 120_000).unwrap();
        assert_eq!(three, Used { minute: 2, in_minute: 1, in_all: 3 });
        assert_eq!(taken(three, 900_000), Err("RefusalsQuota"), "whatever the minute");
        assert_eq!(taken(Used { in_all: 2, ..three }, 900_000).unwrap().in_all, 3, "one was pruned");
    }

    #[test]
    fn each_quota_has_its_reason() {
        let full = Used { in_all: REFUSALS, ..Used::default() };
        assert_eq!(Quota::REFUSALS.take(full, 0).unwrap_err().reason(), "RefusalsQuota");
        for of in [Quoted::Keys, Quoted::Wallets] {
            let used = Used { in_all: 7, ..Used::default() };
            assert!(Quota::wallets(of, 8).take(used, 0).is_ok());
            assert_eq!(Quota::wallets(of, 7).take(used, 0).unwrap_err().reason(), "WalletsQuota");
        }
        assert!(judge_unregistered(UNREGISTERED_FREEZES - 1).is_ok());
        assert_eq!(judge_unregistered(UNREGISTERED_FREEZES).unwrap_err().reason(), "FreezesQuota");
    }
}
