//! Statements that outlive their envelope: exact bytes and a party's signature over a domain and those bytes. Who may
//! sign is the member trust's to say; the public key in the statement only says which of them did.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;

use crate::{
    exact,
    ops::{Attestation, AuditHead, HotKeys, PaymentIntent, WalletRecord},
    pae::pae,
};

/// Domain of an attested [`HotKeys`].
pub const HOT_KEYS: &str = "multisig.attest.hot.v1";
/// Domain of an attested [`WalletRecord`].
pub const WALLET_RECORD: &str = "multisig.attest.wallet.v1";

/// Domain of an attested [`AuditHead`].
pub const AUDIT_HEAD: &str = "multisig.attest.head.v1";
/// Domain of an [`AuditHead`] that the data centre's admin accepted although others know a newer one.
pub const OVERRIDE: &str = "multisig.attest.override.v1";
/// Domain of an attested [`PaymentIntent`].
pub const PAYMENT_INTENT: &str = "multisig.attest.intent.v1";

/// Why a statement is not believed.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum AttestationError {
    /// By a key that nobody approved for this.
    #[error("the attestation is signed by a key that is not approved here; approve the signer, or ask it again")]
    UnknownSigner,
    /// Not the key's signature over these bytes in this domain.
    #[error("the attestation's signature does not fit its content; do not use it, ask the signer again")]
    BadSignature,
    /// Genuine, but not what was asked for.
    #[error("the attestation's content can't be read completely by this version; both sides must run the same")]
    Malformed,
}

/// Signs `body` in `domain`.
pub fn attest(domain: &str, body: Vec<u8>, key: &SigningKey) -> Attestation {
    let signature = key.sign(&pae(domain, &body)).to_bytes().to_vec();
    Attestation { signer: key.verifying_key().as_bytes().to_vec(), signature, body }
}

/// The statement's bytes, if one of `accepted` signed them in `domain` (strict verification, RFC 8032).
pub fn verify<'a>(
    domain: &str,
    attestation: &'a Attestation,
    accepted: &[VerifyingKey],
) -> Result<&'a [u8], AttestationError> {
    let Attestation { body, signer, signature } = attestation;
    let key = accepted.iter().find(|key| key.as_bytes() == &signer[..]).ok_or(AttestationError::UnknownSigner)?;
    let signature = Signature::from_slice(signature).map_err(|_| AttestationError::BadSignature)?;
    key.verify_strict(&pae(domain, body), &signature).map_err(|_| AttestationError::BadSignature)?;
    Ok(body)
}

/// Keeper's statement of a user's hot public keys.
pub fn attest_hot_keys(keys: &HotKeys, key: &SigningKey) -> Attestation {
    attest(HOT_KEYS, keys.encode_to_vec(), key)
}

/// The hot public keys, if one of Keeper's approved keys attested them.
pub fn hot_keys(attestation: &Attestation, keeper: &[VerifyingKey]) -> Result<HotKeys, AttestationError> {
    exact::decode(verify(HOT_KEYS, attestation, keeper)?).map_err(|_| AttestationError::Malformed)
}

/// A signer's statement of a wallet as it recorded it.
pub fn attest_wallet_record(record: &WalletRecord, key: &SigningKey) -> Attestation {
    attest(WALLET_RECORD, record.encode_to_vec(), key)
}

/// The wallet's record, if one of that signer's approved keys attested it.
pub fn wallet_record(attestation: &Attestation, signer: &[VerifyingKey]) -> Result<WalletRecord, AttestationError> {
    exact::decode(verify(WALLET_RECORD, attestation, signer)?).map_err(|_| AttestationError::Malformed)
}

/// A signer's statement of its audit chain's head.
pub fn attest_audit_head(head: &AuditHead, key: &SigningKey) -> Attestation {
    attest(AUDIT_HEAD, head.encode_to_vec(), key)
}

/// The head, if one of that signer's approved keys attested it.
pub fn audit_head(attestation: &Attestation, signer: &[VerifyingKey]) -> Result<AuditHead, AttestationError> {
    exact::decode(verify(AUDIT_HEAD, attestation, signer)?).map_err(|_| AttestationError::Malformed)
}

