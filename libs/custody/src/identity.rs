//! A party's public keys, the statement that it signs with each of them, and the short digest of them that two admins
//! compare out of band.

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use nkeys::XKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{CustodyId, Role};

/// A peer's approved public keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PeerKeys {
    /// ed25519 key that signs its messages (RFC 8032), 64 hex digits.
    pub message_key: String,
    /// X25519 key that its messages are sealed to: a NATS XKey, `X...`.
    pub xkey: String,
}

/// A party's public keys, with proof that it holds the private ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Whose keys.
    pub role: Role,
    /// The custody they were made for, as soon as it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custody_id: Option<CustodyId>,
    /// NATS user public NKey, `U...`: the connection only.
    pub nats_user: String,
    /// Message and sealing keys.
    pub keys: PeerKeys,
    /// Signature of [`statement`] by the message key, 128 hex digits.
    pub message_proof: String,
    /// Signature of the same statement by the NATS user key, 128 hex digits.
    pub nats_proof: String,
}

const DOMAIN: &[u8] = b"multisig.identity.v1";

/// The exact bytes that prove possession: domain, role, custody, NATS user, message key and XKey, each with its
/// length before it, so that no field can run into the next.
pub fn statement(role: Role, custody: Option<CustodyId>, nats_user: &str, keys: &PeerKeys) -> Vec<u8> {
    let custody = custody.map(|id| id.to_string()).unwrap_or_default();
    let fields: [&[u8]; 6] = [
        DOMAIN,
        role.as_str().as_bytes(),
        custody.as_bytes(),
        nats_user.as_bytes(),
        keys.message_key.as_bytes(),
        keys.xkey.as_bytes(),
    ];
    let mut out = Vec::new();
    for field in fields {
        out.extend_from_slice(&(field.len() as u64).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

/// The proof by the message key, 128 hex digits.
pub fn prove(key: &SigningKey, statement: &[u8]) -> String {
    HEXLOWER.encode(&key.sign(statement).to_bytes())
}

/// Why an identity is not believed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// Not hex, not a point, or not a key of the kind.
    #[error("the {0} of this identity is malformed; get it again from the workload's report")]
    Malformed(&'static str),
    /// The proof does not fit.
    #[error("the {0} of this identity does not prove possession of its key; do not approve it")]
    NotProven(&'static str),
}

/// Checks the message key's proof (strict verification, RFC 8032). The NATS key's proof is for whoever mints its JWT.
pub fn verify(identity: &Identity) -> Result<(), IdentityError> {
    let key = message_key(&identity.keys)?;
    let proof = HEXLOWER
        .decode(identity.message_proof.as_bytes())
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .ok_or(IdentityError::Malformed("message proof"))?;
    let statement = statement(identity.role, identity.custody_id, &identity.nats_user, &identity.keys);
    key.verify_strict(&statement, &proof).map_err(|_| IdentityError::NotProven("message proof"))
}

/// The peer's ed25519 key, decoded.
pub fn message_key(keys: &PeerKeys) -> Result<VerifyingKey, IdentityError> {
    ed25519_key(&keys.message_key).ok_or(IdentityError::Malformed("message key"))
}

/// An ed25519 public key from 64 lower-case hex digits.
pub fn ed25519_key(hex: &str) -> Option<VerifyingKey> {
    let bytes = <[u8; 32]>::try_from(HEXLOWER.decode(hex.as_bytes()).ok()?).ok()?;
    VerifyingKey::from_bytes(&bytes).ok()
}

/// 160 bits of SHA-256 over role, message key and XKey, in ten groups of four hex digits. Not over the NATS user:
/// the broker's admin may rotate that one alone.
pub fn fingerprint(role: Role, keys: &PeerKeys) -> String {
    let digest = Sha256::digest(statement(role, None, "", keys));
    let hex = HEXLOWER.encode(&digest[..20]);
    let groups: Vec<&str> = (0..10).map(|group| &hex[group * 4..group * 4 + 4]).collect();
    groups.join("-")
}

impl PeerKeys {
    /// Whether both keys are keys of their kind.
    pub fn validate(&self) -> Result<(), String> {
        let message = message_key(self).map_err(|_| "messageKey is not an ed25519 key of 64 hex digits".to_owned())?;
        if message.is_weak() {
            return Err("messageKey is a weak key".to_owned());
        }
        XKey::from_public_key(&self.xkey).map(drop).map_err(|_| "xkey is not an X... key".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn identity(byte: u8) -> Identity {
        let keys = PeerKeys {
            message_key: HEXLOWER.encode(key(byte).verifying_key().as_bytes()),
            xkey: "XBUJMZHVOPQ2SK5VD3TY4VNBPVU2YFGRLK6EFPEPSMVDUYEBSROWZCEA".to_owned(),
        };
        let message_proof = prove(&key(byte), &statement(Role::Keeper, None, "UUSER", &keys));
        Identity {
            role: Role::Keeper,
            custody_id: None,
            nats_user: "UUSER".to_owned(),
            keys,
            message_proof,
            nats_proof: String::new(),
        }
    }

    #[test]
    fn a_proven_identity_is_believed() {
        assert_eq!(verify(&identity(1)), Ok(()));
    }

    #[test]
    fn a_proof_is_for_one_role_custody_user_and_pair_of_keys() {
        let not_proven = Err(IdentityError::NotProven("message proof"));
        assert_eq!(verify(&Identity { role: Role::Cooler, ..identity(1) }), not_proven);
        let custody = CustodyId::from_slice(&[1; 16]).ok();
        assert_eq!(verify(&Identity { custody_id: custody, ..identity(1) }), not_proven);
        assert_eq!(verify(&Identity { nats_user: "UOTHER".to_owned(), ..identity(1) }), not_proven);
        assert_eq!(verify(&Identity { keys: identity(2).keys, ..identity(1) }), not_proven);
        let mut sealed_elsewhere = identity(1);
        sealed_elsewhere.keys.xkey = "XOTHER".to_owned();
        assert_eq!(verify(&sealed_elsewhere), not_proven);
    }

    #[test]
    fn malformed_keys_and_proofs_are_named() {
        let mut malformed = identity(1);
        malformed.keys.message_key = "zz".to_owned();
        assert_eq!(verify(&malformed), Err(IdentityError::Malformed("message key")));
        let malformed = Identity { message_proof: "00".to_owned(), ..identity(1) };
        assert_eq!(verify(&malformed), Err(IdentityError::Malformed("message proof")));
    }

    #[test]
    fn a_fingerprint_is_ten_groups_and_differs_by_role_and_key() {
        let print = fingerprint(Role::Keeper, &identity(1).keys);
        assert_eq!(print.split('-').map(str::len).collect::<Vec<_>>(), [4; 10]);
        assert_ne!(print, fingerprint(Role::Cooler, &identity(1).keys));
        assert_ne!(print, fingerprint(Role::Keeper, &identity(2).keys));
    }

    #[test]
    fn no_field_of_a_statement_runs_into_the_next() {
        let keys = |message: &str, xkey: &str| PeerKeys { message_key: message.to_owned(), xkey: xkey.to_owned() };
        assert_ne!(statement(Role::App, None, "a", &keys("b", "c")), statement(Role::App, None, "ab", &keys("", "c")));
        assert_ne!(statement(Role::App, None, "", &keys("bc", "")), statement(Role::App, None, "", &keys("b", "c")));
    }
}
