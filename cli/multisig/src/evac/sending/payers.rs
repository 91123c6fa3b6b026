//! The keys that pay for gas, each in a file, and what is told of their accounts.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Result;
use chain::{Account, Amount, ChainId, InMemory, Journal, RelayLimits};
use zeroize::Zeroizing;

use super::journal::OnDisk;
use crate::{
    evac::{GWEI, Payer, read},
    failure::bad_input,
};

/// Transactions of one wallet each that are under way, of each gas key: nodes hold at least 16 of one account.
pub(super) const SINGLES: usize = 8;
/// Transactions of many wallets that are under way, of each gas key: pools count their bytes, in sixteen parts of 32 KiB
/// an account.
pub(super) const BATCHES: usize = 4;
/// Of `--journal`: there is none.
const NO_JOURNAL: &str = "none";

/// Who pays in a run, and where that is kept.
pub(in crate::evac) struct Paying {
    pub(in crate::evac) payers: Payers,
    texts: Vec<KeyText>,
    journal: Arc<dyn Journal>,
    /// Whether transactions of an earlier run are in the journal.
    pub(in crate::evac) left: bool,
}

impl Paying {
    /// Reads the keys' files and opens the journal: the one that is named, or else `default`, if there is one.
    pub(in crate::evac) fn open(
        keys: &[PathBuf],
        named: Option<&Path>,
        default: Option<PathBuf>,
        chain: &ChainId,
    ) -> Result<Self> {
        let (payers, texts) = Payers::read(keys, chain)?;
        let path = match named {
            Some(path) if path.as_os_str() == NO_JOURNAL => None,
            Some(path) => Some(path.to_owned()),
            None => default,
        };
        let Some(path) = path else {
            return Ok(Self { payers, texts, journal: Arc::new(InMemory::default()), left: false });
        };
        let journal = OnDisk::open(&path, chain, &payers.accounts())?;
        let left = journal.has_left();
        Ok(Self { payers, texts, journal: Arc::new(journal), left })
    }

    /// The same for the nodes: at most so many gwei for a gas, and so much gas in a transaction.
    pub(in crate::evac) fn payer<'a>(&'a self, max_fee: u64, max_gas: u64, private: &'a [String]) -> Payer<'a> {
        let limits = RelayLimits {
            max_price: u128::from(max_fee) * GWEI,
            max_gas,
            most_in_flight: SINGLES,
            most_batches: BATCHES,
            ..RelayLimits::DEFAULT
        };
        let keys = self.texts.iter().map(|text| text.as_str()).collect();
        Payer { keys, limits, journal: self.journal.clone(), private }
    }
}

/// Where each account's key is, by account in display form.
#[derive(Debug, Clone, Default)]
pub(in crate::evac) struct Payers(Vec<(String, PathBuf)>);

/// The text of a key's file.
type KeyText = Zeroizing<String>;

impl Payers {
    /// Reads the files, each with another key; what is wrong is named by its file.
    fn read(files: &[PathBuf], chain: &ChainId) -> Result<(Self, Vec<KeyText>)> {
        let (mut payers, mut texts) = (Self::default(), Vec::new());
        for file in files {
            let text = text(file)?;
            let account = chain_clients::payer(chain, &text);
            let account = account.map_err(|error| bad_input(format!("{}: {error}", file.display())))?;
            if let Some((_, other)) = payers.0.iter().find(|(of, _)| *of == account) {
                let (other, file) = (other.display(), file.display());
                return Err(bad_input(format!("{other} and {file} have the same key; name each --gas-key once")));
            }
            payers.0.push((account, file.clone()));
            texts.push(text);
        }
        Ok((payers, texts))
    }

    /// Their accounts, display form.
    fn accounts(&self) -> Vec<String> {
        self.0.iter().map(|(account, _)| account.clone()).collect()
    }

    /// What people should hear of an account that they have not heard by how it stood before.
    pub(super) fn news(&self, now: &Account, before: Option<&Account>) -> Vec<String> {
        let Account { float, short, opened, foreign, .. } = now;
        let file =
            self.0.iter().find(|(account, _)| *account == float.relayer).map(|(_, file)| file.display().to_string());
        let name = format!("gas key {} ({})", file.unwrap_or_default(), float.relayer);
        let others = if self.0.len() > 1 { "; the other keys go on" } else { "" };
        let mut news = Vec::new();
        if before.is_none() {
            news.push(format!("{name} holds {} wei", float.balance));
        }
        if let Some(Amount(needed)) = short
            && before.is_none_or(|before| before.short.is_none())
        {
            let balance = float.balance;
            news.push(format!(
                "{name} holds {balance} wei and a transaction may cost {needed} wei: send it more{others}"
            ));
        }
        if before.map_or(0, |before| before.opened) < *opened {
            news.push(format!(
                "the private endpoints leave out transactions of {name} ({opened} so far): the public nodes are given them too, \
                 where everybody sees them before they are mined"
            ));
        }
        if before.map_or(0, |before| before.foreign) < *foreign {
            news.push(format!("something else sends with {name}; use keys that nothing else uses"));
        }
        news
    }
}

fn text(file: &Path) -> Result<KeyText> {
    let bytes = Zeroizing::new(read(file)?);
    Ok(Zeroizing::new(std::str::from_utf8(&bytes).unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use chain::Float;

    use super::*;

    #[test]
    fn each_key_is_there_once_and_what_is_wrong_is_named_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in
            [("one", "01".repeat(32)), ("same", format!("0x{}\n", "01".repeat(32))), ("two", "02".repeat(32))]
        {
            fs::write(path(name), text).unwrap();
        }
        fs::write(path("bad"), "SECRET").unwrap();
        let read = |names: &[&str]| {
            let files: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
            Payers::read(&files, &"eip155:1".parse().unwrap()).map(|(payers, _)| payers.accounts())
        };
        let accounts = read(&["one", "two"]).unwrap();
        assert_eq!((accounts.len(), accounts[0].as_str()), (2, "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"));
        let why = |names: &[&str]| read(names).unwrap_err().to_string();
        assert!(why(&["one", "same"]).contains("same have the same key; name each --gas-key once"));
        assert!(
            why(&["one", "bad"]).contains("bad: the relayer key is malformed") && !why(&["bad"]).contains("SECRET")
        );
        assert!(why(&["none"]).contains("cannot read"));
    }

    #[test]
    fn people_hear_once_that_a_key_has_run_dry_and_what_everybody_may_see() {
        let payers = Payers(vec![("0xAA".to_owned(), "a.key".into()), ("0xBB".to_owned(), "b.key".into())]);
        let account = |short: Option<u128>, opened| Account {
            float: Float { relayer: "0xAA".to_owned(), balance: 7.into(), decimals: 18 },
            low: true,
            short: short.map(Amount::from),
            in_flight: 0,
            stuck: Vec::new(),
            opened,
            foreign: 0,
        };
        let (well, dry, open) = (account(None, 0), account(Some(9), 0), account(Some(9), 1));
        assert_eq!(payers.news(&well, None), ["gas key a.key (0xAA) holds 7 wei"]);
        assert_eq!(payers.news(&well, Some(&well)), Vec::<String>::new());
        let said =
            "gas key a.key (0xAA) holds 7 wei and a transaction may cost 9 wei: send it more; the other keys go on";
        assert_eq!(payers.news(&dry, Some(&well)), [said]);
        assert_eq!(payers.news(&dry, Some(&dry)), Vec::<String>::new());
        let opened = payers.news(&open, Some(&dry));
        assert!(opened.len() == 1 && opened[0].contains("the public nodes are given them too"), "{opened:?}");
    }
}
