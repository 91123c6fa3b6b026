//! Whether a transaction may use up what it claims: nonces by the rules of [`super::nonce`], coins by those here.
//!
//! Coins are independent of each other: there is no next one, and nothing is too early. A coin takes one payment; a
//! cancel takes the same coins, so that either of the two can happen and never both.

use chain::Claim;

use super::{nonce, stop::Stop};
use crate::store::{Coin, Kind, Ledger, StoreError, Watermark};

/// Whether all claims of `mark`, which is not recorded yet, may be recorded.
pub(super) fn judge(ledger: &Ledger<'_>, mark: &Watermark, observed: bool) -> Result<Result<(), Stop>, StoreError> {
    for claim in &mark.claims {
        let judged = match claim {
            Claim::Sequence(number) => {
                nonce::judge(mark, *number, &ledger.nonces(&mark.wallet, &mark.chain, *number)?, observed)
            }
            Claim::Coin(..) => judge_coin(mark, claim, &ledger.coin(&mark.wallet, &mark.chain, claim)?),
        };
        if judged.is_err() {
            return Ok(judged);
        }
    }
    Ok(Ok(()))
}

fn judge_coin(mark: &Watermark, coin: &Claim, seen: &Coin) -> Result<(), Stop> {
    if seen.claimed_elsewhere {
        return Err(Stop::refused("CoinClaimed", format!("another wallet has claimed {coin}")));
    }
    if mark.kind == Kind::Payment && seen.payment.is_some() {
        let message = format!("another payment was signed for {coin}; it, or a cancel, uses the coin up");
        return Err(Stop::refused("CoinClaimed", message));
    }
    if seen.settled {
        return Err(Stop::refused("CoinSettled", format!("{coin} of wallet {} is used up", mark.wallet)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coin_takes_one_payment_and_the_cancel_of_its_own_wallet_until_it_is_used_up() {
        let coin = Claim::Coin([1; 32], 0);
        let mark = |kind| Watermark {
            wallet: "alice".to_owned(),
            chain: "eip155:7".to_owned(),
            claims: vec![coin],
            kind,
            id: [2; 32],
        };
        let free = Coin::default();
        let elsewhere = Coin { claimed_elsewhere: true, ..free };
        let (paid, settled) = (Coin { payment: Some([1; 32]), ..free }, Coin { settled: true, ..free });
        let table = [
            (Kind::Payment, free, Ok(())),
            (Kind::Cancel, free, Ok(())),
            (Kind::Payment, paid, Err("CoinClaimed")),
            (Kind::Cancel, paid, Ok(())),
            (Kind::Payment, elsewhere, Err("CoinClaimed")),
            (Kind::Cancel, elsewhere, Err("CoinClaimed")),
            (Kind::Payment, settled, Err("CoinSettled")),
            (Kind::Cancel, settled, Err("CoinSettled")),
            (Kind::Cancel, Coin { settled: true, ..paid }, Err("CoinSettled")),
        ];
        for (kind, seen, expected) in table {
            let judged = judge_coin(&mark(kind), &coin, &seen).map_err(|stop| stop.reason());
            assert_eq!(judged, expected, "{kind:?} {seen:?}");
        }
    }
}
