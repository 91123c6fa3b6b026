//! Which nonces may be signed. Pure.
//!
//! A Safe executes its nonces one after the other, so a signature at a later one is a stockpile: at any time only the
//! next nonce is signed, and the one after it not before the sentinel has attested that the next is used up. Without an
//! sentinel nobody can attest it: then a nonce follows what was signed before it.

use super::stop::Stop;
use crate::store::{Kind, Nonces, Watermark};

/// Whether `mark`, which is not recorded yet, may take `nonce`. `observed`: the sentinel attests settlements.
pub(super) fn judge(mark: &Watermark, nonce: u64, seen: &Nonces, observed: bool) -> Result<(), Stop> {
    let Watermark { wallet, kind, .. } = mark;
    if *kind == Kind::Payment && seen.payment.is_some() {
        return Err(used(wallet, nonce));
    }
    if nonce < seen.next {
        let message = format!("nonce {nonce} of wallet {wallet} is used up; the next is {}", seen.next);
        return Err(Stop::refused("NonceSettled", message));
    }
    if let Some(outstanding) = seen.outstanding.filter(|outstanding| observed && *outstanding < nonce) {
        let why = format!("the settlement of nonce {outstanding} of wallet {wallet} is not attested yet");
        return Err(too_early(wallet, nonce, outstanding, why));
    }
    let next = match seen.highest.filter(|_| !observed) {
        Some(highest) => seen.next.max(highest.saturating_add(1)),
        None => seen.next,
    };
    if nonce <= next {
        return Ok(());
    }
    Err(too_early(wallet, nonce, next, format!("nonce {next} of wallet {wallet} is the next and is not used up yet")))
}

/// One nonce too early is told to ask again; what is further ahead is refused.
fn too_early(wallet: &str, nonce: u64, next: u64, why: String) -> Stop {
    if next.checked_add(1) == Some(nonce) {
        return Stop::unavailable("Unsettled", why);
    }
    let message = format!("nonces are signed one after the other; nonce {nonce} of wallet {wallet} is beyond {next}");
    Stop::refused("NonceNotNext", message)
}

/// Another payment was signed there.
fn used(wallet: &str, nonce: u64) -> Stop {
    let message =
        format!("another payment was signed for nonce {nonce} of wallet {wallet}; it, or a cancel, uses the nonce up");
    Stop::refused("NonceUsed", message)
}

#[cfg(test)]
mod tests {
    use chain::Claim;

    use super::*;

    fn mark(kind: Kind, nonce: u64) -> Watermark {
        let (wallet, chain) = ("alice".to_owned(), "eip155:1".to_owned());
        Watermark { wallet, chain, claims: vec![Claim::Sequence(nonce)], kind, id: [1; 32] }
    }

    fn verdict(kind: Kind, nonce: u64, seen: Nonces, observed: bool) -> Result<(), String> {
        judge(&mark(kind, nonce), nonce, &seen, observed).map_err(|stop| stop.reason().to_owned())
    }

    #[test]
    fn with_a_sentinel_only_the_next_nonce_is_signed_and_only_once() {
        use Kind::*;
        let fresh = Nonces::default();
        let paid = Nonces { highest: Some(0), outstanding: Some(0), payment: Some([2; 32]), ..fresh };
        let beyond = Nonces { payment: None, ..paid };
        let settled = Nonces { next: 1, highest: Some(0), ..fresh };
        let table = [
            (Payment, 0, fresh, Ok(())),
            (Cancel, 0, fresh, Ok(())),
            (Payment, 1, fresh, Err("Unsettled")),
            (Payment, 2, fresh, Err("NonceNotNext")),
            (Payment, u64::MAX, fresh, Err("NonceNotNext")),
            (Payment, 0, paid, Err("NonceUsed")),
            (Cancel, 0, paid, Ok(())),
            (Payment, 1, beyond, Err("Unsettled")),
            (Cancel, 1, beyond, Err("Unsettled")),
            (Payment, 2, beyond, Err("NonceNotNext")),
            (Payment, 0, settled, Err("NonceSettled")),
            (Cancel, 0, settled, Err("NonceSettled")),
            (Payment, 1, settled, Ok(())),
        ];
        for (kind, nonce, seen, expected) in table {
            assert_eq!(verdict(kind, nonce, seen, true), expected.map_err(str::to_owned), "{kind:?} {nonce} {seen:?}");
        }
    }

    #[test]
    fn without_a_sentinel_a_nonce_follows_what_was_signed() {
        use Kind::*;
        let fresh = Nonces::default();
        let paid = Nonces { highest: Some(4), outstanding: Some(0), ..fresh };
        let table = [
            (Payment, 0, fresh, Ok(())),
            (Payment, 1, fresh, Err("Unsettled")),
            (Payment, 3, paid, Ok(())),
            (Payment, 5, paid, Ok(())),
            (Cancel, 5, paid, Ok(())),
            (Payment, 6, paid, Err("Unsettled")),
            (Payment, 7, paid, Err("NonceNotNext")),
        ];
        for (kind, nonce, seen, expected) in table {
            assert_eq!(verdict(kind, nonce, seen, false), expected.map_err(str::to_owned), "{kind:?} {nonce} {seen:?}");
        }
    }
}
