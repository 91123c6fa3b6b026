//! Bearer tokens: 32 random bytes, of which App keeps the SHA-256 alone. That is enough where what is hashed can't be
//! guessed.

use custody::Role;
use data_encoding::BASE64URL_NOPAD;
use rand_core::CryptoRngCore;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What a token begins with, so that it is found where it does not belong.
const PREFIX: &str = "multisig_";

/// A token that nobody has seen yet.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// A new one.
    pub(crate) fn random(rng: &mut impl CryptoRngCore) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *secret);
        let text = Zeroizing::new(BASE64URL_NOPAD.encode(&*secret));
        Self(Zeroizing::new(format!("{PREFIX}{}_{}", Role::App, text.as_str())))
    }

    /// As the caller sends it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What App keeps of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(self.as_str())
    }
}

/// SHA-256 of a token's text.
pub(super) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use rand_core::OsRng;

    use super::*;

    #[test]
    fn a_token_is_new_each_time_and_says_whose_it_is() {
        let (one, other) = (Token::random(&mut OsRng), Token::random(&mut OsRng));
        assert_ne!(one.as_str(), other.as_str());
        assert!(one.as_str().starts_with("multisig_app_"));
        assert_eq!(one.as_str().len(), "multisig_app_".len() + 43, "256 bits");
        assert_eq!(hash(one.as_str()), one.hash());
    }
}
