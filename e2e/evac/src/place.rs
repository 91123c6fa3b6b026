//! What all of the program goes by: where things are, who is paid, and when it is the full size.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use custodies::{CHAIN, Ceremony, Custody};
use custody::phrase::Phrase;
use data_center::RealVault;

use crate::page::Page;

/// Where everything goes. Nobody has its key.
pub(crate) const SAFE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// Whom hot and cool paid before the freeze.
pub(crate) const PAYEE: &str = "0x00000000000000000000000000000000000000ee";
/// Whom the thief had them pay before the freeze.
pub(crate) const TAKER: &str = "0x00000000000000000000000000000000000000e7";
/// The node's account that pays gas for us.
pub(crate) const FLOAT: usize = 1;
/// From so many wallets on it is the full size.
pub(crate) const FULL: usize = 1_000;
/// How often the broadcaster is killed.
pub(crate) const KILLS: usize = 2;

/// The programs, the page, a folder, a Vault.
pub(crate) struct Place {
    pub(crate) bin: PathBuf,
    pub(crate) page: Page,
    pub(crate) folder: PathBuf,
    pub(crate) vault: Arc<RealVault>,
    pub(crate) seed: u64,
}

/// Digits from the paper, then the phrase, as a person types them at a station.
pub(crate) fn typed(custody: &Custody, phrase: &Phrase) -> String {
    let digest = custody.manifest.digest();
    format!("{}\n{}\n", &digest[digest.len() - 8..], phrase.words().collect::<Vec<_>>().join(" "))
}

/// A custody whose destination is [`SAFE`].
pub(crate) fn custody() -> Custody {
    Ceremony::fixed().destinations(CHAIN, &[SAFE]).held()
}

/// The repository's root and the programs beside this one.
pub(crate) fn programs() -> Result<(PathBuf, PathBuf)> {
    let bin = std::env::current_exe()?.parent().map(Path::to_owned).context("a program is in a folder")?;
    Ok((harness::servers::repository(), bin))
}
