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
    #[error("not a NATS JWT of type {0}: {1}; get the token again from its issuer")]
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
    let (signed, signature) = token.rsplit_once('.').ok_or(malformed("it does not have three parts"))?;
    let (header, body) = signed.split_once('.').ok_or(malformed("it does not have three parts"))?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use custody::{CustodyId, Role};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        Account, AccountLimits, Operator, Scope, User, account_claims, operator_claims, role_permissions,
        tombstone_claims, user_claims,
    };

    fn key(kind: KeyPairType, fill: u8) -> KeyPair {
        KeyPair::new_from_raw(kind, [fill; 32]).unwrap()
    }

    fn operator() -> KeyPair {
        key(KeyPairType::Operator, 1)
    }

    fn account() -> KeyPair {
        key(KeyPairType::Account, 2)
    }

    fn keeper_scope() -> Scope {
        let custody = CustodyId::from_slice(&[7; 16]).unwrap();
        let signer = key(KeyPairType::Account, 3).public_key();
        Scope::new(&signer, Role::Keeper.as_str(), role_permissions(custody, Role::Keeper))
    }

    fn an_account(iat: i64) -> Claims<Account> {
        let revoked = BTreeMap::from([(key(KeyPairType::User, 9).public_key(), 1_700_000_000)]);
        let scopes = vec![keeper_scope()];
        account_claims("custody", &account().public_key(), scopes, AccountLimits::default(), revoked, iat)
    }

    fn a_user(iat: i64) -> Claims<User> {
        let user = key(KeyPairType::User, 4).public_key();
        user_claims(&Role::Keeper.into(), &user, &account().public_key(), iat, Some(iat + 3600))
    }

    #[test]
    fn claims_look_like_this() {
        let system = key(KeyPairType::Account, 5).public_key();
        let signing = [key(KeyPairType::Operator, 6).public_key()];
        insta::assert_json_snapshot!("operator", operator_claims("op", &operator().public_key(), &signing, &system, 1));
        insta::assert_json_snapshot!("account", an_account(1));
        insta::assert_json_snapshot!("user", a_user(1));
        insta::assert_json_snapshot!("tombstone", tombstone_claims("custody", &account().public_key(), 1));
    }

    #[test]
    fn a_token_reads_back_with_issuer_and_id() {
        let token = encode(an_account(1_700_000_000), &operator()).unwrap();
        let claims = verify::<Account>(&token).unwrap();
        assert_eq!(claims.iss, operator().public_key());
        assert_eq!(claims.jti.len(), 52);
        assert_eq!(Claims { iss: String::new(), jti: String::new(), ..claims.clone() }, an_account(1_700_000_000));
        assert_eq!(decode_unverified::<Account>(&token).unwrap(), claims);
    }

    #[test]
    fn the_same_claims_make_the_same_token() {
        assert_eq!(encode(a_user(5), &account()).unwrap(), encode(a_user(5), &account()).unwrap());
    }

    #[test]
    fn the_id_hashes_what_the_role_may_do_too() {
        let mut wider = an_account(1);
        wider.nats.signing_keys[0].template.permissions.publish.allow.push("x".to_owned());
        let id = |claims| verify::<Account>(&encode(claims, &operator()).unwrap()).unwrap().jti;
        assert_ne!(id(an_account(1)), id(wider));
        assert_ne!(id(an_account(1)), id(an_account(2)));
    }

    #[test]
    fn a_signer_of_the_wrong_kind_is_refused() {
        let wrong = |error| matches!(error, Err(JwtError::WrongKey { role: "issuer", .. }));
        assert!(wrong(encode(an_account(1), &account())));
        assert!(wrong(encode(a_user(1), &operator())));
    }

    #[test]
    fn a_subject_of_the_wrong_kind_is_refused() {
        let claims = user_claims(&Role::App.into(), &account().public_key(), &account().public_key(), 1, None);
        assert!(matches!(encode(claims, &account()), Err(JwtError::WrongKey { role: "subject", .. })));
    }

    #[test]
    fn a_public_key_signs_nothing() {
        let public = KeyPair::from_public_key(&operator().public_key()).unwrap();
        assert_eq!(encode(an_account(1), &public), Err(JwtError::NoSeed(operator().public_key())));
    }

    #[test]
    fn a_token_of_another_type_is_refused() {
        let token = encode(an_account(1), &operator()).unwrap();
        assert!(matches!(verify::<Operator>(&token), Err(JwtError::Malformed("operator", _))));
    }

    #[test]
    fn a_token_signed_by_another_than_its_issuer_is_refused() {
        let (ours, theirs) = (an_account(1), key(KeyPairType::Operator, 99));
        let token = encode(ours.clone(), &operator()).unwrap();
        let foreign = encode(ours, &theirs).unwrap();
        let body = token.rsplit_once('.').unwrap().0;
        let signature = foreign.rsplit_once('.').unwrap().1;
        assert_eq!(verify::<Account>(&format!("{body}.{signature}")), Err(JwtError::BadSignature));
    }

    #[test]
    fn a_token_with_another_algorithm_is_refused() {
        let token = encode(a_user(1), &account()).unwrap();
        let none = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"none"}"#);
        let rest = token.split_once('.').unwrap().1;
        assert!(matches!(verify::<User>(&format!("{none}.{rest}")), Err(JwtError::Malformed("user", _))));
    }

    proptest! {
        #[test]
        fn no_changed_byte_is_believed(position in any::<prop::sample::Index>(), xor in 1u8..128) {
            let token = encode(a_user(1), &account()).unwrap();
            let mut bytes = token.into_bytes();
            let at = position.index(bytes.len());
            bytes[at] ^= xor;
            if let Ok(changed) = String::from_utf8(bytes) {
                prop_assert!(verify::<User>(&changed).is_err());
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") {
            prop_assert!(verify::<User>(&text).is_err());
        }
    }
}
