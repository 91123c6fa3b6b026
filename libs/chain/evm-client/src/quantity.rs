//! JSON-RPC's numbers and bytes: `0x` hex (EIP-1474).

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::Value;

pub(crate) fn quantity(value: &Value) -> Option<U256> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    (!digits.is_empty()).then(|| U256::from_str_radix(digits, 16).ok()).flatten()
}

pub(crate) fn small(value: &Value) -> Option<u64> {
    quantity(value)?.try_into().ok()
}

pub(crate) fn wei_per_gas(value: &Value) -> Option<u128> {
    quantity(value)?.try_into().ok()
}

pub(crate) fn bytes(value: &Value) -> Option<Bytes> {
    let text = value.as_str()?;
    text.starts_with("0x").then(|| hex::decode(text).ok()).flatten().map(Bytes::from)
}

pub(crate) fn hash(value: &Value) -> Option<B256> {
    bytes(value).and_then(|bytes| B256::try_from(bytes.as_ref()).ok())
}

pub(crate) fn address(value: &Value) -> Option<Address> {
    bytes(value).and_then(|bytes| Address::try_from(bytes.as_ref()).ok())
}

/// A word of an ABI-encoded answer.
pub(crate) fn word(bytes: &[u8]) -> Option<U256> {
    (bytes.len() == 32).then(|| U256::from_be_slice(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_hex_with_prefix_and_fit() {
        assert_eq!(small(&json!("0x10")), Some(16));
        for refused in [json!("10"), json!("0x"), json!(16), json!("0xg"), json!(null), json!("0x10000000000000000")] {
            assert_eq!(small(&refused), None, "{refused}");
        }
    }

    #[test]
    fn bytes_keep_their_length() {
        assert_eq!(bytes(&json!("0x")), Some(Bytes::new()));
        assert_eq!(bytes(&json!("0x00ff")), Some(Bytes::from(vec![0, 255])));
        assert_eq!(bytes(&json!("0x0")), None);
        assert_eq!(hash(&json!("0x00ff")), None);
    }
}
