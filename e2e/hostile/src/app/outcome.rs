//! What came of an attack of App.

use anyhow::Result;

use crate::{refusals::Refusals, world::Arena};

/// It, measured on the chain.
pub(super) struct Outcome {
    pub(super) refused_by: Refusals,
    pub(super) moved: u128,
    /// What the local policy lets whoever has App's credentials move this way.
    pub(super) limit: u128,
}

impl Outcome {
    /// Measures what moved.
    pub(super) async fn of(arena: &Arena<'_>, refused_by: Refusals, limit: u128) -> Result<Self> {
        Ok(Self { refused_by, moved: arena.moved().await?, limit })
    }
}
