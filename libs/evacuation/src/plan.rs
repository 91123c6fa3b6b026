//! From wallet records and what a node says of them to unsigned steps.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, Asset, ChainId, Claim, Effect, Payer, hex};
use chain_adapters::Adapters;
use custody::{WalletId, manifest::VerifiedManifest};

use crate::{
    Bundle, EvacuationError, Step, WalletsExport,
    destination::destination,
    wallet::{Recorded, wallet},
};

/// What a node says of one wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    /// Whether the wallet exists on its chain.
    pub created: bool,
    /// What its next transaction may use up: the one next number, or all unspent coins.
    pub next: Vec<Claim>,
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
    adapters: &Adapters,
    destinations: &BTreeMap<ChainId, String>,
) -> Result<Bundle, EvacuationError> {
    export.require(manifest)?;
    let chains: BTreeSet<&ChainId> = states.keys().map(|(_, chain)| chain).collect();
    let mut steps = Vec::new();
    for record in &export.wallets {
        for recorded in record.addresses.keys().filter_map(|chain| record.on(chain)) {
            let Recorded { id, chain, .. } = recorded;
            if !chains.contains(chain) {
                continue;
            }
            let unknown = || EvacuationError::UnknownState { wallet: id.clone(), chain: chain.clone() };
            let state = states.get(&(id.clone(), chain.clone())).ok_or_else(unknown)?;
            let destination = destination(manifest, adapters, chain, destinations.get(chain))?;
            steps.extend(wallet_steps(&recorded, state, manifest, adapters, &destination)?);
        }
    }
    Ok(Bundle::new(manifest, steps))
}

fn wallet_steps(
    recorded: &Recorded<'_>,
    state: &ChainState,
    manifest: &VerifiedManifest,
    adapters: &Adapters,
    destination: &str,
) -> Result<Vec<Step>, EvacuationError> {
    let Recorded { id, chain, hot_key, salt, address } = *recorded;
    let (rules, desc) = wallet(manifest, adapters, recorded)?;
    let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: chain.clone(), source };
    let refused = |refusal| EvacuationError::Refused { wallet: id.clone(), chain: chain.clone(), refusal };
    let present = state.balances.iter().filter(|balance| !balance.amount.is_zero());
    let mut steps = Vec::new();
    for (Balance { asset, amount }, position) in present.zip(0u64..) {
        let claims = claims(&state.next, position);
        let transfer = Effect::Transfer { asset: asset.symbol.clone(), to: destination.to_owned(), amount: *amount };
        let assets = std::slice::from_ref(asset);
        let unsigned = rules.build(&transfer, &desc, assets, &claims).map_err(wrong)?;
        let fee = rules.decode(&unsigned, &desc, assets).map_err(refused)?.fee;
        steps.push(Step {
            wallet: id.clone(),
            chain: chain.clone(),
            address: address.to_owned(),
            hot_key: hot_key.to_owned(),
            salt: salt.to_owned(),
            deploy: !state.created,
            asset: asset.symbol.clone(),
            contract: asset.contract.as_deref().map(|contract| rules.address(contract)).transpose().map_err(wrong)?,
            amount: *amount,
            fee: (fee.payer == Payer::Wallet).then_some(fee.most),
            destination: destination.to_owned(),
            claims,
            unsigned: hex::encode_prefixed(&unsigned),
            signatures: BTreeMap::new(),
        });
    }
    Ok(steps)
}

/// What the step at `position` uses up. Where there are no numbers to count on, it is the same for all: then
/// verification refuses a second step as a duplicate.
fn claims(next: &[Claim], position: u64) -> Vec<Claim> {
    match next {
        // Saturating: a node may say anything, and a nonce this high is refused as a duplicate by verification.
        [Claim::Sequence(first)] => vec![Claim::Sequence(first.saturating_add(position))],
        claims => claims.to_vec(),
    }
}
