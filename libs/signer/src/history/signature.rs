//! The signature of a history: the signer's message key over SHA-256 of the document's exact bytes, on a line of its own
//! after the document.

use chain::hex::Hex;
use ed25519_dalek::{SigningKey, VerifyingKey};
use protocol::{
    attestation::{attest, verify},
    ops::Attestation,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::HistoryError;

/// Domain of the signature.
pub const HISTORY: &str = "multisig.attest.history.v1";

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// ed25519 public key.
    signer: Hex<32>,
    signature: Hex<64>,
}

/// A file, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The document's exact bytes.
    pub document: &'a [u8],
    /// Whose signature the last line is, if it is one.
    pub signer: Option<[u8; 32]>,
    signature: Option<[u8; 64]>,
}

impl<'a> Signed<'a> {
    /// Takes a file apart; nothing of it is believed yet.
    pub fn read(file: &'a [u8]) -> Self {
        let end = file.strip_suffix(b"\n").unwrap_or(file);
        let start = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        match exact(&end[start..]) {
            Some(Line { signer, signature }) => {
                Self { document: &file[..start], signer: Some(signer.0), signature: Some(signature.0) }
            }
            None => Self { document: file, signer: None, signature: None },
        }
    }

    /// The document, if one of `keys` signed its exact bytes; unsigned ones only where `unsigned` says so.
    pub fn document(self, keys: &[VerifyingKey], unsigned: bool) -> Result<&'a [u8], HistoryError> {
        let (Some(signer), Some(signature)) = (self.signer, self.signature) else {
            return if unsigned { Ok(self.document) } else { Err(HistoryError::Unsigned) };
        };
        if keys.iter().all(|key| key.as_bytes() != &signer) {
            return Err(HistoryError::UnknownSigner { signer: Hex(signer) });
        }
        let body = Sha256::digest(self.document).to_vec();
        let attestation = Attestation { body, signer: signer.to_vec(), signature: signature.to_vec() };
        verify(HISTORY, &attestation, keys).map_err(|_| HistoryError::Tampered)?;
        Ok(self.document)
    }
}

/// A line in the one form in which it is written.
fn exact(text: &[u8]) -> Option<Line> {
    let line: Line = serde_json::from_slice(text).ok()?;
    (serde_json::to_vec(&line).ok()? == text).then_some(line)
}

pub(super) fn line(digest: [u8; 32], key: &SigningKey) -> serde_json::Result<String> {
    let Attestation { signature, .. } = attest(HISTORY, digest.to_vec(), key);
    let signature = Hex(signature.try_into().unwrap_or([0; 64]));
    Ok(serde_json::to_string(&Line { signer: Hex(key.verifying_key().to_bytes()), signature })? + "\n")
}
