//! How much there is of what has a quota, and how much room the file has: numbers, so that nobody counts rows.

use super::{
    error::StoreError,
    ledger::{Ledger, signed, unsigned},
};

/// What has a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoted {
    /// Refusals that are kept with their reply.
    Refusals,
    /// Wallets whose hot keys were made here.
    Keys,
    /// Wallets that are registered.
    Wallets,
}

/// How much of a quota is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Minutes since 1970: the last in which anything was used.
    pub minute: u64,
    /// In that minute.
    pub in_minute: u64,
    /// In all.
    pub in_all: u64,
}

/// The file, as a volume's room depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileUse {
    /// Bytes of pages that hold nothing and are written next.
    pub free: u64,
    /// Wallets that are registered, or whose keys are here.
    pub wallets: u64,
}

impl Quoted {
    fn as_str(self) -> &'static str {
        match self {
            Quoted::Refusals => "refusals",
            Quoted::Keys => "keys",
            Quoted::Wallets => "wallets",
        }
    }
}

impl Ledger<'_> {
    /// How much of a quota is used.
    pub fn used(&self, of: Quoted) -> Result<Used, StoreError> {
        let (minute, in_minute, in_all) = self
            .connection
            .prepare_cached("SELECT minute, in_minute, in_all FROM used WHERE what = ?1")?
            .query_row([of.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(Used { minute: unsigned(minute)?, in_minute: unsigned(in_minute)?, in_all: unsigned(in_all)? })
    }

    /// Notes it.
    pub fn note_used(&self, of: Quoted, used: Used) -> Result<(), StoreError> {
        let Used { minute, in_minute, in_all } = used;
        self.connection
            .prepare_cached("UPDATE used SET minute = ?2, in_minute = ?3, in_all = ?4 WHERE what = ?1")?
            .execute((of.as_str(), signed(minute)?, signed(in_minute)?, signed(in_all)?))?;
        Ok(())
    }

    /// Freezes in force of wallets that were not registered when they were frozen.
    pub fn unregistered_freezes(&self) -> Result<u64, StoreError> {
        let count = self
            .connection
            .prepare_cached("SELECT count(*) FROM freezes WHERE unregistered = 1")?
            .query_row([], |row| row.get(0))?;
        unsigned(count)
    }

    /// Whether this very wallet is frozen.
    pub fn has_freeze(&self, wallet: &str) -> Result<bool, StoreError> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM freezes WHERE wallet = ?1")?.exists([wallet])?)
    }

    /// Whether hot keys of a wallet are here.
    pub fn has_keys(&self, wallet: &str) -> Result<bool, StoreError> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM hot WHERE wallet = ?1")?.exists([wallet])?)
    }

    /// Whether a wallet is registered, on whatever chains.
    pub fn has_wallet(&self, wallet: &str) -> Result<bool, StoreError> {
        Ok(self.connection.prepare_cached("SELECT 1 FROM wallets WHERE wallet = ?1")?.exists([wallet])?)
    }

    /// What the file has room for.
    pub fn file_use(&self) -> Result<FileUse, StoreError> {
        let pragma = |name: &str| -> Result<u64, StoreError> {
            unsigned(self.connection.pragma_query_value(None, name, |row| row.get(0))?)
        };
        let wallets = self.used(Quoted::Wallets)?.in_all.max(self.used(Quoted::Keys)?.in_all);
        Ok(FileUse { free: pragma("freelist_count")?.saturating_mul(pragma("page_size")?), wallets })
    }
}
