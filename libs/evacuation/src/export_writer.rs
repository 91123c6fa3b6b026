//! Writes an export wallet by wallet: a signer with a million of them holds one at a time.

use std::io::{self, Write};

use custody::{CustodyId, manifest::VerifiedManifest};
use serde::Serialize;

use crate::{AuditHead, EXPORT_VERSION, ExportedAsset, ExportedWallet};

/// Writes what [`crate::WalletsExport::parse`] reads, one wallet a line.
pub struct ExportWriter<W> {
    output: W,
    separator: &'static str,
}

/// All but the wallets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Beginning<'a> {
    version: u32,
    custody_id: CustodyId,
    manifest_digest: String,
    audit_head: &'a AuditHead,
    assets: &'a [ExportedAsset],
}

impl<W: Write> ExportWriter<W> {
    /// Records under their manifest, as of this end of the signer's audit chain, with the assets of its local policy.
    pub fn begin(
        mut output: W,
        manifest: &VerifiedManifest,
        head: &AuditHead,
        assets: &[ExportedAsset],
    ) -> io::Result<Self> {
        let (custody_id, manifest_digest) = (manifest.custody_id(), manifest.digest());
        let beginning = Beginning { version: EXPORT_VERSION, custody_id, manifest_digest, audit_head: head, assets };
        let beginning = serde_json::to_string(&beginning)?;
        // An object that stays open.
        output.write_all(beginning.strip_suffix('}').unwrap_or_default().as_bytes())?;
        output.write_all(b",\"wallets\":[")?;
        Ok(Self { output, separator: "\n" })
    }

    /// One more wallet.
    pub fn wallet(&mut self, wallet: &ExportedWallet) -> io::Result<()> {
        self.output.write_all(self.separator.as_bytes())?;
        self.separator = ",\n";
        serde_json::to_writer(&mut self.output, wallet).map_err(io::Error::from)
    }

    /// Ends the document.
    pub fn finish(mut self) -> io::Result<()> {
        self.output.write_all(b"\n]}\n")?;
        self.output.flush()
    }
}
