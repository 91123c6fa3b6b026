//! BIP39, English: `bip39` and the phrases of `custody`.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;

use bip32::{Prefix, XPrv};
use bip39::{Language, Mnemonic};
use custody::phrase::{Phrase, PhraseError, WORDS};
use known_answers::{Hex, read, report};

/// Entropy, words, seed with the passphrase `TREZOR`, BIP32 root.
type Row = (Hex, String, Hex, String);

#[test]
fn the_24_english_phrases_have_the_published_words_seed_and_root() {
    let all: BTreeMap<String, Vec<Row>> = read("bip39/vectors.json");
    let rows = &all["english"];
    for (entropy, words, seed, root) in rows {
        let made = Mnemonic::from_entropy_in(Language::English, &entropy.0).unwrap();
        assert_eq!(&made.to_string(), words);
        let typed = Mnemonic::parse_in_normalized(Language::English, words).unwrap();
        assert_eq!(typed.to_entropy(), entropy.0);
        assert_eq!(typed.to_seed_normalized("TREZOR").as_slice(), seed.0);
        assert_eq!(&*XPrv::new(&seed.0).unwrap().to_string(Prefix::XPRV), root);
    }
    report("BIP39", &format!("{} English phrases", rows.len()));
    assert_eq!(rows.len(), 24);
}

#[test]
fn phrases_of_24_words_are_taken_and_shorter_ones_are_not() {
    let all: BTreeMap<String, Vec<Row>> = read("bip39/vectors.json");
    let (mut taken, mut refused) = (0, 0);
    for (entropy, words, ..) in &all["english"] {
        let count = words.split(' ').count();
        if count == WORDS {
            let phrase = Phrase::parse(words).unwrap();
            assert_eq!(phrase.entropy().as_slice(), entropy.0);
            assert_eq!(&Phrase::from_entropy(&entropy.0).unwrap().words().collect::<Vec<_>>().join(" "), words);
            taken += 1;
        } else {
            assert_eq!(Phrase::parse(words).err(), Some(PhraseError::Count(count)));
            refused += 1;
        }
    }
    report("BIP39 in custody", &format!("{taken} phrases of 24 words taken, {refused} shorter ones refused"));
    assert_eq!((taken, refused), (8, 16));
}
