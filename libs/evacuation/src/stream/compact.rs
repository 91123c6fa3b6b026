//! A recoverable secp256k1 signature in 64 bytes (EIP-2098): s is in the lower half (EIP-2), so its highest bit is free
//! for which of the two keys it is.

use chain::Signature;

/// Of one signature.
pub(crate) const BYTES: usize = 64;
const V_OFFSET: u8 = 27;
const PARITY: u8 = 0x80;

/// From the one signature r, s, v of 65 bytes. `None`: it is not that.
pub(crate) fn compact(signatures: &[Signature]) -> Option<[u8; BYTES]> {
    let [signature] = signatures else { return None };
    let (rs, v) = signature.split_first_chunk::<BYTES>()?;
    let parity = match v {
        [V_OFFSET] => 0,
        [v] if *v == V_OFFSET + 1 => PARITY,
        _ => return None,
    };
    let mut compact = *rs;
    if compact[32] & PARITY != 0 {
        return None;
    }
    compact[32] |= parity;
    Some(compact)
}

/// Back to r, s, v. Whether it fits is for the chain's rules to say.
pub(crate) fn expanded(compact: &[u8]) -> Vec<u8> {
    let mut signature = compact.to_vec();
    let v = match signature.get_mut(32) {
        Some(high) if *high & PARITY != 0 => {
            *high &= !PARITY;
            V_OFFSET + 1
        }
        _ => V_OFFSET,
    };
    signature.push(v);
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_recovery_ids_come_back_and_nothing_else_is_taken() {
        for v in [27, 28] {
            let signature = [&[7; 64][..], &[v]].concat();
            let kept = compact(std::slice::from_ref(&signature)).unwrap();
            assert_eq!(expanded(&kept), signature);
        }
        let with = |s: u8, v: u8| {
            let mut signature = vec![7; 65];
            (signature[32], signature[64]) = (s, v);
            signature
        };
        for wrong in [vec![], vec![vec![7; 64]], vec![with(7, 29)], vec![with(0x80, 27)], vec![with(7, 27); 2]] {
            assert_eq!(compact(&wrong), None);
        }
    }
}
