//! Counting of what was paid in windows that are new to this signer.

use policy::Window;

use super::{context::SigningContext, signer::Signer};
use crate::store::StoreError;

/// How long one call counts at most, milliseconds; the next goes on.
const BUDGET_MS: u64 = 1_000;

impl Signer {
    /// Counts, step by step, what was paid before a window of the present policy came into use. Until it is done,
    /// payments that need the window may be `WindowBuilding`. False: all is counted.
    pub async fn count_windows(&self) -> Result<bool, StoreError> {
        let Some(serving) = self.serving() else { return Ok(false) };
        let windows = windows(&serving);
        let until = self.now_ms().saturating_add(BUDGET_MS);
        let mut left = true;
        while left && self.now_ms() < until {
            left = self.store.count_windows(self.now_ms(), windows.clone()).await?;
        }
        Ok(left)
    }
}

fn windows(serving: &SigningContext) -> Vec<Window> {
    let of_chain = |chain| {
        let assets = serving.policy.assets(chain).iter();
        assets.flat_map(move |asset| serving.policy.windows(chain, &asset.symbol)).copied()
    };
    serving.rules.keys().flat_map(of_chain).collect()
}
