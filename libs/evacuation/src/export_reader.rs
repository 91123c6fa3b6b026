//! Reads an export wallet by wallet: whoever plans with a million of them holds one at a time.

use std::{fmt, io::BufRead};

use chain::{Asset, ChainId};
use custody::{CustodyId, manifest::VerifiedManifest};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    AuditHead, EXPORT_VERSION, EvacuationError, ExportedAsset, ExportedWallet, WalletsExport, document::same_manifest,
    export::WHAT,
};

/// All that an export says but its wallets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHeader {
    /// As [`WalletsExport::version`].
    pub version: u32,
    /// The custody.
    pub custody_id: CustodyId,
    /// SHA-256 of the manifest's payload, lower-case hex.
    pub manifest_digest: String,
    /// Up to where the signer's audit chain went; absent in version 1.
    pub audit_head: Option<AuditHead>,
    /// What the signer's local policy lists; none in version 1.
    pub assets: Vec<ExportedAsset>,
}

impl ExportHeader {
    /// The assets on `chain`, contracts as they are written there.
    pub fn assets_on(&self, chain: &ChainId) -> Vec<Asset> {
        ExportedAsset::on(&self.assets, chain)
    }

    /// Refuses an export of another custody or manifest.
    pub fn require(&self, manifest: &VerifiedManifest) -> Result<(), EvacuationError> {
        same_manifest(WHAT, self.custody_id, &self.manifest_digest, manifest)
    }
}

impl WalletsExport {
    /// Reads what [`WalletsExport::parse`] reads, and hands over each wallet as it comes. The version has to come before
    /// the wallets, as in every export that a signer writes. No error of the reader is lost: it is in the words.
    pub fn read(
        mut input: impl BufRead,
        each: impl FnMut(ExportedWallet) -> Result<(), EvacuationError>,
    ) -> Result<ExportHeader, EvacuationError> {
        let malformed = |why: String| EvacuationError::Malformed { what: WHAT, why };
        text_file::skip_mark(&mut input).map_err(|error| malformed(error.to_string()))?;
        let mut stopped = None;
        let mut json = serde_json::Deserializer::from_reader(input);
        let read = (&mut json).deserialize_map(Document { each, stopped: &mut stopped });
        let read = read.and_then(|header| json.end().map(|()| header));
        match (read, stopped) {
            (_, Some(stopped)) => Err(stopped),
            (Err(error), None) => Err(malformed(error.to_string())),
            (Ok(header), None) => Ok(header),
        }
    }
}

/// The whole document.
struct Document<'a, F> {
    each: F,
    /// What is no fault of the JSON.
    stopped: &'a mut Option<EvacuationError>,
}

impl<'de, F: FnMut(ExportedWallet) -> Result<(), EvacuationError>> Visitor<'de> for Document<'_, F> {
    type Value = ExportHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a wallets export")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<ExportHeader, A::Error> {
        let (mut version, mut custody_id, mut manifest_digest) = (None, None, None);
        let (mut audit_head, mut assets, mut wallets, mut unknown) = (None, None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" if version.is_none() => version = Some(self.version(map.next_value()?)?),
                "custodyId" if custody_id.is_none() => custody_id = Some(map.next_value()?),
                "manifestDigest" if manifest_digest.is_none() => manifest_digest = Some(map.next_value()?),
                "auditHead" if audit_head.is_none() => audit_head = Some(map.next_value()?),
                "assets" if assets.is_none() => assets = Some(map.next_value()?),
                "wallets" if wallets.is_none() => {
                    if version.is_none() {
                        return Err(A::Error::custom("its version comes after its wallets"));
                    }
                    let (each, stopped) = (&mut self.each, &mut *self.stopped);
                    wallets = Some(map.next_value_seed(Wallets { each, stopped })?);
                }
                // A newer document may say more; that it is newer is what people have to know first.
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    unknown = unknown.or(Some(key));
                }
            }
        }
        if let Some(unknown) = unknown {
            return Err(A::Error::custom(format!("the field {unknown} is not known, or is there twice")));
        }
        wallets.ok_or_else(|| A::Error::missing_field("wallets"))?;
        Ok(ExportHeader {
            version: version.ok_or_else(|| A::Error::missing_field("version"))?,
            custody_id: custody_id.ok_or_else(|| A::Error::missing_field("custodyId"))?,
            manifest_digest: manifest_digest.ok_or_else(|| A::Error::missing_field("manifestDigest"))?,
            audit_head,
            assets: assets.unwrap_or_default(),
        })
    }
}

impl<F> Document<'_, F> {
    fn version<E: serde::de::Error>(&mut self, version: u64) -> Result<u32, E> {
        let known = u32::try_from(version).ok().filter(|version| (1..=EXPORT_VERSION).contains(version));
        known.ok_or_else(|| {
            let read = EXPORT_VERSION;
            *self.stopped = Some(EvacuationError::UnknownVersion { what: WHAT, version, read });
            E::custom("its version")
        })
    }
}

/// The list of wallets.
struct Wallets<'a, F> {
    each: &'a mut F,
    stopped: &'a mut Option<EvacuationError>,
}

impl<'de, F: FnMut(ExportedWallet) -> Result<(), EvacuationError>> DeserializeSeed<'de> for Wallets<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(ExportedWallet) -> Result<(), EvacuationError>> Visitor<'de> for Wallets<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of wallets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(wallet) = list.next_element()? {
            (self.each)(wallet).map_err(|error| {
                *self.stopped = Some(error);
                A::Error::custom("a wallet")
            })?;
        }
        Ok(())
    }
}
