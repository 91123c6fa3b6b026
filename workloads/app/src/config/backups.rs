//! Backups that App makes by itself.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;

use super::error::{ConfigError, invalid};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BackupConfig {
    /// The key that they are sealed to, `X...`; its private half is on paper.
    to: String,
    /// A folder on another volume than the database.
    dir: PathBuf,
    every_minutes: u32,
    /// How many are kept.
    keep: usize,
}

/// When backups are made by themselves, and where they are kept.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    /// A valid XKey.
    pub(crate) to: String,
    pub(crate) dir: PathBuf,
    pub(crate) every: Duration,
    /// At least one.
    pub(crate) keep: usize,
}

impl BackupConfig {
    pub(super) fn validate(self) -> Result<Schedule, ConfigError> {
        let Self { to, dir, every_minutes, keep } = self;
        custody::sealed_backup::recipient(&to)
            .map_or_else(|error| invalid(format!("backups.to: {error}")), |_| Ok(()))?;
        if every_minutes == 0 || keep == 0 {
            return invalid("backups.everyMinutes and backups.keep must be at least 1");
        }
        Ok(Schedule { to, dir, every: Duration::from_secs(u64::from(every_minutes) * 60), keep })
    }
}
