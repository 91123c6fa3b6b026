//! Phrases (BIP39, 24 English words, no passphrase) and the fixed derivation paths under them. Roles are not in the
//! path: hot, cool and cold are different phrases.
//!
//! | key | curve, scheme | path |
//! | --- | --- | --- |
//! | `eip155` (all EVM chains) | secp256k1, BIP32 | `m/44'/60'/0'/0/0` (BIP44) |
//! | identity of a cool or cold half | ed25519, SLIP-0010 | `m/83696968'/0'` |
//! | what App's backups are sealed to, of a phrase of its own | X25519, SLIP-0010 as for ed25519 | `m/83696968'/1'` |

use bip32::{DerivationPath, XPrv};
use bip39::{Language, Mnemonic};
use ed25519_dalek::SigningKey;
use rand_core::CryptoRngCore;
use zeroize::{Zeroize, Zeroizing};

/// Words of a phrase.
pub const WORDS: usize = 24;
/// Bytes of entropy behind [`WORDS`].
pub const ENTROPY_BYTES: usize = 32;
/// CAIP-2 namespace of all EVM chains.
pub const EIP155: &str = "eip155";
/// The namespaces that a phrase has keys for. A public half and a wallet carry one key for each.
pub const NAMESPACES: [&str; 1] = [EIP155];

/// Path of the `eip155` key (BIP44).
pub const EIP155_PATH: &str = "m/44'/60'/0'/0/0";
/// All hardened, as SLIP-0010 demands of ed25519.
const IDENTITY_PATH: [u32; 2] = [83_696_968, 0];
/// Beside it.
const BACKUP_PATH: [u32; 2] = [83_696_968, 1];

/// Why a phrase, or a key of it, was refused. Never repeats a word: a mistyped phrase is still almost the phrase.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PhraseError {
    /// Not 24 words.
    #[error("a phrase has {WORDS} words, this one has {0}; type all of them, separated by spaces")]
    Count(usize),
    /// Position, counted from 1, of a word that is not in the list.
    #[error("word {0} is not in the BIP39 English word list; compare it with the paper")]
    UnknownWord(usize),
    /// All words are known, but they are not a phrase.
    #[error("the phrase's checksum is wrong: a word is misread or two are swapped; compare it with the paper")]
    Checksum,
    /// Entropy of another length.
    #[error("a phrase has {ENTROPY_BYTES} bytes of entropy, not {0}")]
    Entropy(usize),
    /// No path is fixed for this namespace.
    #[error("no key is defined for chain namespace '{0}'; known: eip155")]
    Namespace(String),
    /// Happens for less than one phrase in 2^127 (BIP32).
    #[error("this phrase has no valid key on the fixed path; make another phrase")]
    NoKey,
}

/// 24 English words: the whole secret of one owner. Zeroized when dropped; can't be printed by accident.
pub struct Phrase(Mnemonic);

impl Phrase {
    /// A new phrase; `rng` is the operating system's outside tests.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
        rng.fill_bytes(entropy.as_mut_slice());
        Self::from_array(&entropy)
    }

    /// Reads what a person typed: any white space between words, any letter case.
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let count = text.split_whitespace().count();
        if count != WORDS {
            return Err(PhraseError::Count(count));
        }
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        Mnemonic::parse_in_normalized(Language::English, &lower).map(Self).map_err(|error| match error {
            bip39::Error::UnknownWord(index) => PhraseError::UnknownWord(index + 1),
            _ => PhraseError::Checksum,
        })
    }

    /// The phrase of exactly [`ENTROPY_BYTES`] bytes.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, PhraseError> {
        let entropy: &[u8; ENTROPY_BYTES] = entropy.try_into().map_err(|_| PhraseError::Entropy(entropy.len()))?;
        Ok(Self::from_array(entropy))
    }

    /// The entropy: what is sealed at rest.
    pub fn entropy(&self) -> Zeroizing<[u8; ENTROPY_BYTES]> {
        let (mut long, _) = self.0.to_entropy_array();
        let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
        entropy.copy_from_slice(&long[..ENTROPY_BYTES]);
        long.zeroize();
        entropy
    }

    /// The words, in order, to be shown once.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.words()
    }

    /// Stretches the phrase (PBKDF2, 2048 rounds, about a millisecond): once per phrase, never per signature.
    pub fn keys(&self) -> Keys {
        Keys { seed: Zeroizing::new(self.0.to_seed_normalized("")) }
    }

    fn from_array(entropy: &[u8; ENTROPY_BYTES]) -> Self {
        Self(Mnemonic::from_entropy_in(Language::English, entropy).expect("32 bytes is a length that BIP39 defines"))
    }
}

/// The keys under one phrase. Zeroized when dropped; can't be printed by accident.
pub struct Keys {
    seed: Zeroizing<[u8; 64]>,
}

impl Keys {
    /// Secret and public key for a chain namespace, as [`Keys::secret`] and [`Keys::public_key`] give them, derived once.
    pub fn pair(&self, namespace: &str) -> Result<(Zeroizing<[u8; 32]>, [u8; 33]), PhraseError> {
        let key = self.secp256k1(namespace)?;
        Ok((Zeroizing::new(key.to_bytes()), key.public_key().to_bytes()))
    }

