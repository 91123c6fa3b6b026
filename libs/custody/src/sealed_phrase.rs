//! The cool phrase on its way from paper to Cooler: sealed offline to Cooler's XKey, carried by that data centre's
//! admin, opened by Cooler alone.
//!
//! The box is a NATS XKey box (`xkv1`: X25519, XSalsa20-Poly1305) from a key made for this one message. Who sealed it
//! does not matter: Cooler accepts no phrase but the one whose keys are in the pinned manifest. Inside, before the
//! 32 bytes of entropy, stand purpose, custody id and manifest digest, so that a box can't be used anywhere else.

use data_encoding::BASE64;
use nkeys::XKey;
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    CustodyId,
    manifest::{ManifestError, VerifiedManifest},
    phrase::{ENTROPY_BYTES, Phrase, PhraseError},
};
use chain::KeyRole;

/// Version of the document that this build reads and writes.
pub const VERSION: u32 = 1;

const PURPOSE: &[u8; 16] = b"multisig.cool.v1";
const HEADER_BYTES: usize = 16 + 16 + 32;

/// The sealed phrase as a JSON document. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SealedCool {
    /// [`VERSION`].
    pub version: u32,
    /// The custody that the phrase belongs to, for people; the box repeats it.
    pub custody_id: CustodyId,
    /// SHA-256 of the manifest's payload, lower-case hex, for people; the box repeats it.
    pub manifest_digest: String,
    /// Cooler's XKey, `X...`.
    pub recipient: String,
    /// The XKey made for this message, `X...`.
    pub sender: String,
    /// Standard base64 of the `xkv1` box.
    pub sealed: String,
}

/// Why a cool phrase was not sealed or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum CoolSealError {
    /// Not the JSON expected.
    #[error("malformed sealed cool phrase: {0}; seal it again with `multisig-paper cool seal`")]
    Malformed(String),
    /// Made by another version of the tools.
    #[error("the sealed cool phrase has version {0}, this build reads version {VERSION} only")]
    UnknownVersion(u64),
    /// Not an `X...` key.
    #[error("'{0}' is not an XKey; expected the X... key from Cooler's report")]
    XKey(String),
    /// Sealed for another Cooler, or changed on the way.
    #[error(
        "this box does not open with the present XKey: sealed to {recipient}, the key here is {own}; seal it again"
    )]
    NotForThisKey {
        /// Named in the document.
        recipient: String,
        /// The public key of the opener.
        own: String,
    },
    /// Opened, but made for something else.
    #[error(
        "this box was sealed for another custody or another manifest; seal the phrase again with the pinned manifest"
    )]
    OtherPurpose,
    /// Opened, but the keys are not the manifest's.
    #[error("this is not the cool phrase of the manifest; nothing was imported")]
    OtherPhrase,
    /// The phrase or manifest is unusable.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The entropy is unusable.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// The box can't be made.
    #[error("sealing failed: {0}")]
    Seal(String),
}

impl SealedCool {
    /// Reads the document.
    pub fn parse(bytes: &[u8]) -> Result<Self, CoolSealError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let bytes = text_file::unmarked(bytes).map_err(|error| CoolSealError::Malformed(error.to_string()))?;
        let malformed = |error: serde_json::Error| CoolSealError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_slice(bytes).map_err(malformed)?;
        if version != u64::from(VERSION) {
            return Err(CoolSealError::UnknownVersion(version));
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    /// For a file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("the document has string keys only");
        text.push('\n');
        text
    }
}

/// Seals the cool phrase to Cooler's XKey `to`; refuses any phrase but the manifest's. `rng` is the operating system's
/// outside tests.
pub fn seal(
    phrase: &Phrase,
    manifest: &VerifiedManifest,
    to: &str,
    rng: &mut impl CryptoRngCore,
) -> Result<SealedCool, CoolSealError> {
    if !manifest.is_half(KeyRole::Cool, &phrase.keys())? {
        return Err(CoolSealError::OtherPhrase);
    }
    let recipient = XKey::from_public_key(to).map_err(|_| CoolSealError::XKey(to.to_owned()))?;
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(seed.as_mut_slice());
    let sender = XKey::new_from_raw(*seed);

    // The full size at once: a vector that grows leaves copies of the secret behind.
    let mut inner = Zeroizing::new(Vec::with_capacity(HEADER_BYTES + ENTROPY_BYTES));
    inner.extend_from_slice(&header(manifest));
    inner.extend_from_slice(phrase.entropy().as_slice());
    let sealed =
        sender.seal_with_rand(&inner, &recipient, rng).map_err(|error| CoolSealError::Seal(error.to_string()))?;
    Ok(SealedCool {
        version: VERSION,
        custody_id: manifest.custody_id(),
        manifest_digest: manifest.digest(),
        recipient: recipient.public_key(),
        sender: sender.public_key(),
        sealed: BASE64.encode(&sealed),
    })
}

