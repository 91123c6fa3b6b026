//! What a signer's files say, read behind its back: after every end the chain is whole and goes on from where it was,
//! what was recorded is still there, and whatever it answered is in them.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use audit::{Decision, Head, Record};
use custodies::CHAIN;
use prost::Message;
use rusqlite::Connection;

use super::requests::Wallet;
use crate::files::open;

/// Tables from which a crash takes nothing.
const TABLES: [&str; 11] = [
    "audit",
    "operations",
    "claims",
    "spends",
    "settled",
    "freezes",
    "hot",
    "hot_keys",
    "wallets",
    "addresses",
    "intents",
];

/// A signature that somebody was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// Wallet id.
    pub(crate) wallet: String,
    /// CAIP-2 chain id.
    pub(crate) chain: String,
    /// Nonce.
    pub(crate) nonce: u64,
    /// What was signed.
    pub(crate) digest: [u8; 32],
}

impl Given {
    /// What a signature stands for.
    pub(crate) fn of(wallet: &Wallet, nonce: u64, digest: [u8; 32]) -> Self {
        Self { wallet: wallet.id.clone(), chain: CHAIN.to_owned(), nonce, digest }
    }
}

/// What is known of a signer's files so far.
#[derive(Default)]
pub(crate) struct Evidence {
    head: Option<Head>,
    rows: BTreeMap<&'static str, i64>,
    spent: u128,
    signed: HashSet<Vec<u8>>,
}

impl Evidence {
    /// Fails loudly where something is missing.
    pub(crate) fn check(&mut self, data_dir: &Path, given: &[Given]) -> Result<()> {
        let connection = open(data_dir)?;
        self.follow(&connection)?;
        for table in TABLES {
            let rows = connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
            let before = self.rows.insert(table, rows).unwrap_or_default();
            ensure!(rows >= before, "{table} had {before} rows and has {rows}");
        }
        let spent = spent(&connection)?;
        ensure!(spent >= self.spent, "the windows counted {} and count {spent}", self.spent);
        self.spent = spent;
        given.iter().try_for_each(|given| self.has(&connection, given))
    }

    /// The chain's new records, each committing to the one before.
    fn follow(&mut self, connection: &Connection) -> Result<()> {
        let mut head = self.head.unwrap_or(Head::EMPTY);
        if head != Head::EMPTY {
            let query = "SELECT hash FROM audit WHERE seq = ?1";
            let hash: [u8; 32] = connection.query_row(query, [i64::try_from(head.count)?], |row| row.get(0))?;
            ensure!(hash == head.hash, "record {} of the audit chain was written anew", head.count);
        }
        let mut query = connection.prepare("SELECT record, hash FROM audit WHERE seq > ?1 ORDER BY seq")?;
        let rows = query.query_map([i64::try_from(head.count)?], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows {
            let (bytes, hash): (Vec<u8>, [u8; 32]) = row?;
            let record = Record::decode(bytes.as_slice())?;
            let next = Head { count: head.count + 1, hash };
            ensure!(
                record.previous == head.hash && record.head() == next,
                "the audit chain breaks after {}",
                head.count
            );
            head = next;
            if record.decision == Decision::Signed.as_str() {
                self.signed.insert(record.digest);
            }
        }
        self.head = Some(head);
        Ok(())
    }

    fn has(&self, connection: &Connection, given: &Given) -> Result<()> {
        let Given { wallet, chain, nonce, digest } = given;
        let query = "SELECT EXISTS (SELECT 1 FROM claims WHERE wallet = ?1 AND chain = ?2 AND nonce = ?3 AND id = ?4)";
        let there: bool =
            connection.query_row(query, (wallet, chain, i64::try_from(*nonce)?, digest), |row| row.get(0))?;
        ensure!(there, "{given:?} was given and has no watermark");
        ensure!(self.signed.contains(&digest[..]), "{given:?} was given and is not in the audit chain");
        Ok(())
    }

    /// All of it once more, by the auditor's own verification; how many records there are.
    pub(crate) fn audit(&self, data_dir: &Path) -> Result<u64> {
        let connection = open(data_dir)?;
        let export = export(&connection)?;
        let verified = audit::verify(&export, self.head.as_slice())?;
        let twice = "SELECT count(*) FROM (SELECT 1 FROM claims WHERE kind = 'payment'
                     GROUP BY wallet, chain, nonce HAVING count(DISTINCT id) > 1)";
        let twice: i64 = connection.query_row(twice, [], |row| row.get(0))?;
        ensure!(twice == 0, "{twice} nonces have two payments");
        let mut query = connection.prepare("SELECT amount FROM spends")?;
        let amounts = query.query_map([], |row| row.get(0))?;
        let sum = amounts.map(|amount| units(amount?)).sum::<Result<u128>>()?;
        ensure!(sum == self.spent, "{sum} was signed and {} is counted", self.spent);
        Ok(verified.head.count)
    }
}

/// The chain as `multisig audit verify` reads it.
pub(crate) fn export(connection: &Connection) -> Result<audit::Export> {
    let mut query = connection.prepare("SELECT record, hash FROM audit ORDER BY seq")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut lines = Vec::new();
    for row in rows {
        let (bytes, hash): (Vec<u8>, [u8; 32]) = row?;
        lines.push(audit::Line { record: Record::decode(bytes.as_slice())?, hash });
    }
    let last = lines.last().context("the audit chain is empty")?;
    let header = audit::Header {
        format: audit::FORMAT.to_owned(),
        version: audit::VERSION,
        custody_id: last.record.custody_id.clone(),
        role: last.record.role.clone(),
        head: Head { count: last.record.seq, hash: last.hash },
        attestation: None,
    };
    Ok(audit::Export { header, lines })
}

/// What all wallets' windows count.
fn spent(connection: &Connection) -> Result<u128> {
    let mut query = connection.prepare("SELECT amount FROM sums WHERE wallet = ''")?;
    let amounts = query.query_map([], |row| row.get(0))?;
    amounts.map(|amount| units(amount?)).sum()
}

fn units(amount: [u8; 32]) -> Result<u128> {
    let (high, low) = amount.split_at(16);
    ensure!(high.iter().all(|byte| *byte == 0), "an amount is above 128 bits");
    Ok(u128::from_be_bytes(low.try_into()?))
}
