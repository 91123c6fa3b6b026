//! Documents that somebody else wrote.

use std::fmt;

use k8s_openapi::api::core::v1::ConfigMap;

/// A document, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document<T> {
    /// Not there.
    Missing,
    /// There, but not usable; why and what to do.
    Refused(String),
    /// Read and valid.
    Read(T),
}

impl<T> Document<T> {
    /// Reads a text, if there is one.
    pub fn parse<E: fmt::Display>(text: Option<&String>, parse: impl FnOnce(&str) -> Result<T, E>) -> Self {
        // A ConfigMap made from a file keeps its byte-order mark.
        match text.map(|text| parse(text.strip_prefix('\u{feff}').unwrap_or(text))) {
            None => Self::Missing,
            Some(Ok(document)) => Self::Read(document),
            Some(Err(error)) => Self::Refused(error.to_string()),
        }
    }

    /// The document, if it is usable.
    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(document) => Some(document),
            Self::Missing | Self::Refused(_) => None,
        }
    }
}

/// The text of a document in a ConfigMap.
pub fn text<'a>(map: Option<&'a ConfigMap>, key: &str) -> Option<&'a String> {
    map?.data.as_ref()?.get(key)
}