/// A signer's note to itself that its admin accepts its chain up to `head`; `head.overrides` is this one's number.
pub fn attest_override(head: &AuditHead, key: &SigningKey) -> Attestation {
    attest(OVERRIDE, head.encode_to_vec(), key)
}

/// The accepted head, if this signer's own key attested it.
pub fn accepted_head(attestation: &Attestation, own: &VerifyingKey) -> Result<AuditHead, AttestationError> {
    exact::decode(verify(OVERRIDE, attestation, &[*own])?).map_err(|_| AttestationError::Malformed)
}

/// Somebody's wish that this be paid.
pub fn attest_payment_intent(intent: &PaymentIntent, key: &SigningKey) -> Attestation {
    attest(PAYMENT_INTENT, intent.encode_to_vec(), key)
}

/// The intent, if one of the local policy's intent signers attested it.
pub fn payment_intent(attestation: &Attestation, signers: &[VerifyingKey]) -> Result<PaymentIntent, AttestationError> {
    exact::decode(verify(PAYMENT_INTENT, attestation, signers)?).map_err(|_| AttestationError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ops::NamespaceKey;

    fn key(fill: u8) -> SigningKey {
        SigningKey::from_bytes(&[fill; 32])
    }

    fn alice() -> HotKeys {
        let keys = vec![NamespaceKey { namespace: "eip155".to_owned(), public_key: vec![2; 33] }];
        HotKeys { custody_id: vec![7; 16], wallet: "alice".to_owned(), keys }
    }

    fn record() -> WalletRecord {
        let HotKeys { custody_id, wallet, keys } = alice();
        let (salt, manifest_digest) = (vec![0; 32], vec![9; 32]);
        WalletRecord { custody_id, wallet, keys, salt, addresses: Vec::new(), manifest_digest }
    }

    #[test]
    fn what_an_approved_key_attested_is_read() {
        let accepted = [key(1).verifying_key(), key(2).verifying_key()];
        assert_eq!(hot_keys(&attest_hot_keys(&alice(), &key(2)), &accepted), Ok(alice()));
        assert_eq!(wallet_record(&attest_wallet_record(&record(), &key(1)), &accepted), Ok(record()));
    }

    #[test]
    fn a_key_that_is_not_approved_is_refused_although_its_signature_fits() {
        let attested = attest_hot_keys(&alice(), &key(1));
        assert_eq!(hot_keys(&attested, &[key(2).verifying_key()]), Err(AttestationError::UnknownSigner));
        assert_eq!(hot_keys(&attested, &[]), Err(AttestationError::UnknownSigner));
    }

    #[test]
    fn naming_an_approved_signer_does_not_make_it_his() {
        let attested =
            Attestation { signer: key(2).verifying_key().as_bytes().to_vec(), ..attest_hot_keys(&alice(), &key(1)) };
        assert_eq!(hot_keys(&attested, &[key(2).verifying_key()]), Err(AttestationError::BadSignature));
    }

    #[test]
    fn a_statement_of_one_kind_is_none_of_another() {
        let attested = attest_hot_keys(&alice(), &key(1));
        assert_eq!(wallet_record(&attested, &[key(1).verifying_key()]), Err(AttestationError::BadSignature));
    }

    #[test]
    fn a_genuine_statement_with_an_unknown_field_is_refused() {
        let mut body = alice().encode_to_vec();
        body.extend_from_slice(&[0x78, 1]);
        let attested = attest(HOT_KEYS, body, &key(1));
        assert_eq!(hot_keys(&attested, &[key(1).verifying_key()]), Err(AttestationError::Malformed));
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_believed(at in any::<prop::sample::Index>(), xor in 1u8..) {
            let good = attest_hot_keys(&alice(), &key(1));
            let (body, signer) = (good.body.len(), good.signer.len());
            let at = at.index(body + signer + good.signature.len());
            let mut bad = good;
            if at < body {
                bad.body[at] ^= xor;
            } else if at < body + signer {
                bad.signer[at - body] ^= xor;
            } else {
                bad.signature[at - body - signer] ^= xor;
            }
            prop_assert!(hot_keys(&bad, &[key(1).verifying_key()]).is_err());
        }
    }
}
