//! What was read so far, beside the plan: one line for each batch of wallets. Each line begins with a part of the SHA-256
//! of all before it and itself, so that what was cut off or changed is seen and read again.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use chain::{Amount, Asset, ChainId, Claim, Created, Head, Held, WalletState};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::bad_input;

const FORMAT: &str = "multisig evacuation reading";
const VERSION: u32 = 1;
/// Bytes of the hash in each line.
const CHECK: usize = 8;
/// What was read in blocks made so long before the newest is read again, seconds: deposits would be missed.
const OLD: u64 = 6 * 3600;

/// What is being read: only the same goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Of {
    pub(super) chain: ChainId,
    /// SHA-256 of the manifest's payload.
    pub(super) manifest: String,
    /// SHA-256 over names, keys and salts.
    pub(super) wallets: String,
    pub(super) assets: Vec<String>,
    /// How many nodes must say the same.
    pub(super) agree: usize,
}

impl Of {
    pub(super) fn assets(assets: &[Asset]) -> Vec<String> {
        assets.iter().map(|asset| asset.contract.clone().unwrap_or_else(|| "native".to_owned())).collect()
    }
}

/// A block, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    number: u64,
    id: String,
    time: u64,
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Beginning {
    format: String,
    version: u32,
    of: Of,
    /// When it began.
    at: At,
}

/// Every other line.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    at: At,
    /// Place of the first wallet.
    from: usize,
    wallets: Vec<Kept>,
}

