//! ECDSA over secp256k1 in Ethereum's form: 65 bytes r, s, v; s in the lower half (EIP-2), v 27 or 28.

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolCall;
use chain::{Call, ChainError, KeyRole, Signatures, WalletDesc};
use secp256k1::{
    Message, PublicKey, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId, Signature},
};

use crate::{
    abi::{SafeTx, execTransactionCall},
    address,
    constants::THRESHOLD,
};

const V_OFFSET: u8 = 27;

/// Deterministic (RFC 6979).
pub(crate) fn sign(secret: &[u8; 32], digest: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
    let key = Key::new(secret)?;
    let (recovery, rs) = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(*digest), &key.0).serialize_compact();
    // r beyond the group's order: once in 2^127, and there is no v for it.
    let v = [RecoveryId::Zero, RecoveryId::One].iter().zip(V_OFFSET..).find(|(known, _)| **known == recovery);
    let (_, v) = v.ok_or(ChainError::SecretKey)?;
    Ok([&rs[..], &[v]].concat())
}

/// Whether the contract's `ecrecover` would find this key (33-byte SEC1, which is its only form here); refuses the
/// malleable twin with high s.
pub(crate) fn verify(public_key: &[u8], digest: &[u8; 32], signature: &[u8]) -> bool {
    // The key is not parsed: that costs a square root, and the one found is a key in any case.
    recover(digest, signature).is_some_and(|recovered| recovered.serialize() == *public_key)
}

pub(crate) fn public_key(secret: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
    Ok(Key::new(secret)?.0.public_key(SECP256K1).serialize().to_vec())
}

/// A secret key that is overwritten when it is dropped.
struct Key(SecretKey);

impl Key {
    fn new(secret: &[u8; 32]) -> Result<Self, ChainError> {
        SecretKey::from_byte_array(*secret).map(Self).map_err(|_| ChainError::SecretKey)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

/// `execTransaction` with the signatures in the order that the contract demands: ascending owner addresses.
pub(crate) fn assemble(
    transaction: &SafeTx,
    digest: &[u8; 32],
    wallet: &WalletDesc,
    signatures: &[(KeyRole, Signatures)],
) -> Result<Call, ChainError> {
    let [hot, cool, cold] = address::owners(&wallet.owners)?;
    let mut sorted: Vec<(Address, &[u8])> = Vec::new();
    for (role, signatures) in signatures {
        let [signature] = signatures.as_slice() else {
            return Err(ChainError::Assemble(format!("{role} has not signed exactly once")));
        };
        let owner = match role {
            KeyRole::Hot => hot,
            KeyRole::Cool => cool,
            KeyRole::Cold => cold,
        };
        if !verify(wallet.owners.key(*role), digest, signature) {
            return Err(ChainError::Assemble(format!("the {role} signature does not fit this transaction and wallet")));
        }
        sorted.push((owner, signature));
    }
    sorted.sort();
    sorted.dedup_by_key(|(owner, _)| *owner);
    if sorted.len() as u64 != THRESHOLD || signatures.len() != sorted.len() {
        return Err(ChainError::Assemble(format!(
            "a wallet takes the signatures of exactly {THRESHOLD} different owners"
        )));
    }
    let signatures: Vec<&[u8]> = sorted.into_iter().map(|(_, signature)| signature).collect();
    let SafeTx { to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, nonce: _ } =
        transaction.clone();
    let call = execTransactionCall {
        to,
        value,
        data,
        operation,
        safeTxGas,
        baseGas,
        gasPrice,
        gasToken,
        refundReceiver,
        signatures: Bytes::from(signatures.concat()),
    };
    Ok(Call { to: wallet.address.clone(), data: call.abi_encode() })
}

pub(crate) fn recover(digest: &[u8; 32], signature: &[u8]) -> Option<PublicKey> {
    let (rs, v) = signature.split_at_checked(64)?;
    let recovery = match v {
        [27] => RecoveryId::Zero,
        [28] => RecoveryId::One,
        _ => return None,
    };
    let given = Signature::from_compact(rs).ok()?;
    let mut low = given;
    low.normalize_s();
    let signature = RecoverableSignature::from_compact(rs, recovery).ok().filter(|_| low == given)?;
    SECP256K1.recover_ecdsa(Message::from_digest(*digest), &signature).ok()
}
