//! A wallet, recomputed from its record and the manifest.

use std::sync::Arc;

use chain::{ChainId, ChainRules, WalletDesc, hex};
use chain_adapters::Adapters;
use custody::{WalletId, manifest::VerifiedManifest};

use crate::EvacuationError;

/// What a document says of one wallet on one chain.
pub(crate) struct Recorded<'a> {
    pub(crate) id: &'a WalletId,
    pub(crate) chain: &'a ChainId,
    pub(crate) hot_key: &'a str,
    pub(crate) salt: &'a str,
    pub(crate) address: &'a str,
}

/// The wallet of a hot key, a salt and the manifest's cool and cold keys; it must have the address in the document.
pub(crate) fn wallet(
    manifest: &VerifiedManifest,
    adapters: &Adapters,
    recorded: &Recorded<'_>,
) -> Result<(Arc<dyn ChainRules>, WalletDesc), EvacuationError> {
    let Recorded { id, chain, hot_key, salt, address } = *recorded;
    let malformed = |field| EvacuationError::Hex { wallet: id.clone(), field };
    let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: chain.clone(), source };
    let hot = hex::decode_prefixed(hot_key).ok_or_else(|| malformed("the hot key"))?;
    let salt =
        hex::decode_prefixed(salt).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| malformed("the salt"))?;
    let rules = adapters.rules(chain).map_err(wrong)?;
    let owners = manifest.owners(chain, &hot).map_err(wrong)?;
    let wallet = rules.wallet(&owners, salt).map_err(wrong)?;
    if wallet.address != address {
        return Err(EvacuationError::OtherAddress {
            wallet: id.clone(),
            chain: chain.clone(),
            computed: wallet.address,
            said: address.to_owned(),
        });
    }
    Ok((rules, wallet))
}

/// Whether `to` (display form) is one of the manifest's safe destinations.
pub(crate) fn safe_destination(rules: &dyn ChainRules, manifest: &VerifiedManifest, to: &str) -> bool {
    let safe = manifest.safe_destinations(rules.id().as_str());
    safe.iter().any(|safe| rules.address(safe).is_ok_and(|safe| safe == to))
}
