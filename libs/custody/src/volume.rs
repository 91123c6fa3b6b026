//! How large a signer's volume has to be, and what of it is kept back. Pure arithmetic in bytes.
//!
//! On the day of a breach a signer has to write: a record for every transaction of an evacuation before it is signed,
//! freezes, settlements. What that takes for every wallet is reserved: nothing else may use it.

use std::collections::BTreeMap;

use crate::local_policy::LocalPolicy;

/// One transaction of an evacuation: its row, the entry of its index, its audit record.
pub const EVACUATION: u64 = 1024;
/// One freeze, with its audit record.
pub const FREEZE: u64 = 1024;
/// One settlement, with its audit record.
pub const SETTLEMENT: u64 = 1024;
/// One wallet: sealed keys, attestation, wallet record, addresses, and the two operations that made it.
pub const WALLET: u64 = 4096;
/// One payment: operation, record, claims, amounts, settlement and audit records, with its reply.
pub const PAYMENT: u64 = 3072;
/// For the write-ahead log, which grows to 32 MiB before it is moved into the file, and once more for a reader that
/// holds it up.
pub const FIXED: u64 = 64 << 20;
/// How many payments of each wallet a volume is planned for.
pub const PLANNED_PAYMENTS: u64 = 16;
/// A volume that is filled so far is mentioned in the report, and urgently from the second on. Percent.
pub const FILLING: [u64; 2] = [70, 85];
/// Unless so much is left: about five million payments.
pub const PLENTY: u64 = 16 << 30;
/// And so is one, whatever its size, of which nothing is left in fewer days than these at the present rate.
pub const DAYS: u64 = 14;

/// Assets in one ladder at most.
const LADDER_ASSETS: u64 = 3;

/// What a file system has, as whoever writes to it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it, bytes.
    pub size: u64,
    /// What is left, bytes; free pages of the database count as left.
    pub free: u64,
}

/// A volume that was looked at: what is left, and what of that is kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The file system.
    pub space: Space,
    /// For evacuations, freezes and settlements alone, bytes.
    pub reserve: u64,
    /// How many wallets the volume is good for.
    pub most_wallets: u64,
}

/// Transactions in the ladders of one wallet, as many as there can be with one payment outstanding: every asset at every
/// nonce that can be live, with and without that payment.
pub fn rungs(policy: &LocalPolicy) -> u64 {
    chains(policy).into_values().map(|assets| 2 * assets * (assets + 1)).sum()
}

/// Chains of a local policy, with the assets that one ladder moves.
fn chains(policy: &LocalPolicy) -> BTreeMap<&str, u64> {
    let mut chains = BTreeMap::<&str, u64>::new();
    for asset in &policy.assets {
        let assets = chains.entry(&asset.chain).or_default();
        *assets = (*assets + 1).min(LADDER_ASSETS);
    }
    chains
}

/// What is reserved for each wallet.
fn reserved(policy: &LocalPolicy) -> u64 {
    rungs(policy) * EVACUATION + chains(policy).len() as u64 * SETTLEMENT + FREEZE
}

/// What is reserved for `wallets`.
pub fn reserve(wallets: u64, policy: &LocalPolicy) -> u64 {
    FIXED.saturating_add(wallets.saturating_mul(reserved(policy)))
}

/// The smallest volume for `wallets`, each with [`PLANNED_PAYMENTS`].
pub fn needed(wallets: u64, policy: &LocalPolicy) -> u64 {
    let kept = wallets.saturating_mul(WALLET + PLANNED_PAYMENTS * PAYMENT);
    reserve(wallets, policy).saturating_add(kept)
}

/// How many wallets a volume of this size is planned for: the inverse of [`needed`].
pub fn planned_wallets(size: u64, policy: &LocalPolicy) -> u64 {
    size.saturating_sub(FIXED) / (reserved(policy) + WALLET + PLANNED_PAYMENTS * PAYMENT)
}

impl Room {
    /// Wallets may take, with what is reserved for them, half of the volume: the other half is for payments.
    pub fn of(space: Space, wallets: u64, policy: &LocalPolicy) -> Self {
        let most_wallets = space.size.saturating_sub(FIXED) / 2 / (reserved(policy) + WALLET);
        Self { space, reserve: reserve(wallets, policy), most_wallets }
    }

    /// What ordinary operations may still use, bytes.
    pub fn left(&self) -> u64 {
        self.space.free.saturating_sub(self.reserve)
    }

    /// How much of what ordinary operations may use is used, percent.
    pub fn filled(&self) -> u64 {
        let all = self.space.size.saturating_sub(self.reserve);
        let used = all.saturating_sub(self.left());
        used.saturating_mul(100).checked_div(all).unwrap_or(100)
    }

