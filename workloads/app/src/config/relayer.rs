//! Who pays for gas, and how far they go.

use std::path::PathBuf;

use chain::{Amount, RelayLimits};
use serde::Deserialize;

use super::error::{ConfigError, invalid};

/// Wei.
const GWEI: u128 = 1_000_000_000;

/// What is left out is as [`RelayLimits::DEFAULT`] says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RelayerConfig {
    /// Files with further keys that pay gas. Each holds a float of its own, and has its own transactions under way.
    #[serde(default)]
    more_key_files: Vec<PathBuf>,
    /// The most that a transaction offers for a gas, gwei (10^-9 coins). 500.
    max_fee_per_gas: Option<u64>,
    /// The most gas that a transaction may use. 1,000,000.
    max_gas: Option<u64>,
    /// A transaction that so many blocks left out is made dearer. 3.
    replace_after_blocks: Option<u64>,
    /// A float below this is told, wei. 0.05 coins.
    least_float: Option<Amount>,
}

/// The same, validated.
pub(crate) struct RelayerSettings {
    /// At least one.
    pub(crate) key_files: Vec<PathBuf>,
    pub(crate) limits: RelayLimits,
}

impl RelayerConfig {
    pub(super) fn validate(self, key_file: PathBuf) -> Result<RelayerSettings, ConfigError> {
        let standard = RelayLimits::DEFAULT;
        let limits = RelayLimits {
            max_price: self.max_fee_per_gas.map_or(standard.max_price, |gwei| u128::from(gwei) * GWEI),
            max_gas: self.max_gas.unwrap_or(standard.max_gas),
            replace_after: self.replace_after_blocks.unwrap_or(standard.replace_after),
            least_float: self.least_float.unwrap_or(standard.least_float),
            ..standard
        };
        if limits.max_price == 0 || limits.max_gas == 0 || limits.replace_after == 0 {
            return invalid("relayer: maxFeePerGas, maxGas and replaceAfterBlocks must be at least 1");
        }
        let mut key_files = vec![key_file];
        key_files.extend(self.more_key_files);
        Ok(RelayerSettings { key_files, limits })
    }
}
