//! Where an evacuation goes.

use chain::{ChainError, ChainId};
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;

use crate::{EvacuationError, wallet::safe_destination};

/// The destination asked for, or the manifest's first, in display form.
pub(crate) fn destination(
    manifest: &VerifiedManifest,
    adapters: &Adapters,
    chain: &ChainId,
    asked: Option<&String>,
) -> Result<String, EvacuationError> {
    let first = manifest.safe_destinations(chain.as_str()).first();
    let to = asked.or(first).ok_or_else(|| EvacuationError::NoDestination(chain.clone()))?;
    let elsewhere = || EvacuationError::NotADestination { to: to.clone(), chain: chain.clone() };
    let rules = adapters.rules(chain).map_err(|_| elsewhere())?;
    let to = rules.address(to).map_err(|error| match error {
        ChainError::Address(_) => elsewhere(),
        source => EvacuationError::Destination { chain: chain.clone(), source },
    })?;
    if safe_destination(rules.as_ref(), manifest, &to) { Ok(to) } else { Err(elsewhere()) }
}
