//! Files that people write.

use std::{fs, path::Path};

pub(crate) use policy_file::parse_yaml;
use zeroize::Zeroizing;

use crate::failure::bad_input;

const MEGABYTE: u64 = 1 << 20;
/// Larger than any plan of an evacuation; a wrong file is told from a right one by it.
const LARGEST_FOR_POD: u64 = 256 << 20;

/// A text file of at most a megabyte.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MEGABYTE {
        return Err(format!("the file is too large ({length} bytes); is it the right one?"));
    }
    text_file::read_to_string(path).map_err(|error| error.to_string())
}

/// What a command in a pod is to read; `-` is standard input.
pub(crate) fn read_for_pod(file: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let path = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
    let wrong = |error: String| bad_input(format!("{}: {error}", file.display()));
    let length = fs::metadata(path).map_err(|error| wrong(error.to_string()))?.len();
    if length > LARGEST_FOR_POD {
        return Err(wrong(format!("the file is too large ({length} bytes); is it the right one?")));
    }
    text_file::read(path).map(Zeroizing::new).map_err(|error| wrong(error.to_string()))
}
