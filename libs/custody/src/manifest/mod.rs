//! The custody manifest: what the ceremonies fixed for ever, signed at each station. Only public halves are in it.
//!
//! The signed document carries the exact payload bytes (the idea of DSSE), so nobody ever re-encodes what was signed:
//! `{"payload": BASE64(json of [`Manifest`]), "signatures": [{"role", "signature"}]}`.

mod error;
mod json;
mod payload;
mod signed;
#[cfg(test)]
mod tests;

pub use error::{ManifestError, VERSION};
pub use payload::{Manifest, PublicHalf};
pub use signed::{SignedManifest, StationSignature, VerifiedManifest};
