//! The token: base64url header, claims and ed25519 signature (RFC 7519 in NATS' own profile).

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ed25519_dalek::{Signature, VerifyingKey};
use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha512_256};

use crate::claims::{Claims, Kind};

const ALGORITHM: &str = "ed25519-nkey";

/// Why a token could not be made or is not believed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum JwtError {
    /// The key has no private half.
    #[error("the key {0} has no seed and can't sign; give the seed (S...), not the public key")]
    NoSeed(String),
    /// For example a user signed by an operator.
    #[error("claims of type {claims} need a {role} key of kind {expected:?}, got {got}")]
    WrongKey {
        /// Type of the claims.
        claims: &'static str,
        /// `subject` or `issuer`.
        role: &'static str,
        /// Kind of key needed.
        expected: KeyPairType,
        /// The key given.
        got: String,
    },
    /// Not a NATS JWT of the expected type.
    #[error("not a NATS JWT of type {0}: {1}; take the token again from where it was issued")]
    Malformed(&'static str, &'static str),
    /// The signature is not the issuer's.
    #[error("the signature of this NATS JWT is not its issuer's; do not use it")]
    BadSignature,
}

#[derive(Serialize, Deserialize)]
struct Header {
    typ: String,
    alg: String,
}

/// Signs claims: fills `iss` and `jti` and returns the token.
///
/// `jti` hashes all claims (base32 of SHA-512/256), since servers that compare stores by it would never converge on
/// two different tokens with the same one.
pub fn encode<T: Kind + Serialize>(mut claims: Claims<T>, key: &KeyPair) -> Result<String, JwtError> {
    claims.iss = key.public_key();
    is_kind::<T>("subject", &claims.sub, T::SUBJECT)?;
    is_kind::<T>("issuer", &claims.iss, T::ISSUER)?;
    claims.jti = String::new();
    claims.jti = BASE32_NOPAD.encode(&Sha512_256::digest(json(&claims)));
    let header = Header { typ: "JWT".to_owned(), alg: ALGORITHM.to_owned() };
    let signed = format!("{}.{}", BASE64URL_NOPAD.encode(&json(&header)), BASE64URL_NOPAD.encode(&json(&claims)));
    let signature = key.sign(signed.as_bytes()).map_err(|_| JwtError::NoSeed(claims.iss))?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// Reads claims without looking at the signature. To learn whether a broker holds what was pushed compare the tokens
/// byte for byte: claims that this crate doesn't model are skipped here.
pub fn decode_unverified<T: Kind + DeserializeOwned>(token: &str) -> Result<Claims<T>, JwtError> {
    Ok(parse::<T>(token)?.0)
}

/// Reads claims and checks that `iss` signed them, strictly (RFC 8032), and that the keys are of the right kinds.
/// Whether `iss` is anybody to be believed, and whether `exp` has passed, is the caller's to decide.
pub fn verify<T: Kind + DeserializeOwned>(token: &str) -> Result<Claims<T>, JwtError> {
    let (claims, signed, signature) = parse::<T>(token)?;
    is_kind::<T>("subject", &claims.sub, T::SUBJECT)?;
    is_kind::<T>("issuer", &claims.iss, T::ISSUER)?;
    let (_, key) = nkeys::from_public_key(&claims.iss).map_err(|_| JwtError::BadSignature)?;
    let key = VerifyingKey::from_bytes(&key).map_err(|_| JwtError::BadSignature)?;
    key.verify_strict(signed.as_bytes(), &signature).map_err(|_| JwtError::BadSignature)?;
    Ok(claims)
}

fn parse<T: Kind + DeserializeOwned>(token: &str) -> Result<(Claims<T>, &str, Signature), JwtError> {
    let malformed = |what| JwtError::Malformed(T::TYPE, what);
    let (signed, signature) = token.rsplit_once('.').ok_or(malformed("it has no three parts"))?;
    let (header, body) = signed.split_once('.').ok_or(malformed("it has no three parts"))?;
    let header: Header = from_part(header).ok_or(malformed("its header can't be read"))?;
    if header.typ != "JWT" || header.alg != ALGORITHM {
        return Err(malformed("its header names another algorithm"));
    }
    let claims: Claims<T> = from_part(body).ok_or(malformed("its claims can't be read"))?;
    if claims.nats.claim_type() != T::TYPE {
        return Err(malformed("its claims are of another type"));
    }
    let signature = BASE64URL_NOPAD
        .decode(signature.as_bytes())
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .ok_or(malformed("its signature can't be read"))?;
    Ok((claims, signed, signature))
}

fn from_part<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).ok()?).ok()
}

fn is_kind<T: Kind>(role: &'static str, key: &str, expected: KeyPairType) -> Result<(), JwtError> {
    match KeyPair::from_public_key(key) {
        Ok(pair) if pair.key_pair_type() == expected => Ok(()),
        _ => Err(JwtError::WrongKey { claims: T::TYPE, role, expected, got: key.to_owned() }),
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("claims are strings, numbers and string-keyed maps, which always serialize")
}
