//! Files that people write.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;

use crate::failure::one_line;

const MEGABYTE: u64 = 1 << 20;

/// A text file of at most a megabyte.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MEGABYTE {
        return Err(format!("{length} bytes are too many; is this the right file?"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// YAML, and so JSON too. An error is one line: the parser's words, and the line of the file that it means.
pub(crate) fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().and_then(|at| text.lines().nth((at.line() as usize).checked_sub(1)?));
        let line = line.map(|line| format!(" (`{}`)", line.trim())).unwrap_or_default();
        format!("{}{line}", one_line(&error.to_string()))
    })
}
