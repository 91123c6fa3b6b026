//! ECDSA over secp256k1 in Ethereum's form: 65 bytes r, s, v; s in the lower half (EIP-2), v 27 or 28.

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolCall;
use chain::{ChainError, WalletDesc};
use custody::KeyRole;
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};

use crate::{
    Call,
    abi::{SafeTx, execTransactionCall},
    address,
    constants::THRESHOLD,
};

const V_OFFSET: u8 = 27;

/// Deterministic (RFC 6979).
pub(crate) fn sign(secret: &[u8; 32], digest: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
    let key = SigningKey::from_bytes(secret.into()).map_err(|_| ChainError::SecretKey)?;
    let (signature, recovery) = key.sign_prehash_recoverable(digest).map_err(|_| ChainError::SecretKey)?;
    let mut bytes = signature.to_vec();
    bytes.push(V_OFFSET + recovery.to_byte());
    Ok(bytes)
}

/// Whether the contract's `ecrecover` would find this key; refuses the malleable twin with high s.
pub(crate) fn verify(public_key: &[u8], digest: &[u8; 32], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_sec1_bytes(public_key) else { return false };
    recover(digest, signature).is_some_and(|recovered| recovered == key)
}

pub(crate) fn public_key(secret: &[u8; 32]) -> Result<Vec<u8>, ChainError> {
    let key = SigningKey::from_bytes(secret.into()).map_err(|_| ChainError::SecretKey)?;
    Ok(key.verifying_key().to_encoded_point(true).as_bytes().to_vec())
}

/// `execTransaction` with the signatures in the order that the contract demands: ascending owner addresses.
pub(crate) fn assemble(
    transaction: &SafeTx,
    digest: &[u8; 32],
    wallet: &WalletDesc,
    signatures: &[(KeyRole, Vec<u8>)],
) -> Result<Call, ChainError> {
    let [hot, cool, cold] = address::owners(&wallet.owners)?;
    let mut sorted: Vec<(Address, &[u8])> = Vec::new();
    for (role, signature) in signatures {
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
    Ok(Call { to: address::parse(&wallet.address)?, data: call.abi_encode() })
}

pub(crate) fn recover(digest: &[u8; 32], signature: &[u8]) -> Option<VerifyingKey> {
    let (rs, v) = signature.split_at_checked(64)?;
    let recovery = match v {
        [27] => RecoveryId::new(false, false),
        [28] => RecoveryId::new(true, false),
        _ => return None,
    };
    let signature = Signature::from_slice(rs).ok().filter(|signature| signature.normalize_s().is_none())?;
    VerifyingKey::recover_from_prehash(digest, &signature, recovery).ok()
}