    /// One line for the report, by what is left and, where that is known, for how many days; it changes when a mark is
    /// passed and not with every byte. Nothing: there is room.
    pub fn warning(&self, days_left: Option<u64>) -> Option<String> {
        let mark = FILLING.into_iter().rev().find(|mark| self.filled() >= *mark && self.left() < PLENTY);
        let what = match mark {
            _ if self.left() == 0 => "VolumeFull: only evacuations, freezes and settlements are still recorded; \
                                      enlarge the volume"
                .to_owned(),
            Some(mark) if mark > FILLING[0] => {
                format!("VolumeFilling: more than {mark} % of what operations may use is taken; enlarge the volume now")
            }
            _ if days_left.is_some_and(|days| days < DAYS) => {
                format!("VolumeFilling: it is full in less than {DAYS} days at the present rate; enlarge the volume")
            }
            Some(mark) => {
                format!("VolumeFilling: more than {mark} % of what operations may use is taken; plan a larger volume")
            }
            None => return None,
        };
        Some(format!("{what} (docs/runbooks/volume-full.md)"))
    }

    /// In how many days nothing is left, if it goes on as since `before`: Unix milliseconds, and what was left then.
    pub fn days_left(&self, now_ms: u64, before: (u64, u64)) -> Option<u64> {
        const DAY_MS: u64 = 86_400_000;
        let (at_ms, left) = before;
        let (took_ms, used) = (now_ms.checked_sub(at_ms)?, left.checked_sub(self.left())?);
        let days =
            (u128::from(self.left()) * u128::from(took_ms)).checked_div(u128::from(used) * u128::from(DAY_MS))?;
        u64::try_from(days).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local_policy::AssetLimits;

    fn policy(assets: &[(&str, usize)]) -> LocalPolicy {
        let listed = assets.iter().flat_map(|(chain, count)| {
            (0..*count).map(move |number| AssetLimits::new(chain, &format!("A{number}"), "native", 18, "1"))
        });
        LocalPolicy::new(listed.collect())
    }

    #[test]
    fn a_ladder_has_every_asset_at_every_live_nonce_and_three_assets_at_most() {
        for (assets, expected) in [
            (&[("eip155:1", 1)][..], 4),
            (&[("eip155:1", 2)][..], 12),
            (&[("eip155:1", 3)][..], 24),
            (&[("eip155:1", 9)][..], 24),
            (&[("eip155:1", 1), ("eip155:2", 2)][..], 16),
            (&[][..], 0),
        ] {
            assert_eq!(rungs(&policy(assets)), expected, "{assets:?}");
        }
    }

    #[test]
    fn a_volume_that_is_planned_for_some_wallets_has_room_for_them_and_not_for_more() {
        let policy = policy(&[("eip155:1", 2)]);
        for wallets in [0, 1, 1_000, 1_000_000] {
            let size = needed(wallets, &policy);
            assert_eq!(planned_wallets(size, &policy), wallets);
            let room = Room::of(Space { size, free: size }, wallets, &policy);
            assert!(room.most_wallets >= wallets && room.left() >= wallets * PLANNED_PAYMENTS * PAYMENT, "{room:?}");
        }
        assert_eq!(planned_wallets(0, &policy), 0);
        assert_eq!(reserve(u64::MAX, &policy), u64::MAX, "nothing wraps");
    }

    #[test]
    fn a_volume_is_named_at_each_mark_and_full_when_only_the_reserve_is_left() {
        let reserve = 100;
        let room = |free: u64| Room { space: Space { size: 1_100, free }, reserve, most_wallets: 9 };
        for (free, filled, word) in [
            (1_100, 0, None),
            (401, 69, None),
            (400, 70, Some("VolumeFilling: more than 70 %")),
            (251, 84, Some("VolumeFilling: more than 70 %")),
            (250, 85, Some("VolumeFilling: more than 85 %")),
            (101, 99, Some("VolumeFilling: more than 85 %")),
            (100, 100, Some("VolumeFull")),
            (0, 100, Some("VolumeFull")),
        ] {
            let (room, warning) = (room(free), room(free).warning(None));
            assert_eq!(room.filled(), filled, "{free}");
            assert_eq!(warning.is_some(), word.is_some(), "{free}");
            assert!(warning.is_none_or(|warning| warning.starts_with(word.unwrap_or_default())), "{free}");
        }
        // Of a large volume much is left when little of it is; how fast it goes counts there too.
        let large = Room { space: Space { size: 1 << 40, free: PLENTY + reserve }, reserve, most_wallets: 9 };
        assert_eq!((large.filled(), large.warning(None), large.warning(Some(DAYS))), (98, None, None));
        assert!(large.warning(Some(DAYS - 1)).unwrap().contains("less than 14 days"));
        let less = Room { space: Space { free: PLENTY, ..large.space }, ..large };
        assert!(less.warning(None).unwrap().contains("more than 85 %"));
        let tiny = Room { space: Space { size: 10, free: 10 }, reserve, most_wallets: 0 };
        assert_eq!((tiny.filled(), tiny.left()), (100, 0));
    }

    #[test]
    fn the_days_left_follow_from_what_was_used_since() {
        const DAY_MS: u64 = 86_400_000;
        let room = Room { space: Space { size: 10_000, free: 700 }, reserve: 100, most_wallets: 0 };
        assert_eq!(room.days_left(2 * DAY_MS, (0, 1_000)), Some(3), "200 a day, 600 left");
        assert_eq!(room.days_left(DAY_MS, (0, 600)), None, "nothing was used");
        assert_eq!(room.days_left(DAY_MS, (0, 500)), None, "pruning gave back more than was used");
        assert_eq!(room.days_left(0, (DAY_MS, 1_000)), None, "a clock that was set back");
    }
}
