//! The journal on the disk: what the gas keys are about to send, kept before it is sent, so that a run after a kill goes on
//! with its own transactions. One record a line (JSON), each on the disk before the relayer goes on; a line that a kill has
//! cut is taken off. Nothing in it is secret.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{BufRead, BufReader, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use async_trait::async_trait;
use chain::{ChainId, Claim, Errand, Journal, JournalError, Relayed};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::zeros::{counted, written_out};
use crate::failure::bad_input;

const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Record {
    /// The first.
    EvacuationJournal { version: u32, chain: ChainId },
    /// Accounts that pay in the run that begins here, display form.
    Keys(Vec<String>),
    /// About to be sent: its bytes in base64, with their zeros [counted]; or `raw`, as they are, as earlier builds wrote them.
    Sent {
        of: String,
        purpose: String,
        tx: String,
        claim: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        raw: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        counted: Option<String>,
    },
    /// Final, or never can be mined.
    Ended(Vec<String>),
}

/// The file, for one process at a time.
#[derive(Clone)]
pub(in crate::evac) struct OnDisk(Arc<Mutex<Log>>);

struct Log {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    /// In the order in which it was written.
    under_way: Vec<(Errand, Relayed)>,
}

impl OnDisk {
    /// Opens or makes the file, and begins a run of these accounts.
    pub(in crate::evac) fn open(path: &Path, chain: &ChainId, accounts: &[String]) -> Result<Self> {
        let named = |why: String| bad_input(format!("the journal {}: {why}", path.display()));
        let unusable = |error: std::io::Error| {
            named(format!("{error}; name another file with --journal FILE, or none with --journal none"))
        };
        let made = !path.exists();
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = options.map_err(unusable)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => named(
                "another run is going on with it; let it end or stop it, or start this one with other gas keys and \
                 another --journal FILE"
                    .to_owned(),
            ),
            TryLockError::Error(error) => unusable(error),
        })?;
        let (length, under_way) = read(&file, chain).map_err(named)?;
        let mut log = Log { path: path.to_owned(), file, length, under_way };
        log.begin(chain, accounts).map_err(unusable)?;
        if made {
            // A new file is lost with its folder.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable)?;
        }
        Ok(Self(Arc::new(Mutex::new(log))))
    }

    /// Whether transactions of earlier runs have not ended, as far as they are kept.
    pub(in crate::evac) fn has_left(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way.is_empty()
    }

    /// Off the async threads: each record is waited for until it is on the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        write: impl FnOnce(&mut Log) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let log = self.0.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            write(&mut log).map_err(|error| format!("{}: {error}", log.path.display()))
        });
        Ok(written.await??)
    }
}

impl Log {
    fn begin(&mut self, chain: &ChainId, accounts: &[String]) -> std::io::Result<()> {
        if self.under_way.is_empty() {
            // Nothing of what is in it matters any more.
            self.length = 0;
            self.append(&Record::EvacuationJournal { version: VERSION, chain: chain.clone() })?;
        }
        self.append(&Record::Keys(accounts.to_vec()))
    }

