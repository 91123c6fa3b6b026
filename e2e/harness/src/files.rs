//! Small files: secrets that only their owner reads, and a server's state as JSON.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};

/// Name of the file in which a server keeps what is needed to find it again.
pub(crate) const STATE: &str = "state.json";

/// Creates `path` and its parents, readable by their owner only.
pub(crate) fn create_private_folder(path: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.with_context(|| format!("can't create the folder {}", path.display()))
}

/// Replaces `path` at once, mode 0600: a reader sees the old content or the new, never a part.
pub(crate) fn write_private(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let write = || {
        let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(content.as_ref())?;
        fs::rename(&partial, path)
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

/// Saves a server's state in its folder.
pub(crate) fn save_state(folder: &Path, state: &impl Serialize) -> Result<()> {
    write_private(&folder.join(STATE), serde_json::to_vec_pretty(state)?)
}

/// The state in a folder, `None` where no server has lived yet.
pub(crate) fn load_state<T: DeserializeOwned>(folder: &Path) -> Result<Option<T>> {
    let path = folder.join(STATE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .with_context(|| format!("{} is not this server's state: remove its folder to start anew", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}
