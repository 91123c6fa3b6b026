//! A bundle of version 1: each step a rung of its own.

use std::collections::BTreeMap;

use chain::{Asset, ChainId, Effect};
use chain_adapters::Adapters;
use evacuation::{EvacuationError, Step, VerifiedBundle, VerifiedStep};

use super::value::Values;
use crate::evac::sending::{Holding, Ladder, Line, Portion, Rung};

/// The wallets of a bundle, in the order of their first steps, the lines of the report, and what they are worth. Nothing
/// is sent of a bundle that is not signed by both.
pub(super) fn ladders(bundle: &VerifiedBundle) -> Result<(Portion, Values), EvacuationError> {
    let (mut lines, mut values) = (Vec::new(), Values::default());
    let mut ladders: Vec<Ladder> = Vec::new();
    let mut places: BTreeMap<(&ChainId, &str), usize> = BTreeMap::new();
    for (line, verified) in bundle.steps().iter().enumerate() {
        let Step { wallet: id, chain, address, asset, contract, amount, destination, .. } = verified.step();
        lines.push(Line {
            id: id.to_string(),
            address: address.clone(),
            asset: asset.clone(),
            to: destination.clone(),
            amount: *amount,
        });
        let place = values.add(asset, contract.as_deref(), *amount);
        let (rung, holding) = (rung(line, verified)?, Holding { line, asset: place, amount: *amount });
        if let Some(ladder) = places.get(&(chain, address.as_str())).and_then(|place| ladders.get_mut(*place)) {
            ladder.rungs.push(rung);
            ladder.holdings.push(holding);
            continue;
        }
        let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: chain.clone(), source };
        let (rules, wallet) = (Adapters::all().rules(chain).map_err(wrong)?, verified.wallet().clone());
        let creation = rules.creation(&wallet).map_err(wrong)?;
        places.insert((chain, address), ladders.len());
        ladders.push(Ladder { rules, wallet, creation, rungs: vec![rung], holdings: vec![holding], unsigned: None });
    }
    Ok((Portion { ladders, lines }, values))
}

fn rung(line: usize, verified: &VerifiedStep) -> Result<Rung, EvacuationError> {
    let Step { asset, contract, amount, destination, claims, .. } = verified.step();
    Ok(Rung {
        line,
        claims: claims.clone(),
        effect: Effect::Transfer { asset: asset.clone(), to: destination.clone(), amount: *amount },
        asset: Asset { symbol: asset.clone(), contract: contract.clone() },
        call: verified.call()?,
        id: *verified.id(),
    })
}