    fn append(&mut self, record: &Record) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        // Also what an append that failed has left.
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// Bytes of whole lines, and what of their transactions has not ended. The last line may be cut.
fn read(file: &File, chain: &ChainId) -> Result<(u64, Vec<(Errand, Relayed)>), String> {
    let (mut length, mut under_way, mut line) = (0, Vec::<(Errand, Relayed)>::new(), Vec::new());
    let mut lines = BufReader::new(file);
    for number in 1.. {
        line.clear();
        let malformed = |why: &dyn std::fmt::Display| {
            format!(
                "line {number} is malformed ({why}): it is no journal of an evacuation; name another with --journal FILE"
            )
        };
        let read = lines.read_until(b'\n', &mut line).map_err(|error| malformed(&error))?;
        let cut = !line.ends_with(b"\n");
        if cut && (number > 1 || line.starts_with(TITLE) || TITLE.starts_with(&line)) {
            break;
        }
        let record: Record = serde_json::from_slice(&line).map_err(|error| malformed(&error))?;
        match record {
            Record::EvacuationJournal { version: VERSION, chain: of } if of == *chain && number == 1 => {}
            Record::EvacuationJournal { version: VERSION, chain: of } if number == 1 => {
                return Err(format!("it is of {of} and not of {chain}; name another with --journal FILE"));
            }
            Record::EvacuationJournal { version, .. } if number == 1 => {
                return Err(format!("it is of version {version}, which this program does not know"));
            }
            _ if number == 1 => return Err(malformed(&"its first line is another")),
            Record::EvacuationJournal { .. } => return Err(malformed(&"it begins again")),
            Record::Keys(_) => {}
            Record::Sent { of, purpose, tx, claim, raw, counted } => {
                let claim = claim.parse::<Claim>().map_err(|error| malformed(&error))?;
                let bytes = |text: &str| BASE64.decode(text.as_bytes()).map_err(|error| malformed(&error));
                let raw = match (raw, counted) {
                    (Some(raw), None) => bytes(&raw)?,
                    (None, Some(counted)) => {
                        written_out(&bytes(&counted)?).ok_or_else(|| malformed(&"its bytes end"))?
                    }
                    _ => return Err(malformed(&"it has no bytes, or twice")),
                };
                under_way.push((Errand { of, purpose }, Relayed { tx, raw, claim }));
            }
            Record::Ended(txs) => under_way.retain(|(_, relayed)| !txs.contains(&relayed.tx)),
        }
        length += read as u64;
    }
    Ok((length, under_way))
}

/// What the first line begins with.
const TITLE: &[u8] = b"{\"evacuationJournal\":";

#[async_trait]
impl Journal for OnDisk {
    async fn under_way(&self) -> Result<Vec<(Errand, Relayed)>, JournalError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way.clone())
    }

    async fn write(&self, errand: &Errand, relayed: &Relayed) -> Result<(), JournalError> {
        let (errand, relayed) = (errand.clone(), relayed.clone());
        self.on_disk(move |log| {
            log.append(&Record::Sent {
                of: errand.of.clone(),
                purpose: errand.purpose.clone(),
                tx: relayed.tx.clone(),
                claim: relayed.claim.to_string(),
                raw: None,
                counted: Some(BASE64.encode(&counted(&relayed.raw))),
            })?;
            log.under_way.push((errand, relayed));
            Ok(())
        })
        .await
    }

    async fn end(&self, txs: Vec<String>) -> Result<(), JournalError> {
        self.on_disk(move |log| {
            log.under_way.retain(|(_, relayed)| !txs.contains(&relayed.tx));
            log.append(&Record::Ended(txs))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const KEY: &str = "0x00000000000000000000000000000000000000aa";

    fn open(folder: &TempDir) -> Result<OnDisk> {
        open_on(folder, "eip155:1")
    }

    fn open_on(folder: &TempDir, chain: &str) -> Result<OnDisk> {
        OnDisk::open(&folder.path().join("plan.journal"), &chain.parse().unwrap(), &[KEY.to_owned()])
    }

    fn refused(opened: Result<OnDisk>) -> String {
        opened.err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn sent(nonce: u64) -> (Errand, Relayed) {
        let errand = Errand { of: format!("batch {nonce}"), purpose: "execution".to_owned() };
        (errand, Relayed { tx: format!("0x{nonce}"), raw: vec![1, 2, 255], claim: Claim::Sequence(nonce) })
    }

    async fn write(journal: &OnDisk, nonce: u64) {
        let (errand, relayed) = sent(nonce);
        Journal::write(journal, &errand, &relayed).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_written_comes_back_in_order_until_it_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(&folder).unwrap();
        for nonce in [3, 4, 5] {
            write(&journal, nonce).await;
        }
        journal.end(vec!["0x4".to_owned()]).await.unwrap();
        drop(journal);
        let journal = open(&folder).unwrap();
        assert_eq!(journal.under_way().await.unwrap(), [sent(3), sent(5)]);
        assert!(journal.has_left());
        journal.end(vec!["0x3".to_owned(), "0x5".to_owned()]).await.unwrap();
        let grown = fs::metadata(folder.path().join("plan.journal")).unwrap().len();
        drop(journal);
        let journal = open(&folder).unwrap();
        assert_eq!(journal.under_way().await.unwrap(), []);
        drop(journal);
        let text = fs::read_to_string(folder.path().join("plan.journal")).unwrap();
        assert!((text.len() as u64) < grown && text.lines().count() == 2 && text.contains(KEY), "begun anew: {text}");
    }

    #[tokio::test]
    async fn what_an_earlier_build_has_kept_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let lines = "{\"evacuationJournal\":{\"version\":1,\"chain\":\"eip155:1\"}}\n\
                     {\"sent\":{\"of\":\"batch 3\",\"purpose\":\"execution\",\"tx\":\"0x3\",\"claim\":\"nonce 3\",\"raw\":\"AQL/\"}}\n";
        fs::write(folder.path().join("plan.journal"), lines).unwrap();
        assert_eq!(open(&folder).unwrap().under_way().await.unwrap(), [sent(3)]);
    }

    #[tokio::test]
    async fn wherever_a_kill_cuts_it_what_was_whole_is_there_and_more_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.journal");
        let journal = open(&folder).unwrap();
        write(&journal, 3).await;
        drop(journal);
        let before = fs::read(&path).unwrap().len();
        let journal = open(&folder).unwrap();
        write(&journal, 4).await;
        drop(journal);
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let journal = open(&folder).unwrap();
            let kept = journal.under_way().await.unwrap();
            let expected = if cut >= before { vec![sent(3)] } else { Vec::new() };
            assert_eq!(kept, expected, "at {cut}");
            write(&journal, 9).await;
            drop(journal);
            assert_eq!(
                open(&folder).unwrap().under_way().await.unwrap(),
                [expected, vec![sent(9)]].concat(),
                "at {cut}"
            );
        }
        // A disk that was written in blocks may end in zeros.
        fs::write(&path, [&whole[..], &[0; 9]].concat()).unwrap();
        assert_eq!(open(&folder).unwrap().under_way().await.unwrap(), [sent(3), sent(4)]);
    }

    #[tokio::test]
    async fn a_second_process_another_chain_and_any_other_file_are_refused_and_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.journal");
        let journal = open(&folder).unwrap();
        write(&journal, 3).await;
        assert!(refused(open(&folder)).contains("another run is going on with it"));
        drop(journal);
        assert!(refused(open_on(&folder, "eip155:5")).contains("it is of eip155:1 and not of eip155:5"));
        let text = fs::read_to_string(&path).unwrap();
        for (other, why) in [
            ("a letter".to_owned(), "line 1 is malformed"),
            ("{\"keys\":[]}\n".to_owned(), "its first line is another"),
            (text.replace("\"version\":1", "\"version\":2"), "it is of version 2"),
            (text.replace("nonce 3", "nonce x"), "line 3 is malformed"),
            (text.replace("AQL/", "!"), "line 3 is malformed"),
            (format!("{text}\n{text}"), "line 4 is malformed"),
            (format!("{text}{text}"), "it begins again"),
        ] {
            fs::write(&path, &other).unwrap();
            let said = refused(open(&folder));
            assert!(said.contains(why), "{other}: {said}");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }
}
