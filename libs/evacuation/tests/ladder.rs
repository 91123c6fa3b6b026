//! Promises of the ladder: whatever one front-run or one reverting token does, every other asset moves.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use chain::Amount;
use evacuation::{Holding, Ladder, LadderError, MAX_NONCES, MAX_OUTSTANDING, Outstanding, Rung};
use proptest::prelude::*;

fn amount(units: u128) -> Amount {
    Amount::from(units)
}

fn holding(asset: usize, balance: u128) -> Holding {
    Holding::new(asset, amount(balance), Vec::new(), false).unwrap()
}

fn rungs(ladder: &Ladder) -> Vec<(u64, usize, u128)> {
    ladder.rungs().map(|rung| (rung.nonce, rung.asset, rung.amount.to_string().parse().unwrap())).collect()
}

#[test]
fn each_asset_is_at_each_nonce_that_can_become_live() {
    let one = Ladder::new(7, None, vec![holding(0, 5)]).unwrap();
    assert_eq!(rungs(&one), [(7, 0, 5), (8, 0, 5)]);
    let two = Ladder::new(7, Some(8), vec![holding(0, 5), holding(3, 9)]).unwrap();
    let expected: Vec<_> = (7..=10).flat_map(|nonce| [(nonce, 0, 5), (nonce, 3, 9)]).collect();
    assert_eq!(rungs(&two), expected);
    let count =
        |assets| Ladder::new(0, None, (0..assets).map(|asset| holding(asset, 1)).collect()).unwrap().rungs().count();
    assert_eq!([count(1), count(2), count(3)], [2, 6, 12]);
}

#[test]
fn what_an_outstanding_payment_leaves_is_signed_for_where_it_can_have_left() {
    let payment = vec![Outstanding { nonce: 7, amount: amount(30) }];
    let eth = Holding::new(0, amount(100), payment, false).unwrap();
    let ladder = Ladder::new(7, Some(7), vec![eth]).unwrap();
    assert_eq!(rungs(&ladder), [(7, 0, 100), (8, 0, 100), (8, 0, 70)]);
    let all = vec![Outstanding { nonce: 7, amount: amount(100) }];
    let eth = Holding::new(0, amount(100), all, false).unwrap();
    assert_eq!(rungs(&Ladder::new(7, Some(7), vec![eth]).unwrap()), [(7, 0, 100), (8, 0, 100)], "never nothing");
}

#[test]
fn of_an_asset_whose_balance_shrinks_by_itself_a_hundredth_less_is_signed_too() {
    let holding = Holding::new(0, amount(1_000), Vec::new(), true).unwrap();
    let ladder = Ladder::new(0, None, vec![holding]).unwrap();
    assert_eq!(rungs(&ladder), [(0, 0, 1_000), (0, 0, 990), (1, 0, 1_000), (1, 0, 990)]);
    let dust = Holding::new(0, amount(1), Vec::new(), true).unwrap();
    assert_eq!(Ladder::new(0, None, vec![dust]).unwrap().rungs().count(), 2);
}

#[test]
fn there_is_no_ladder_of_a_wrong_state() {
    let payments =
        |nonces: &[u64]| nonces.iter().map(|nonce| Outstanding { nonce: *nonce, amount: amount(1) }).collect();
    let held = |nonces: &[u64]| Holding::new(0, amount(9), payments(nonces), false);
    let many: Vec<u64> = (0..=MAX_OUTSTANDING as u64).collect();
    assert_eq!(Holding::new(0, Amount::ZERO, Vec::new(), false), Err(LadderError::Nothing));
    assert_eq!(held(&[2, 1]), Err(LadderError::Outstanding));
    assert_eq!(held(&[1, 1]), Err(LadderError::Outstanding));
    assert_eq!(held(&many), Err(LadderError::Outstanding));
    assert_eq!(Ladder::new(3, None, vec![held(&[2]).unwrap()]), Err(LadderError::Past));
    assert_eq!(Ladder::new(0, None, Vec::new()), Err(LadderError::Assets));
    assert_eq!(Ladder::new(0, None, vec![holding(1, 1), holding(1, 1)]), Err(LadderError::Assets));
    assert_eq!(Ladder::new(0, None, vec![holding(1, 1), holding(0, 1)]), Err(LadderError::Assets));
    assert_eq!(Ladder::new(0, None, (0..4).map(|asset| holding(asset, 1)).collect()), Err(LadderError::Assets));
    assert_eq!(Ladder::new(u64::MAX, None, vec![holding(0, 1)]), Err(LadderError::Nonces));
    assert_eq!(Ladder::new(0, Some(MAX_NONCES - 1), vec![holding(0, 1)]), Err(LadderError::Nonces));
    assert!(Ladder::new(0, Some(MAX_NONCES - 2), vec![holding(0, 1)]).is_ok());
}

/// A wallet on its chain: what is left of each asset, and the live nonce.
struct Wallet {
    balances: Vec<u128>,
    live: u64,
}

/// What happens at one nonce of the wallet.
#[derive(Debug, Clone, Copy)]
enum Turn {
    /// The thief is first: the payment that was signed at this nonce, or one of nothing.
    Thief,
    /// The broadcaster is first, and prefers the asset at this place among those that have not moved.
    Rescue(usize),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![Just(Turn::Thief), (0..3usize).prop_map(Turn::Rescue)]
}