/// Opens the box with Cooler's XKey and accepts only the cool phrase of `manifest`, sealed for exactly that manifest.
pub fn open(sealed: &SealedCool, xkey: &XKey, manifest: &VerifiedManifest) -> Result<Phrase, CoolSealError> {
    let not_for_us = || CoolSealError::NotForThisKey { recipient: sealed.recipient.clone(), own: xkey.public_key() };
    let sender = XKey::from_public_key(&sealed.sender).map_err(|_| CoolSealError::XKey(sealed.sender.clone()))?;
    let bytes = BASE64
        .decode(sealed.sealed.as_bytes())
        .map_err(|error| CoolSealError::Malformed(format!("the box is not base64: {error}")))?;
    let inner = Zeroizing::new(xkey.open(&bytes, &sender).map_err(|_| not_for_us())?);
    let entropy = inner.strip_prefix(header(manifest).as_slice()).ok_or(CoolSealError::OtherPurpose)?;
    let phrase = Phrase::from_entropy(entropy)?;
    if !manifest.is_half(KeyRole::Cool, &phrase.keys())? {
        return Err(CoolSealError::OtherPhrase);
    }
    Ok(phrase)
}

/// Purpose, custody id, manifest digest: fixed lengths, so nothing can run into the next.
fn header(manifest: &VerifiedManifest) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    out[..16].copy_from_slice(PURPOSE);
    out[16..32].copy_from_slice(manifest.custody_id().as_bytes());
    out[32..].copy_from_slice(&manifest.digest_bytes());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::OsRng;

    use super::*;
    use crate::manifest::{Manifest, PublicHalf, SignedManifest};

    fn phrase(byte: u8) -> Phrase {
        Phrase::from_entropy(&[byte; 32]).unwrap()
    }

    fn manifest(custody: u8) -> VerifiedManifest {
        let (cool, cold) = (phrase(2).keys(), phrase(3).keys());
        let mut signed = SignedManifest::new(Manifest {
            version: crate::manifest::VERSION,
            custody_id: CustodyId::from_slice(&[custody; 16]).unwrap(),
            revision: 1,
            cool: PublicHalf::from_keys(KeyRole::Cool, &cool).unwrap(),
            cold: PublicHalf::from_keys(KeyRole::Cold, &cold).unwrap(),
            safe_destinations: [("eip155:1".to_owned(), vec![format!("0x{}", "ab".repeat(20))])].into(),
        })
        .unwrap();
        signed.sign(KeyRole::Cool, &cool).unwrap();
        signed.sign(KeyRole::Cold, &cold).unwrap();
        signed.verify().unwrap()
    }

    fn cooler() -> XKey {
        XKey::new_from_raw([8; 32])
    }

    fn sealed() -> SealedCool {
        seal(&phrase(2), &manifest(7), &cooler().public_key(), &mut OsRng).unwrap()
    }

    #[test]
    fn cooler_opens_what_was_sealed_to_it() {
        let travelled = SealedCool::parse(sealed().to_json().as_bytes()).unwrap();
        assert_eq!(*open(&travelled, &cooler(), &manifest(7)).unwrap().entropy(), [2; 32]);
    }

    #[test]
    fn nobody_else_opens_it() {
        let other = XKey::new_from_raw([9; 32]);
        assert!(matches!(open(&sealed(), &other, &manifest(7)), Err(CoolSealError::NotForThisKey { .. })));
    }

    #[test]
    fn a_box_for_another_custody_is_refused_though_the_phrase_is_the_same() {
        assert!(matches!(open(&sealed(), &cooler(), &manifest(8)), Err(CoolSealError::OtherPurpose)));
    }

    #[test]
    fn only_the_cool_phrase_of_the_manifest_is_sealed_and_accepted() {
        for wrong in [3, 9] {
            let refused = seal(&phrase(wrong), &manifest(7), &cooler().public_key(), &mut OsRng);
            assert!(matches!(refused, Err(CoolSealError::OtherPhrase)));
        }
        // What a forger would send: the right header, a phrase of his own.
        let sender = XKey::new_from_raw([1; 32]);
        let inner = [header(&manifest(7)).as_slice(), &[9; 32]].concat();
        let forged = SealedCool {
            sender: sender.public_key(),
            sealed: BASE64.encode(&sender.seal(&inner, &cooler()).unwrap()),
            ..sealed()
        };
        assert!(matches!(open(&forged, &cooler(), &manifest(7)), Err(CoolSealError::OtherPhrase)));
    }

    #[test]
    fn a_malformed_recipient_document_or_version_is_named() {
        let refused = seal(&phrase(2), &manifest(7), "XNOKEY", &mut OsRng).err().unwrap();
        assert!(refused.to_string().contains("'XNOKEY' is not an XKey"));
        assert!(matches!(SealedCool::parse(b"{}"), Err(CoolSealError::Malformed(_))));
        assert!(matches!(SealedCool::parse(br#"{"version":2}"#), Err(CoolSealError::UnknownVersion(2))));
        let extra = sealed().to_json().replacen('{', r#"{"extra":1,"#, 1);
        assert!(matches!(SealedCool::parse(extra.as_bytes()), Err(CoolSealError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn no_changed_byte_of_the_box_opens(position: prop::sample::Index, change in 1..=255u8) {
            let mut changed = sealed();
            let mut bytes = BASE64.decode(changed.sealed.as_bytes()).unwrap();
            let position = position.index(bytes.len());
            bytes[position] ^= change;
            changed.sealed = BASE64.encode(&bytes);
            prop_assert!(open(&changed, &cooler(), &manifest(7)).is_err());
        }
    }
}
