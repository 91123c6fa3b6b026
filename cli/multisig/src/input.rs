//! Files that people write.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::failure::{bad_input, one_line};

const MEGABYTE: u64 = 1 << 20;
/// Larger than any plan of an evacuation; a wrong file is told from a right one by it.
const LARGEST_FOR_POD: u64 = 256 << 20;

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

/// What a command in a pod is to read; `-` is standard input.
pub(crate) fn read_for_pod(file: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let path = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
    let wrong = |error: String| bad_input(format!("{}: {error}", file.display()));
    let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > LARGEST_FOR_POD {
        return Err(wrong(format!("{length} bytes are too many; is this the right file?")));
    }
    fs::read(path).map(Zeroizing::new).map_err(|error| wrong(error.to_string()))
}