/// The rung that empties the wallet of an asset at its live nonce, or the largest that the balance pays for.
fn playable(ladder: &Ladder, wallet: &Wallet, asset: usize) -> Option<Rung> {
    let fits = |rung: &Rung| rung.nonce == wallet.live && rung.asset == asset;
    ladder.rungs().filter(fits).find(|rung| rung.amount <= amount(wallet.balances[asset]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn at_the_live_nonce_there_is_a_rung_for_each_asset_that_has_not_moved(
        balances in prop::collection::vec(2u128..1_000_000, 1..=3),
        first in 0u64..100,
        paid in prop::option::of((0..3usize, 1u128..1_000_000)),
        known in any::<bool>(),
        paused in prop::option::of(0..3usize),
        turns in prop::collection::vec(turn(), 12),
    ) {
        // One payment is outstanding, at the first nonce, of less than there is; whether the export tells of it or not.
        let paid = paid.map(|(asset, units)| (asset % balances.len(), units));
        let paid = paid.map(|(asset, units)| (asset, units % (balances[asset] - 1) + 1));
        let holdings = balances.iter().enumerate().map(|(asset, balance)| {
            let of = paid.filter(|(of, _)| known && *of == asset);
            let outstanding = of.map(|(_, units)| Outstanding { nonce: first, amount: amount(units) });
            Holding::new(asset, amount(*balance), outstanding.into_iter().collect(), false).unwrap()
        });
        let ladder = Ladder::new(first, known.then_some(first), holdings.collect()).unwrap();
        let mut wallet = Wallet { balances: balances.clone(), live: first };
        let movable = |wallet: &Wallet| -> Vec<usize> {
            (0..balances.len()).filter(|asset| Some(*asset) != paused && wallet.balances[*asset] > 0).collect()
        };
        for turn in turns {
            let open = movable(&wallet);
            for asset in &open {
                let rung = playable(&ladder, &wallet, *asset);
                // What the export did not tell of is moved by the next plan.
                let untold = !known && paid.is_some_and(|(of, _)| of == *asset && wallet.balances[of] < balances[of]);
                prop_assert!(untold || rung.is_some_and(|rung| rung.amount == amount(wallet.balances[*asset])), "{asset}");
            }
            match turn {
                Turn::Thief if wallet.live == first => {
                    if let Some((asset, units)) = paid {
                        wallet.balances[asset] -= units;
                    }
                    wallet.live += 1;
                }
                // Nothing was signed at a later nonce.
                Turn::Thief => {}
                Turn::Rescue(preferred) => {
                    let Some(asset) = open.get(preferred % open.len().max(1)) else { break };
                    if playable(&ladder, &wallet, *asset).is_some() {
                        wallet.balances[*asset] = 0;
                        wallet.live += 1;
                    }
                }
            }
        }
    }

    #[test]
    fn payments_at_many_nonces_shift_rungs_and_lose_none(
        balances in prop::collection::vec(1_000_000u128..2_000_000, 1..=3),
        first in 0u64..100,
        payments in prop::collection::vec((0..3usize, 1u128..1_000), 0..5),
        paused in prop::option::of(0..3usize),
        turns in prop::collection::vec(turn(), 24),
    ) {
        let payments: Vec<(usize, u128)> = payments.into_iter().map(|(of, units)| (of % balances.len(), units)).collect();
        let holdings = balances.iter().enumerate().map(|(asset, balance)| {
            let of = payments.iter().zip(first..).filter(|((of, _), _)| *of == asset);
            let outstanding = of.map(|((_, units), nonce)| Outstanding { nonce, amount: amount(*units) }).collect();
            Holding::new(asset, amount(*balance), outstanding, false).unwrap()
        });
        let highest = (first + payments.len() as u64).checked_sub(1);
        let ladder = Ladder::new(first, highest, holdings.collect()).unwrap();
        let mut wallet = Wallet { balances: balances.clone(), live: first };
        let mut moved = vec![false; balances.len()];
        for turn in turns {
            let open: Vec<usize> = (0..balances.len()).filter(|asset| !moved[*asset] && Some(*asset) != paused).collect();
            for asset in &open {
                let rung = playable(&ladder, &wallet, *asset);
                let paid: u128 = payments.iter().filter(|(of, _)| of == asset).map(|(_, units)| units).sum();
                prop_assert!(rung.is_some_and(|rung| rung.amount >= amount(balances[*asset] - paid)), "{asset} at {}", wallet.live);
            }
            match turn {
                Turn::Thief => {
                    let Some((asset, units)) = payments.get((wallet.live - first) as usize) else { continue };
                    wallet.live += 1;
                    // A payment of what has moved reverts inside, and has used its nonce all the same.
                    if !moved[*asset] {
                        wallet.balances[*asset] -= units;
                    }
                }
                Turn::Rescue(preferred) => {
                    let Some(asset) = open.get(preferred % open.len().max(1)) else { break };
                    wallet.balances[*asset] = 0;
                    moved[*asset] = true;
                    wallet.live += 1;
                }
            }
        }
    }
}