/// Of one wallet: whether it exists, its next nonce, what it holds.
#[derive(Serialize, Deserialize)]
struct Kept(Made, u64, Vec<Units>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Made {
    No,
    Ours,
    Foreign(String),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Units {
    Held(Amount),
    Unreadable { unreadable: String },
}

/// A file that is being written.
pub(super) struct Reading {
    path: PathBuf,
    file: File,
    hash: [u8; 32],
    /// The block in which it began.
    pub(super) begun: Head,
    /// The block of the newest line.
    pub(super) latest: Head,
}

/// Where the reading of a plan is kept.
pub(super) fn beside(out: &Path) -> PathBuf {
    let mut name = OsString::from(out);
    name.push(".reading");
    name.into()
}

/// Once the plan is written.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

impl Reading {
    /// Goes on with what is there, if it is the same and not too old beside `newest`, or begins. Each batch that is there
    /// is handed to `take`, which says whether it fits; from the first that does not on, it is read again.
    pub(super) fn open(
        path: &Path,
        of: &Of,
        newest: &Head,
        mut take: impl FnMut(usize, &[WalletState]) -> bool,
    ) -> Result<Self> {
        let place = || format!("cannot use {}", path.display());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.with_context(place)?;
        if file.try_lock().is_err() {
            bail!(bad_input(format!("{}: another run is reading for this plan; wait for it", path.display())));
        }
        let mut reading =
            Self { path: path.to_owned(), file, hash: [0; 32], begun: newest.clone(), latest: newest.clone() };
        let kept = reading.resume(of, newest, &mut take).with_context(place)?;
        reading.file.set_len(kept).and_then(|()| reading.file.seek(SeekFrom::End(0))).with_context(place)?;
        if kept == 0 {
            reading.hash = [0; 32];
            let (format, at) = (FORMAT.to_owned(), At::of(newest));
            reading.put(&Beginning { format, version: VERSION, of: of.clone(), at })?;
        }
        Ok(reading)
    }

    /// How many bytes of it stay.
    fn resume(
        &mut self,
        of: &Of,
        newest: &Head,
        take: &mut impl FnMut(usize, &[WalletState]) -> bool,
    ) -> io::Result<u64> {
        let mut lines = BufReader::new(self.file.try_clone()?);
        let (mut kept, mut line, mut wallets) = (0, Vec::new(), 0);
        while lines.read_until(b'\n', &mut line)? > 0 {
            let Some((hash, json)) = checked(&self.hash, &line) else { break };
            if kept == 0 {
                let beginning: Option<Beginning> = serde_json::from_slice(json).ok();
                let same = beginning.filter(|it| it.format == FORMAT && it.version == VERSION && it.of == *of);
                let Some(Beginning { at, .. }) = same else {
                    eprintln!("{} is of other wallets, assets or nodes: reading begins anew", self.path.display());
                    return Ok(0);
                };
                if at.time + OLD < newest.time {
                    eprintln!("{} is more than {} h old: reading begins anew", self.path.display(), OLD / 3600);
                    return Ok(0);
                }
                (self.begun, self.latest) = (at.head(), at.head());
            } else {
                let Ok(Line { at, from, wallets: states }) = serde_json::from_slice(json) else { break };
                let states: Vec<WalletState> = states.into_iter().map(|kept| kept.state(at.number)).collect();
                if !take(from, &states) {
                    break;
                }
                self.latest = at.head();
                wallets += states.len();
            }
            (self.hash, kept) = (hash, kept + line.len() as u64);
            line.clear();
        }
        if wallets > 0 {
            eprintln!(
                "{wallets} wallets are in {} already, read from block {} on",
                self.path.display(),
                self.begun.number
            );
        }
        Ok(kept)
    }

    /// Keeps a batch.
    pub(super) fn keep(&mut self, at: &Head, from: usize, states: &[WalletState]) -> Result<()> {
        self.put(&Line { at: At::of(at), from, wallets: states.iter().map(Kept::of).collect() })
    }

    fn put(&mut self, line: &impl Serialize) -> Result<()> {
        let json = serde_json::to_vec(line)?;
        self.hash = follows(&self.hash, &json);
        let line = [HEXLOWER.encode(&self.hash[..CHECK]).as_bytes(), b" ", &json, b"\n"].concat();
        self.file.write_all(&line).with_context(|| format!("cannot write {}; make room", self.path.display()))
    }
}

fn follows(before: &[u8; 32], json: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(json).finalize().into()
}

/// What is in a line, if all of it is there and it follows the one before it.
fn checked<'a>(before: &[u8; 32], line: &'a [u8]) -> Option<([u8; 32], &'a [u8])> {
    let (check, json) = line.strip_suffix(b"\n")?.split_at_checked(2 * CHECK)?;
    let json = json.strip_prefix(b" ")?;
    let hash = follows(before, json);
    (HEXLOWER.encode(&hash[..CHECK]).as_bytes() == check).then_some((hash, json))
}

impl At {
    fn of(head: &Head) -> Self {
        Self { number: head.number, id: head.id.clone(), time: head.time }
    }

    fn head(&self) -> Head {
        Head { number: self.number, id: self.id.clone(), time: self.time }
    }
}

impl Kept {
    fn of(state: &WalletState) -> Self {
        let made = match &state.created {
            Created::No => Made::No,
            Created::Ours => Made::Ours,
            Created::Foreign(why) => Made::Foreign(why.clone()),
        };
        let live = match state.next[..] {
            [Claim::Sequence(live)] => live,
            _ => 0,
        };
        let units = |held: &Held| match held {
            Held::Units(amount) => Units::Held(*amount),
            Held::Unreadable(why) => Units::Unreadable { unreadable: why.clone() },
        };
        Self(made, live, state.balances.iter().map(units).collect())
    }

    fn state(self, block: u64) -> WalletState {
        let Self(made, live, units) = self;
        let created = match made {
            Made::No => Created::No,
            Made::Ours => Created::Ours,
            Made::Foreign(why) => Created::Foreign(why),
        };
        let held = |units| match units {
            Units::Held(amount) => Held::Units(amount),
            Units::Unreadable { unreadable } => Held::Unreadable(unreadable),
        };
        WalletState {
            block,
            created,
            next: vec![Claim::Sequence(live)],
            balances: units.into_iter().map(held).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(agree: usize) -> Of {
        let (chain, assets) = ("eip155:1".parse().unwrap(), vec!["native".to_owned()]);
        Of { chain, manifest: "m".to_owned(), wallets: "w".to_owned(), assets, agree }
    }

    fn head(number: u64, time: u64) -> Head {
        Head { number, id: format!("0x{number:02x}"), time }
    }

    fn states(block: u64, amount: u128) -> Vec<WalletState> {
        let state =
            |created, held| WalletState { block, created, next: vec![Claim::Sequence(3)], balances: vec![held] };
        vec![
            state(Created::No, Held::Units(amount.into())),
            state(Created::Ours, Held::Units(Amount::ZERO)),
            state(Created::Foreign("another owner".to_owned()), Held::Unreadable("reverts".to_owned())),
        ]
    }

    /// What is there, and where reading began.
    fn resumed(path: &Path, of: &Of, newest: &Head) -> (Vec<(usize, Vec<WalletState>)>, u64) {
        let mut found = Vec::new();
        let reading = Reading::open(path, of, newest, |from, states| {
            found.push((from, states.to_vec()));
            true
        });
        (found, reading.unwrap().begun.number)
    }

    #[test]
    fn what_was_read_is_there_again_and_a_torn_tail_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("plan"));
        let mut reading = Reading::open(&path, &of(1), &head(5, 100), |_, _| true).unwrap();
        reading.keep(&head(5, 100), 0, &states(5, 7)).unwrap();
        reading.keep(&head(5, 100), 3, &states(5, 8)).unwrap();
        assert!(Reading::open(&path, &of(1), &head(6, 200), |_, _| true).is_err(), "one run at a time");
        drop(reading);
        let whole = fs::read(&path).unwrap();
        let both = vec![(0, states(5, 7)), (3, states(5, 8))];
        assert_eq!(resumed(&path, &of(1), &head(6, 200)), (both.clone(), 5));
        for length in whole.len() - 40..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(resumed(&path, &of(1), &head(6, 200)).0, both[..1]);
        }
        // The tail was cut: what follows fits again.
        let mut reading = Reading::open(&path, &of(1), &head(6, 200), |_, _| true).unwrap();
        reading.keep(&head(6, 200), 3, &states(6, 9)).unwrap();
        drop(reading);
        assert_eq!(resumed(&path, &of(1), &head(6, 200)).0, [(0, states(5, 7)), (3, states(6, 9))]);
        let mut changed = whole.clone();
        let place = changed.iter().position(|byte| *byte == b'7').unwrap();
        changed[place] = b'6';
        fs::write(&path, &changed).unwrap();
        assert!(resumed(&path, &of(1), &head(6, 200)).0.len() < 2, "what was changed is read again");
    }

    #[test]
    fn what_was_read_of_something_else_or_long_ago_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reading");
        let begin = || {
            let _ = fs::remove_file(&path);
            let mut reading = Reading::open(&path, &of(1), &head(5, 100), |_, _| true).unwrap();
            reading.keep(&head(5, 100), 0, &states(5, 7)).unwrap();
        };
        begin();
        assert_eq!(resumed(&path, &of(2), &head(6, 200)), (vec![], 6));
        begin();
        assert_eq!(resumed(&path, &of(1), &head(9, 101 + OLD)), (vec![], 9));
        begin();
        assert_eq!(resumed(&path, &of(1), &head(9, 100 + OLD)).1, 5);
    }
}
