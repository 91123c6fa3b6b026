//! A cluster's service-account keys, from the JWKS (RFC 7517) that its API server publishes to the PEM (RFC 5280
//! SubjectPublicKeyInfo) that a Vault wants in `jwt_validation_pubkeys`.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use spki::{
    AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfo,
    der::{
        Any, Encode,
        asn1::{BitString, UintRef},
        pem::LineEnding,
    },
};

use crate::Error;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// The document at `/openid/v1/jwks`. Members that this build does not know are allowed, as RFC 7517 demands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
}

/// A verification key as a Vault takes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    /// SubjectPublicKeyInfo, PEM.
    pub pem: String,
    /// JOSE algorithm, `RS256` or `ES256` and so on.
    pub algorithm: String,
}

impl Jwks {
    /// Reads the document.
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|e| Error::Jwks(format!("not a JWKS document: {e}")))
    }

    /// All keys, sorted, so that the order of the document makes no change. One key that can't be used refuses all:
    /// the tokens that it signs would be refused later, for no visible reason.
    pub fn public_keys(&self) -> Result<Vec<PublicKey>, Error> {
        let mut keys = self.keys.iter().map(Jwk::public_key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(Error::Jwks("it holds no key".to_owned()));
        }
        keys.sort();
        keys.dedup();
        Ok(keys)
    }
}

impl Jwk {
    fn public_key(&self) -> Result<PublicKey, Error> {
        let (pem, default) = match self.kty.as_str() {
            "RSA" => (self.rsa()?, "RS256"),
            "EC" => self.ec()?,
            other => return Err(Error::Jwks(format!("key type '{other}' is not supported: expected RSA or EC"))),
        };
        Ok(PublicKey { pem, algorithm: self.alg.clone().unwrap_or_else(|| default.to_owned()) })
    }

    /// RFC 3279 2.3.1: `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }`.
    fn rsa(&self) -> Result<String, Error> {
        let (n, e) = (decode("n", &self.n)?, decode("e", &self.e)?);
        let body = UintRef::new(&n)
            .and_then(|n| Ok(vec![n, UintRef::new(&e)?]))
            .and_then(|numbers| numbers.to_der())
            .map_err(malformed)?;
        pem(RSA_ENCRYPTION, Any::null(), &body)
    }

    /// RFC 5480: the curve as parameter, the uncompressed point as key.
    fn ec(&self) -> Result<(String, &'static str), Error> {
        let (oid, bytes, algorithm) = match self.crv.as_str() {
            "P-256" => ("1.2.840.10045.3.1.7", 32, "ES256"),
            "P-384" => ("1.3.132.0.34", 48, "ES384"),
            "P-521" => ("1.3.132.0.35", 66, "ES512"),
            other => return Err(Error::Jwks(format!("curve '{other}' is not supported"))),
        };
        let (x, y) = (decode("x", &self.x)?, decode("y", &self.y)?);
        if x.len() != bytes || y.len() != bytes {
            return Err(Error::Jwks(format!("a point on {} needs two times {bytes} bytes", self.crv)));
        }
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let curve = Any::encode_from(&ObjectIdentifier::new_unwrap(oid)).map_err(malformed)?;
        Ok((pem(EC_PUBLIC_KEY, curve, &point)?, algorithm))
    }
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>, Error> {
    match BASE64URL_NOPAD.decode(text.as_bytes()) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(Error::Jwks(format!("member '{name}' is missing or no base64url"))),
    }
}

fn pem(oid: ObjectIdentifier, parameters: Any, key: &[u8]) -> Result<String, Error> {
    let subject_public_key = BitString::from_bytes(key).map_err(malformed)?;
    let algorithm = AlgorithmIdentifier { oid, parameters: Some(parameters) };
    let der = SubjectPublicKeyInfo { algorithm, subject_public_key }.to_der().map_err(malformed)?;
    let document = spki::Document::try_from(der).map_err(malformed)?;
    document.to_pem("PUBLIC KEY", LineEnding::LF).map_err(malformed)
}