    /// The 32-byte secret key for a chain namespace.
    pub fn secret(&self, namespace: &str) -> Result<Zeroizing<[u8; 32]>, PhraseError> {
        Ok(Zeroizing::new(self.secp256k1(namespace)?.to_bytes()))
    }

    /// The public key for a chain namespace: 33-byte SEC1 for `eip155`.
    pub fn public_key(&self, namespace: &str) -> Result<[u8; 33], PhraseError> {
        Ok(self.secp256k1(namespace)?.public_key().to_bytes())
    }

    /// The key that signs manifests (ed25519, RFC 8032).
    pub fn identity(&self) -> SigningKey {
        let secret = Zeroizing::new(slip10_ed25519::derive_ed25519_private_key(self.seed.as_slice(), &IDENTITY_PATH));
        SigningKey::from_bytes(&secret)
    }

    /// The X25519 secret that opens backups ([`crate::sealed_backup`]).
    pub fn backup(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(slip10_ed25519::derive_ed25519_private_key(self.seed.as_slice(), &BACKUP_PATH))
    }

    fn secp256k1(&self, namespace: &str) -> Result<XPrv, PhraseError> {
        if namespace != EIP155 {
            return Err(PhraseError::Namespace(namespace.to_owned()));
        }
        let path: DerivationPath = EIP155_PATH.parse().map_err(|_| PhraseError::NoKey)?;
        XPrv::derive_from_path(self.seed.as_slice(), &path).map_err(|_| PhraseError::NoKey)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;
    use rand_core::OsRng;

    use super::*;

    /// The all-zero phrase; expectations computed with ethers 6 and Node's HMAC.
    fn zero_phrase() -> String {
        format!("{}art", "abandon ".repeat(23))
    }

    #[test]
    fn keys_of_a_known_phrase_are_those_of_other_implementations() {
        let keys = Phrase::parse(&zero_phrase()).unwrap().keys();
        let secret = keys.secret(EIP155).unwrap();
        assert_eq!(
            HEXLOWER.encode(secret.as_slice()),
            "1053fae1b3ac64f178bcc21026fd06a3f4544ec2f35338b001f02d1d8efa3d5f"
        );
        assert_eq!(
            HEXLOWER.encode(&keys.public_key(EIP155).unwrap()),
            "02dc286c821c7490afbe20a79d13123b9f41f3d7ef21e4a9caacd22f5983b28eca"
        );
        assert_eq!(keys.pair(EIP155), Ok((secret, keys.public_key(EIP155).unwrap())));
        assert_eq!(
            HEXLOWER.encode(keys.identity().verifying_key().as_bytes()),
            "ce1f270c6d7164b9ffde352453c9937391e9dd1608b2553e59f7793e7cd63dbd"
        );
    }

    #[test]
    fn typing_may_differ_in_case_and_white_space() {
        let typed = zero_phrase().to_uppercase().replace(' ', "\n\t ");
        assert_eq!(*Phrase::parse(&typed).unwrap().entropy(), [0; 32]);
    }

    #[test]
    fn a_mistyped_phrase_is_named_by_what_is_wrong_without_its_words() {
        let refused = |text: &str| Phrase::parse(text).err().unwrap();
        assert_eq!(refused("abandon ability"), PhraseError::Count(2));
        assert_eq!(refused(""), PhraseError::Count(0));
        assert_eq!(refused(&zero_phrase().replacen("abandon", "abandom", 1)), PhraseError::UnknownWord(1));
        assert_eq!(refused(&zero_phrase().replace("art", "ärt")), PhraseError::UnknownWord(24));
        assert_eq!(refused(&"abandon ".repeat(24)), PhraseError::Checksum);
        assert!(!refused(&zero_phrase().replace("art", "secretword")).to_string().contains("secretword"));
    }

    #[test]
    fn other_lengths_of_entropy_are_refused() {
        assert_eq!(Phrase::from_entropy(&[0; 16]).err(), Some(PhraseError::Entropy(16)));
        assert_eq!(Phrase::from_entropy(&[0; 33]).err(), Some(PhraseError::Entropy(33)));
    }

    #[test]
    fn an_unknown_namespace_has_no_key() {
        let keys = Phrase::parse(&zero_phrase()).unwrap().keys();
        assert_eq!(keys.secret("solana").err(), Some(PhraseError::Namespace("solana".to_owned())));
        assert_eq!(keys.pair("solana").err(), Some(PhraseError::Namespace("solana".to_owned())));
        assert_eq!(keys.public_key("").err(), Some(PhraseError::Namespace(String::new())));
    }

    #[test]
    fn generated_phrases_differ_and_have_24_words() {
        let (one, two) = (Phrase::generate(&mut OsRng), Phrase::generate(&mut OsRng));
        assert_eq!(one.words().count(), WORDS);
        assert_ne!(*one.entropy(), *two.entropy());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn entropy_and_words_round_trip(entropy: [u8; 32]) {
            let phrase = Phrase::from_entropy(&entropy).unwrap();
            prop_assert_eq!(*phrase.entropy(), entropy);
            let words: Vec<&str> = phrase.words().collect();
            prop_assert_eq!(*Phrase::parse(&words.join(" ")).unwrap().entropy(), entropy);
        }

        #[test]
        fn parse_never_panics(text in ".{0,300}") {
            let _ = Phrase::parse(&text);
        }
    }
}
