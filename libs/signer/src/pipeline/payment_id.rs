//! Which transactions may be signed for a payment. Pure.
//!
//! An App that has forgotten what it asked for asks again under the same payment id. Another transaction is signed for
//! it only once all earlier ones are attested, by the sentinel or the admin, as outrun by something else: until then
//! each of them may have paid.

use protocol::ops::PAYMENT_ID_BYTES;

use super::stop::Stop;
use crate::store::{Earlier, Fate, Watermark};

/// Whether another transaction than the `earlier` ones may be signed for a payment.
pub(super) fn judge(earlier: &[Earlier]) -> Result<(), Stop> {
    if let Some(Earlier { claims, .. }) = earlier.iter().find(|it| it.fate == Fate::Made) {
        let message = format!("this payment was made by another transaction, at {}; it is made once", listed(claims));
        return Err(Stop::refused("PaymentMade", message));
    }
    match earlier.iter().find(|it| it.fate == Fate::Open) {
        None => Ok(()),
        Some(Earlier { claims, .. }) => Err(Stop::unavailable(
            "PaymentIdUsed",
            format!(
                "another transaction was signed for this payment, at {}, and may have paid; a new one is signed once \
                 the sentinel, or this data centre's admin (`settle`), has attested what used that up instead",
                listed(claims)
            ),
        )),
    }
}

/// A transaction that was signed before, for the payment `signed_for`, is asked for again.
pub(super) fn same(mark: &Watermark, signed_for: Option<[u8; 32]>, asked_for: Option<&[u8; 32]>) -> Result<(), Stop> {
    match (signed_for, asked_for) {
        (Some(signed_for), Some(asked_for)) if signed_for != *asked_for => Err(Stop::refused(
            "PaymentIdDiffers",
            format!("this transaction, at {}, was signed for another payment", listed(&mark.claims)),
        )),
        _ => Ok(()),
    }
}

/// As it stands in a request; a cancel belongs to its claims, and to no payment.
pub(super) fn read(bytes: &[u8], is_cancel: bool) -> Result<Option<[u8; PAYMENT_ID_BYTES]>, Stop> {
    match bytes.try_into() {
        _ if bytes.is_empty() => Ok(None),
        Ok(_) if is_cancel => Err(Stop::refused("Malformed", "a cancel has no payment id; leave it out")),
        Ok(id) => Ok(Some(id)),
        Err(_) => {
            let message = format!("the payment id has {} bytes, expected {PAYMENT_ID_BYTES}", bytes.len());
            Err(Stop::refused("Malformed", message))
        }
    }
}

fn listed(claims: &[chain::Claim]) -> String {
    claims.iter().map(chain::Claim::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use chain::Claim;

    use super::*;

    #[test]
    fn another_transaction_is_signed_only_once_every_earlier_one_was_outrun() {
        let earlier = |fates: &[Fate]| -> Vec<Earlier> {
            fates.iter().map(|fate| Earlier { id: [1; 32], claims: vec![Claim::Sequence(4)], fate: *fate }).collect()
        };
        let table: [(&[Fate], Result<(), Stop>); 6] = [
            (&[], Ok(())),
            (&[Fate::Superseded], Ok(())),
            (&[Fate::Open], Err(Stop::unavailable("PaymentIdUsed", ""))),
            (&[Fate::Superseded, Fate::Open], Err(Stop::unavailable("PaymentIdUsed", ""))),
            (&[Fate::Open, Fate::Made], Err(Stop::refused("PaymentMade", ""))),
            (&[Fate::Superseded, Fate::Made], Err(Stop::refused("PaymentMade", ""))),
        ];
        for (fates, expected) in table {
            let judged = judge(&earlier(fates));
            let kind =
                |it: &Result<(), Stop>| it.as_ref().err().map(|stop| (stop.reason(), std::mem::discriminant(stop)));
            assert_eq!(kind(&judged), kind(&expected), "{fates:?}");
        }
    }

    #[test]
    fn a_payment_id_has_32_bytes_and_a_cancel_has_none() {
        assert_eq!(read(&[], true).unwrap(), None);
        assert_eq!(read(&[], false).unwrap(), None);
        assert_eq!(read(&[7; 32], false).unwrap(), Some([7; 32]));
        for (bytes, cancel) in [(&[7; 31][..], false), (&[7; 33][..], false), (&[7; 32][..], true)] {
            assert_eq!(read(bytes, cancel).unwrap_err().reason(), "Malformed");
        }
    }
}