fn malformed(error: spki::der::Error) -> Error {
    Error::Jwks(format!("a key can't be encoded: {error}"))
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAybp/7fAoqRt/U+OTF+yW
crZq6NvkOT65kx0ztZ+qZzt+t0idhWIDiTgFed28zdcq9sz4zmHx7rSOgWwNozWN
s1hVHnx5HUS37zayM79QYDr4OYjeMNH3poT6pfizNVjOuCxS+yMab9O8B3H9+Zvz
dNKQAjnmaYBbz+zrmYESedJ2N3IRmhdKL128cG5T2dw5uQub4lOno0oDHK0xP3zB
M+7+5u6v8nw6Pi/wL+BDloqMa/ZrZh+ewobw7Fb8EU7+wGReOZHiHroYrKo8q+EG
O2cSX4cP2RZpef6RUJ1xlQDnZpopTFU1tedXteJKIvG3Xe2XUhaaNc5QGoJLkQzn
9wIDAQAB
-----END PUBLIC KEY-----
";
    const RSA_N: &str = "ybp_7fAoqRt_U-OTF-yWcrZq6NvkOT65kx0ztZ-qZzt-t0idhWIDiTgFed28zdcq9sz4zmHx7rSOgWwNozWNs1hVHnx5HUS37zay\
        M79QYDr4OYjeMNH3poT6pfizNVjOuCxS-yMab9O8B3H9-ZvzdNKQAjnmaYBbz-zrmYESedJ2N3IRmhdKL128cG5T2dw5uQub4lOno0oDHK0xP3zB\
        M-7-5u6v8nw6Pi_wL-BDloqMa_ZrZh-ewobw7Fb8EU7-wGReOZHiHroYrKo8q-EGO2cSX4cP2RZpef6RUJ1xlQDnZpopTFU1tedXteJKIvG3Xe2X\
        UhaaNc5QGoJLkQzn9w";
    /// SubjectPublicKeyInfo as OpenSSL writes it; the point is its tail.
    const EC_DER: [(&str, usize, &str); 3] = [
        (
            "P-256",
            32,
            "3059301306072a8648ce3d020106082a8648ce3d0301070342000475796d10c7d5bc14a2c86988bfbf292f0715d62e85eac9d0\
             92964928a1a4594544aa56256c0ceae67ad67835284f91ac20b2e9a107d9dabdfc990f779163647f",
        ),
        (
            "P-384",
            48,
            "3076301006072a8648ce3d020106052b810400220362000422b05c9025c409de9c5bf28d7e4ce23ef5af531296ba09c5502ed9\
             14b454a571c21728561f176b1f5d5a12586b981be297284307d21ce8ed1b0d430c4277c97f5e68fd71892b9adcd1f53e862bb3\
             ca89d82753adbe6127cd216404c2aa71b237",
        ),
        (
            "P-521",
            66,
            "30819b301006072a8648ce3d020106052b810400230381860004010f4882359a706836486169fde39a720f6b6523d2b1c0a216\
             e5eb0770db83fe82a996d5c7a26436756817f28634ff133748da1ee6780e8adf90ce340b4329435d0300931db1dc5a68411d94\
             0e83e3502456517f2c228cebe492ff7ecef1e807f270fa788c17e8936fa162a6c9f0e51253c181b2d4ff06cea12155eeefe441\
             5fa8bbdc4d",
        ),
    ];

    #[test]
    fn an_rsa_key_becomes_what_openssl_writes() {
        let jwks =
            format!(r#"{{"keys":[{{"use":"sig","kty":"RSA","kid":"1","alg":"RS256","n":"{RSA_N}","e":"AQAB"}}]}}"#);
        let keys = Jwks::parse(&jwks).unwrap().public_keys().unwrap();
        assert_eq!(keys, [PublicKey { pem: RSA_PEM.to_owned(), algorithm: "RS256".to_owned() }]);
    }

    #[test]
    fn an_elliptic_key_becomes_what_openssl_writes() {
        for (crv, bytes, der) in EC_DER {
            let der = HEXLOWER.decode(der.as_bytes()).unwrap();
            let (x, y) = der[der.len() - 2 * bytes..].split_at(bytes);
            let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
            let jwks = format!(r#"{{"keys":[{{"kty":"EC","crv":"{crv}","x":"{x}","y":"{y}"}}]}}"#);
            let keys = Jwks::parse(&jwks).unwrap().public_keys().unwrap();
            let (label, document) = spki::Document::from_pem(&keys[0].pem).unwrap();
            assert_eq!((label, document.as_bytes()), ("PUBLIC KEY", der.as_slice()), "{crv}");
        }
    }

    #[test]
    fn a_set_that_is_not_wholly_usable_is_refused() {
        let bad = [
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}"#,
            r#"{"keys":[{"kty":"RSA","e":"AQAB"}]}"#,
            r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#,
        ];
        for jwks in bad {
            assert!(Jwks::parse(jwks).unwrap().public_keys().is_err(), "{jwks}");
        }
        assert!(Jwks::parse("{}").is_err());
    }
}
