//! The commands about backups. Results go to standard output as one JSON document.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use anyhow::{Context, Result};
use chain_adapters::Adapters;
use custody::phrase::Phrase;
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    backup,
    config::Settings,
    store::{StoreError, sqlite::Sqlite},
};

/// 24 words of at most 8 letters need 216 bytes.
const LONGEST_PHRASE: u64 = 1024;

/// `app backup`: by the running App, if there is one.
pub(crate) async fn backup(config: &Path, to: &str, out: &Path) -> Result<()> {
    let settings = Settings::load(config, &Adapters::all())?;
    custody::sealed_backup::recipient(to)?;
    if out != Path::new("-") {
        let epoch = make(&settings, to, out).await?;
        println!("{}", json!({"backup": out, "epoch": epoch}));
        return Ok(());
    }
    // To be piped to where it is kept: the data folder is the one place that both processes can write to.
    let room = tempfile::Builder::new().prefix("backup-").tempdir_in(&settings.data_dir);
    let room = room.with_context(|| settings.data_dir.display().to_string())?;
    let file = room.path().join("sealed");
    make(&settings, to, &file).await?;
    let mut out = io::stdout().lock();
    io::copy(&mut fs::File::open(&file)?, &mut out)?;
    Ok(out.flush()?)
}

async fn make(settings: &Settings, to: &str, out: &Path) -> Result<u64> {
    let (data_dir, secrets) = (&settings.data_dir, settings.secrets());
    match Sqlite::open(data_dir, settings.chain.rules.clone(), Timestamp::now) {
        Ok(store) => Ok(backup::make(&store, &secrets, data_dir, to, out).await?.epoch),
        Err(StoreError::InUse(_)) => Ok(backup::ask(data_dir, to, out).await?),
        Err(error) => Err(error.into()),
    }
}

/// `app restore`.
pub(crate) fn restore(file: &Path, dir: &Path) -> Result<()> {
    let (contents, epoch) = backup::restore(file, &phrase()?, dir)?;
    println!("{}", serde_json::to_string_pretty(&json!({"restored": contents, "epoch": epoch}))?);
    Ok(())
}

/// `app verify`.
pub(crate) fn verify(file: &Path, room: &Path) -> Result<()> {
    let (contents, inspected) = backup::verify(file, &phrase()?, room)?;
    println!("{}", serde_json::to_string_pretty(&json!({"backup": contents, "database": inspected}))?);
    Ok(())
}

fn phrase() -> Result<Phrase> {
    let mut text = Zeroizing::new(String::new());
    io::stdin().take(LONGEST_PHRASE).read_to_string(&mut text).context("no backup phrase on standard input")?;
    Ok(Phrase::parse(&text)?)
}
