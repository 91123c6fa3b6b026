//! The ten `SafeTx` fields as tools exchange them, and from them the bytes that are decoded and signed.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolValue;
use chain::{Amount, Refusal};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::Deserialize;

use crate::{abi::SafeTx, address, decode::Reason};

/// A `SafeTx` in JSON: numbers as decimal strings, addresses and data in `0x` hex. All ten, and nothing else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    to: String,
    value: String,
    data: String,
    operation: String,
    safe_tx_gas: String,
    base_gas: String,
    gas_price: String,
    gas_token: String,
    refund_receiver: String,
    nonce: String,
}

/// The unsigned bytes of the ten fields in JSON. Whatever the contract could read is encoded, also what decoding
/// refuses; `Malformed` is only what has no encoding.
pub(crate) fn read(json: &[u8]) -> Result<Vec<u8>, Refusal> {
    let fields: Fields = serde_json::from_slice(json)
        .map_err(|error| Reason::Malformed.because(format!("no SafeTx of ten fields, all of them strings: {error}")))?;
    fields.encode()
}

impl Fields {
    fn encode(&self) -> Result<Vec<u8>, Refusal> {
        let transaction = SafeTx {
            to: account("to", &self.to)?,
            value: number("value", &self.value)?,
            data: bytes("data", &self.data)?.into(),
            operation: byte("operation", &self.operation)?,
            safeTxGas: number("safeTxGas", &self.safe_tx_gas)?,
            baseGas: number("baseGas", &self.base_gas)?,
            gasPrice: number("gasPrice", &self.gas_price)?,
            gasToken: account("gasToken", &self.gas_token)?,
            refundReceiver: account("refundReceiver", &self.refund_receiver)?,
            nonce: number("nonce", &self.nonce)?,
        };
        Ok(transaction.abi_encode_params())
    }
}

/// `uint256`.
fn number(field: &str, text: &str) -> Result<U256, Refusal> {
    let malformed = || Reason::Malformed.because(format!("{field} is not a whole decimal number below 2^256"));
    text.parse().map(|Amount(number)| number).map_err(|_| malformed())
}

/// `uint8`.
fn byte(field: &str, text: &str) -> Result<u8, Refusal> {
    u8::try_from(number(field, text)?).map_err(|_| Reason::Malformed.because(format!("{field} is above 255")))
}

fn account(field: &str, text: &str) -> Result<Address, Refusal> {
    address::parse(text).map_err(|error| Reason::Malformed.because(format!("{field}: {error}")))
}

fn bytes(field: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = text.strip_prefix("0x").and_then(|hex| HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok());
    bytes.ok_or_else(|| Reason::Malformed.because(format!("{field} is not 0x and pairs of hex digits")))
}
