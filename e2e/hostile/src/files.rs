//! A signer's files, behind its back.

use std::{fs, path::Path};

use anyhow::Result;
use rusqlite::{Connection, config::DbConfig};

/// The store in a signer's folder. Closing it changes nothing, so that the next start finds what the last one left.
pub(crate) fn open(data_dir: &Path) -> Result<Connection> {
    let connection = Connection::open(data_dir.join(signer::store::FILE))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Replaces the files of a folder by those of another.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}
