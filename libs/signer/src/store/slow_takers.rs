//! A promise of every export: whoever takes it slowly, or stops in the middle, holds nothing up.

use std::{
    io::{self, Write},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
};

use ::audit::{Entry, Header};
use chain::{Amount, Claim};
use custody::{CustodyId, Role};
use rusqlite::Connection;

use super::*;

/// Far more than any export holds at once.
const WALLETS: u32 = 1_000;
const CHAIN: &str = "eip155:1";

/// Stops when `at` bytes were taken, until it is told to go on.
struct Slow {
    taken: usize,
    at: usize,
    stopped: Sender<()>,
    go_on: Receiver<()>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.taken;
        self.taken += bytes.len();
        if before < self.at && self.taken >= self.at {
            self.stopped.send(()).unwrap();
            self.go_on.recv().unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wallet(number: u32) -> String {
    format!("wallet-{number:06}")
}

/// One payment of each wallet, beginning with `first`.
fn pay(ledger: &Ledger<'_>, first: u32, nonce: u64) -> Result<(), StoreError> {
    for number in first..first + WALLETS {
        let (wallet, chain) = (wallet(number), CHAIN.to_owned());
        let mut id = [nonce as u8; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let mark = Watermark { wallet, chain, claims: vec![Claim::Sequence(nonce)], kind: Kind::Payment, id };
        ledger.record(&mark)?;
        let Watermark { wallet, chain, id, .. } = mark.clone();
        let (asset, amount) = ("ETH".to_owned(), Amount::from(1));
        ledger.spend(&Spend { wallet, chain, id, asset, amount, to: None }, true)?;
        ledger.append(Entry { wallet: mark.wallet, ..Entry::default() })?;
    }
    Ok(())
}

fn register(ledger: &Ledger<'_>) -> Result<(), StoreError> {
    for number in 0..WALLETS {
        ledger.register(RegisteredWallet {
            wallet: wallet(number),
            hot_keys: vec![1],
            salt: vec![0; 32],
            addresses: vec![(CHAIN.to_owned(), format!("0x{number:040x}"))],
            record: vec![2],
        })?;
    }
    Ok(())
}

/// Moves all of the log into the file and cuts it off, unless a reader is in the way; the log's bytes.
fn checkpoint(data_dir: &Path) -> (bool, u64) {
    let path = data_dir.join(FILE);
    let connection = Connection::open(&path).unwrap();
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    (busy != 0, std::fs::metadata(path.with_extension("sqlite3-wal")).unwrap().len())
}

type Export = fn(&Ledger<'_>, Slow) -> Result<(), Unwritten>;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_nobody_takes_pins_no_page_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.decide(1, |ledger| pay(ledger, 0, 0).and_then(|()| register(ledger))).await.unwrap();
    let exports: [(&str, Export); 3] = [
        ("history", |ledger, slow| {
            ledger.write_history(CustodyId::from_slice(&[7; 16]).unwrap(), Role::Keeper, None, slow).map(drop)
        }),
        ("audit", |ledger, mut slow| {
            let header = Header::new("keeper", vec![7; 16], ledger.head()?);
            ledger.write_audit(&header, &mut slow)
        }),
        ("wallets", |ledger, mut slow| ledger.each_wallet(|row| Ok(slow.write_all(row.wallet.wallet.as_bytes())?))),
    ];
    for (nonce, (name, export)) in (1..).zip(exports) {
        let ((stopped, has_stopped), (go_on, may_go_on)) = (channel(), channel());
        // After the first page of each, and long before its end.
        let slow = Slow { taken: 0, at: 3_000, stopped, go_on: may_go_on };
        let read = store.export(1, move |ledger| Ok(export(ledger, slow)));
        let meanwhile = async {
            tokio::task::spawn_blocking(move || has_stopped.recv().unwrap()).await.unwrap();
            let mut logs = Vec::new();
            for round in 0..3 {
                store.decide(1, move |ledger| pay(ledger, 0, nonce * 10 + round)).await.unwrap();
                logs.push(checkpoint(dir.path()));
            }
            go_on.send(()).unwrap();
            logs
        };
        let (exported, logs) = tokio::join!(read, meanwhile);
        exported.unwrap().unwrap();
        assert_eq!(logs, [(false, 0); 3], "{name}: the log is moved whole, and cut off");
    }
    // What pins it: a reader in the middle of its query.
    let pinned = Connection::open(dir.path().join(FILE)).unwrap();
    let mut query = pinned.prepare("SELECT wallet FROM wallets").unwrap();
    let mut rows = query.query([]).unwrap();
    rows.next().unwrap();
    store.decide(1, |ledger| pay(ledger, 0, 99)).await.unwrap();
    let (busy, log) = checkpoint(dir.path());
    assert!(busy && log > 0, "the test would see it");
}
