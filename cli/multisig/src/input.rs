//! Files that people write.

use std::{fs, path::Path};

pub(crate) use documents::parse_yaml;

const MEGABYTE: u64 = 1 << 20;

/// A text file of at most a megabyte.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MEGABYTE {
        return Err(format!("{length} bytes are too many; is this the right file?"));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}
