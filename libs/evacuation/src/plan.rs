//! From wallet records and what a node says of them to unsigned steps.

use std::collections::BTreeMap;

use chain::{Amount, Asset, ChainId, ChainRules, Claim, Effect};
use chain_evm::EvmSafe;
use custody::{WalletId, manifest::VerifiedManifest};

use crate::{
    Bundle, EvacuationError, ExportedWallet, Step, WalletsExport, export::wallet, hex, verify::safe_destination,
};

/// What a node says of one wallet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainState {
    /// Whether the wallet has code.
    pub deployed: bool,
    /// Its next nonce; 0 where it has no code.
    pub nonce: u64,
    /// Balances of native coin and listed tokens.
    pub balances: Vec<Balance>,
}

/// A balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Which asset.
    pub asset: Asset,
    /// How much, in the smallest unit.
    pub amount: Amount,
}

/// One step per wallet, chain and asset that is there, at consecutive nonces. Chains without an entry in `states` are
/// left alone when no wallet of theirs has one; `destinations` chooses among the manifest's safe destinations by chain
/// (the first, where it says nothing).
pub fn plan(
    export: &WalletsExport,
    states: &BTreeMap<(WalletId, ChainId), ChainState>,
    manifest: &VerifiedManifest,
    destinations: &BTreeMap<ChainId, String>,
) -> Result<Bundle, EvacuationError> {
    export.require(manifest)?;
    let mut steps = Vec::new();
    for record in &export.wallets {
        for (chain, address) in &record.addresses {
            if !states.keys().any(|(_, known)| known == chain) {
                continue;
            }
            let key = (record.id.clone(), chain.clone());
            let unknown = || EvacuationError::UnknownState { wallet: record.id.clone(), chain: chain.clone() };
            let state = states.get(&key).ok_or_else(unknown)?;
            let destination = destination(manifest, chain, destinations.get(chain))?;
            steps.extend(wallet_steps(record, chain, address, state, manifest, &destination)?);
        }
    }
    Ok(Bundle::new(manifest, steps))
}

fn wallet_steps(
    record: &ExportedWallet,
    chain: &ChainId,
    address: &str,
    state: &ChainState,
    manifest: &VerifiedManifest,
    destination: &str,
) -> Result<Vec<Step>, EvacuationError> {
    let hot_key = record.hot_keys.get(chain.namespace()).map(String::as_str).unwrap_or_default();
    let (rules, desc) = wallet(manifest, &record.id, chain, hot_key, &record.salt, address)?;
    let wrong = |source| EvacuationError::Chain { wallet: record.id.clone(), chain: chain.clone(), source };
    let present = state.balances.iter().filter(|balance| !balance.amount.is_zero());
    let mut steps = Vec::new();
    for (Balance { asset, amount }, position) in present.zip(0u64..) {
        // Saturating: a node may say anything, and a nonce this high is refused as a duplicate by verification.
        let nonce = state.nonce.saturating_add(position);
        let transfer = Effect::Transfer { asset: asset.symbol.clone(), to: destination.to_owned(), amount: *amount };
        let unsigned =
            rules.build(&transfer, &desc, std::slice::from_ref(asset), &[Claim::Sequence(nonce)]).map_err(wrong)?;
        steps.push(Step {
            wallet: record.id.clone(),
            chain: chain.clone(),
            address: address.to_owned(),
            hot_key: hot_key.to_owned(),
            salt: record.salt.clone(),
            deploy: !state.deployed,
            asset: asset.symbol.clone(),
            contract: asset.contract.as_deref().map(|contract| rules.address(contract)).transpose().map_err(wrong)?,
            amount: *amount,
            destination: destination.to_owned(),
            nonce,
            unsigned: hex::encode(&unsigned),
            signatures: BTreeMap::new(),
        });
    }
    Ok(steps)
}

/// The destination asked for, or the manifest's first, in display form.
fn destination(
    manifest: &VerifiedManifest,
    chain: &ChainId,
    asked: Option<&String>,
) -> Result<String, EvacuationError> {
    let first = manifest.safe_destinations(chain.as_str()).first();
    let to = asked.or(first).ok_or_else(|| EvacuationError::NoDestination(chain.clone()))?;
    let elsewhere = || EvacuationError::NotADestination { to: to.clone(), chain: chain.clone() };
    let rules = EvmSafe::new(chain.clone()).map_err(|_| elsewhere())?;
    let to = rules.address(to).map_err(|_| elsewhere())?;
    if safe_destination(&rules, manifest, &to) { Ok(to) } else { Err(elsewhere()) }
}
