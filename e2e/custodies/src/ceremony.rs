//! Ceremonies: two phrases, the manifest of their public halves, and both stations' signatures.

use std::collections::BTreeMap;

use chain::KeyRole;
use custody::{
    CustodyId,
    manifest::{Manifest, PublicHalf, SignedManifest, VERSION, VerifiedManifest},
    phrase::{ENTROPY_BYTES, Phrase},
    trust::CustodyTrust,
};
use rand_core::OsRng;

use crate::{CHAIN, SAFE};

/// The phrase whose entropy is this byte again and again.
pub fn phrase(byte: u8) -> Phrase {
    Phrase::from_entropy(&[byte; ENTROPY_BYTES]).unwrap()
}

/// The id of the custody that is always the same.
pub fn fixed_id() -> CustodyId {
    CustodyId::from_slice(&[7; 16]).unwrap()
}

/// What the stations are about to sign.
pub struct Ceremony {
    custody_id: CustodyId,
    revision: u32,
    cool: Phrase,
    cold: Phrase,
    safe_destinations: BTreeMap<String, Vec<String>>,
}

impl Ceremony {
    /// Always the same: the cool phrase of byte 2, the cold one of byte 3, [`fixed_id`].
    pub fn fixed() -> Self {
        Self::of(fixed_id(), phrase(2), phrase(3))
    }

    /// Another one each time.
    pub fn random() -> Self {
        Self::of(CustodyId::generate(&mut OsRng), Phrase::generate(&mut OsRng), Phrase::generate(&mut OsRng))
    }

    fn of(custody_id: CustodyId, cool: Phrase, cold: Phrase) -> Self {
        let ceremony = Self { custody_id, revision: 1, cool, cold, safe_destinations: BTreeMap::new() };
        ceremony.destinations(CHAIN, &[SAFE])
    }

    /// Of this custody.
    pub fn id(self, custody_id: CustodyId) -> Self {
        Self { custody_id, ..self }
    }

    /// Of this revision of the manifest.
    pub fn revision(self, revision: u32) -> Self {
        Self { revision, ..self }
    }

    /// With the cold phrase of this byte.
    pub fn cold(self, byte: u8) -> Self {
        Self { cold: phrase(byte), ..self }
    }

    /// With these safe destinations, on this chain alone.
    pub fn destinations(self, chain: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Self { safe_destinations: BTreeMap::from([(chain.to_owned(), addresses)]), ..self }
    }

    /// With these safe destinations on another chain too.
    pub fn and_destinations(mut self, chain: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        self.safe_destinations.insert(chain.to_owned(), addresses);
        self
    }

    /// The manifest with the signatures of these stations.
    pub fn signed_by(&self, stations: &[KeyRole]) -> SignedManifest {
        let (cool, cold) = (self.cool.keys(), self.cold.keys());
        let mut signed = SignedManifest::new(Manifest {
            version: VERSION,
            custody_id: self.custody_id,
            revision: self.revision,
            cool: PublicHalf::from_keys(KeyRole::Cool, &cool).unwrap(),
            cold: PublicHalf::from_keys(KeyRole::Cold, &cold).unwrap(),
            safe_destinations: self.safe_destinations.clone(),
        })
        .unwrap();
        for station in stations {
            signed.sign(*station, if *station == KeyRole::Cool { &cool } else { &cold }).unwrap();
        }
        signed
    }

    /// Held to its end.
    pub fn held(self) -> Custody {
        let signed = self.signed_by(&[KeyRole::Cool, KeyRole::Cold]);
        Custody { cool: self.cool, cold: self.cold, manifest: signed.verify().unwrap(), signed }
    }
}

/// A custody: its phrases, and the manifest that both stations signed.
pub struct Custody {
    /// The cool phrase.
    pub cool: Phrase,
    /// The cold phrase.
    pub cold: Phrase,
    /// The manifest as it travels.
    pub signed: SignedManifest,
    /// The same, verified.
    pub manifest: VerifiedManifest,
}

impl Custody {
    /// Always the same one: see [`Ceremony::fixed`].
    pub fn fixed() -> Self {
        Ceremony::fixed().held()
    }

    /// Another one each time.
    pub fn random() -> Self {
        Ceremony::random().held()
    }

    /// Its id.
    pub fn id(&self) -> CustodyId {
        self.manifest.custody_id()
    }

    /// What an admin pins.
    pub fn pin(&self) -> CustodyTrust {
        CustodyTrust { id: self.id(), manifest_digest: self.manifest.digest() }
    }
}

#[cfg(test)]
mod tests {
    use custody::manifest::ManifestError;

    use super::*;

    #[test]
    fn a_fixed_custody_is_always_the_same_and_a_random_one_never() {
        assert_eq!(Custody::fixed().signed.to_json(), Custody::fixed().signed.to_json());
        assert_ne!(Custody::random().id(), Custody::random().id());
    }

    #[test]
    fn the_manifest_says_what_the_ceremony_was_told() {
        let id = CustodyId::from_slice(&[9; 16]).unwrap();
        let ceremony = || Ceremony::fixed().id(id).revision(3).destinations("eip155:1", &[SAFE]);
        let custody = ceremony().held();
        let manifest = custody.manifest.manifest();
        assert_eq!((manifest.custody_id, manifest.revision), (id, 3));
        assert_eq!(manifest.safe_destinations, BTreeMap::from([("eip155:1".to_owned(), vec![SAFE.to_owned()])]));
        assert_eq!(custody.pin(), CustodyTrust { id, manifest_digest: custody.signed.digest() });
        assert_ne!(ceremony().cold(4).held().manifest.digest(), custody.manifest.digest());
    }

    #[test]
    fn a_manifest_may_lack_a_signature() {
        let half = Ceremony::fixed().signed_by(&[KeyRole::Cool]);
        assert_eq!(half.verify(), Err(ManifestError::NotSigned(KeyRole::Cold)));
    }
}
