//! From public keys to addresses: owners (keccak256 of the point), wallets (CREATE2), and how addresses are written.

use std::cell::Cell;

use alloy_primitives::{Address, Bytes, U256, keccak256};
use alloy_sol_types::SolCall;
use chain::{Call, ChainError, KeyRole, Owners};
use secp256k1::PublicKey;

use crate::{
    abi::{createProxyWithNonceCall, setupCall},
    constants::{FACTORY, PROXY_INIT_CODE_HASH, SINGLETON, THRESHOLD},
};

/// Reads `0x` and 40 hex digits. All lower case, which nodes and explorers write, is taken as it is; mixed case must
/// carry the right EIP-55 checksum. Capitals alone, and `0X`, carry none and come from whoever changed the text (a QR
/// code, a spreadsheet): they are refused with the spelling that people can compare.
pub(crate) fn parse(text: &str) -> Result<Address, ChainError> {
    let refused = || ChainError::Address(text.to_owned());
    let (prefix, hex) = text.split_at_checked(2).filter(|(_, hex)| hex.len() == 40).ok_or_else(refused)?;
    let address = match prefix {
        "0x" | "0X" => hex.parse::<Address>().map_err(|_| refused())?,
        _ => return Err(refused()),
    };
    let right = display(&address);
    let has = |case: fn(&u8) -> bool| hex.as_bytes().iter().any(case);
    match (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase)) {
        (true, true) if right[2..] != *hex => Err(ChainError::Checksum(text.to_owned())),
        (true, false) if right != text => Err(ChainError::Spelling { text: text.to_owned(), right }),
        _ if prefix == "0X" => Err(ChainError::Spelling { text: text.to_owned(), right }),
        _ => Ok(address),
    }
}

/// EIP-55.
pub(crate) fn display(address: &Address) -> String {
    address.to_checksum(None)
}

/// Owners' addresses in the order hot, cool, cold; refuses a key that owns twice.
pub(crate) fn owners(owners: &Owners) -> Result<[Address; 3], ChainError> {
    let [hot, cool, cold] =
        [owner(KeyRole::Hot, &owners.hot)?, owner(KeyRole::Cool, &owners.cool)?, owner(KeyRole::Cold, &owners.cold)?];
    if hot == cool || hot == cold || cool == cold {
        return Err(ChainError::SameOwner);
    }
    Ok([hot, cool, cold])
}

/// `setup`: three owners, threshold 2, and nothing else: no delegate call, no fallback handler, no payment.
pub(crate) fn initializer(owners: [Address; 3]) -> Vec<u8> {
    let call = setupCall {
        owners: owners.to_vec(),
        threshold: U256::from(THRESHOLD),
        to: Address::ZERO,
        data: Bytes::new(),
        fallbackHandler: Address::ZERO,
        paymentToken: Address::ZERO,
        payment: U256::ZERO,
        paymentReceiver: Address::ZERO,
    };
    call.abi_encode()
}

/// CREATE2 as the factory does it: salt = keccak256(keccak256(initializer) ++ saltNonce).
pub(crate) fn wallet(owners: [Address; 3], salt: [u8; 32]) -> Address {
    let initializer = keccak256(initializer(owners));
    let salt = keccak256([initializer.as_slice(), &salt].concat());
    FACTORY.create2(salt, PROXY_INIT_CODE_HASH)
}

/// The factory's `createProxyWithNonce`.
pub(crate) fn deployment(keys: &Owners, salt: [u8; 32]) -> Result<Call, ChainError> {
    let call = createProxyWithNonceCall {
        singleton: SINGLETON,
        initializer: initializer(owners(keys)?).into(),
        saltNonce: U256::from_be_bytes(salt),
    };
    Ok(Call { to: display(&FACTORY), data: call.abi_encode() })
}

/// Address of a 33-byte SEC1 key; `None` if the bytes are not a key.
pub(crate) fn of_key(key: &[u8]) -> Option<Address> {
    let key = PublicKey::from_slice(key).ok().filter(|_| key.len() == 33)?;
    Some(Address::from_raw_public_key(&key.serialize_uncompressed()[1..]))
}

/// A key and its address.
type Known = Cell<Option<([u8; 33], Address)>>;

thread_local! {
    /// The last cool and the last cold key: those of a custody are the same in all its wallets, and a key's point is a
    /// square root to compute.
    static KNOWN: [Known; 2] = const { [Cell::new(None), Cell::new(None)] };
}

fn owner(role: KeyRole, key: &[u8]) -> Result<Address, ChainError> {
    let compute = || of_key(key).ok_or(ChainError::PublicKey { role, expected: "33-byte SEC1 (secp256k1)" });
    let place = match role {
        KeyRole::Hot => return compute(),
        KeyRole::Cool => 0,
        KeyRole::Cold => 1,
    };
    KNOWN.with(|known| match known[place].get() {
        Some((before, address)) if before == *key => Ok(address),
        _ => {
            let address = compute()?;
            known[place].set(key.try_into().ok().map(|key| (key, address)));
            Ok(address)
        }
    })
}
