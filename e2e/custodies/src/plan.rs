//! Plans of version 2, drawn up without a node.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Asset, ChainId, Claim, Created, Held, WalletState};
use chain_adapters::Adapters;
use custody::manifest::SignedManifest;
use evacuation::{
    ExportedWallet, Sources, States,
    stream::{Block, Draft, OwnerPair, Request},
};

/// A wallet as a planner finds it.
pub struct FoundWallet {
    /// Of a signer.
    pub record: ExportedWallet,
    /// The nonce of its next transaction; none: it does not exist yet.
    pub live: Option<u64>,
    /// What it holds of each asset, smallest unit.
    pub held: Vec<u128>,
}

/// A plan that moves all these hold of these assets, for these owners to sign.
pub fn plan(
    signed: &SignedManifest,
    chain: &ChainId,
    assets: &[Asset],
    owners: OwnerPair,
    wallets: &[FoundWallet],
) -> Vec<u8> {
    let (manifest, adapters) = (signed.verify().unwrap(), Adapters::all());
    let mut sources = Sources::new(chain, &manifest, &adapters);
    sources.file("wallets.json");
    wallets.iter().for_each(|wallet| sources.record(&wallet.record).unwrap());
    let roster = sources.merge().unwrap().roster;
    let mut states = States::new(roster.len(), assets.len());
    for place in 0..roster.len() {
        let found = wallets.iter().find(|wallet| wallet.record.id.as_str() == roster.wallet(place).id).unwrap();
        let created = if found.live.is_some() { Created::Ours } else { Created::No };
        let next = vec![Claim::Sequence(found.live.unwrap_or_default())];
        let balances = found.held.iter().map(|held| Held::Units((*held).into())).collect();
        states.read(place, &WalletState { block: 5, created, next, balances }).unwrap();
    }
    states.finish();
    let request = Request {
        roster: &roster,
        states: &states,
        signed,
        manifest: &manifest,
        chain,
        block: Block { number: 5, id: "0xab".to_owned() },
        assets,
        rebasing: &BTreeSet::new(),
        prices: &BTreeMap::new(),
        least: None,
        work_price: None,
        destination: None,
        owners,
    };
    let mut plan = Vec::new();
    Draft::new(&request, &adapters).unwrap().write(&mut plan).unwrap();
    plan
}
