//! Wallets of which there is no chain: keys and addresses are real, balances are a pure function of the number.

use std::{collections::HashMap, fs::File, io::BufWriter, num::NonZero, path::Path, sync::Arc, thread};

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue};
use anyhow::{Context, Result, anyhow};
use chain::ChainRules;
use chain_evm::{EvmSafe, constants::MULTICALL};
use custody::{manifest::VerifiedManifest, phrase::EIP155};
use evacuation::{AuditHead, ExportWriter, ExportedAsset, ExportedWallet};
use harness::rpc_proxy::Fault;
use serde_json::Value;

use crate::{
    assets::Kind,
    safe::{Answered, aggregate3Call, getEthBalanceCall, getOwnersCall, getThresholdCall, nonceCall, parts},
    seeded,
};

/// The least that a wallet holds, dollars: more than it costs to move it.
const LEAST: f64 = 50.0;

/// All of them, as a node would know them.
pub(super) struct Wallets {
    seed: u64,
    by_address: HashMap<Address, u32>,
    /// By number, as an address.
    hot: Vec<Address>,
    cool: Address,
    cold: Address,
}

/// One of them.
struct Made {
    key: Vec<u8>,
    address: String,
    hot: Address,
}

impl Wallets {
    /// Makes so many, and writes the export that a signer would have printed of them.
    pub(super) fn export(count: usize, seed: u64, manifest: &VerifiedManifest, file: &Path) -> Result<Self> {
        let chain: chain::ChainId = custodies::CHAIN.parse()?;
        let rules = EvmSafe::new(chain.clone())?;
        let output = BufWriter::new(File::create(file).with_context(|| format!("cannot write {}", file.display()))?);
        let head = AuditHead { count: 0, hash: "0".repeat(64) };
        let asset = ExportedAsset {
            chain: chain.clone(),
            symbol: Kind::Eth.symbol().to_owned(),
            contract: "native".to_owned(),
        };
        let mut writer = ExportWriter::begin(output, manifest, &head, &[asset])?;
        let anybody = manifest.owners(&chain, &rules.public_key(&[1; 32])?)?;
        let (cool, cold) = (rules.owner_address(&anybody.cool)?.parse()?, rules.owner_address(&anybody.cold)?.parse()?);
        let (mut by_address, mut hot) = (HashMap::with_capacity(count), Vec::with_capacity(count));
        for (number, made) in made(count, seed, &rules, manifest)?.into_iter().enumerate() {
            by_address.insert(made.address.parse()?, u32::try_from(number)?);
            hot.push(made.hot);
            let keys = [(EIP155.to_owned(), made.key)].into();
            let id = format!("user-{number:07}").parse()?;
            writer.wallet(&ExportedWallet::new(id, &keys, [0; 32], [(chain.clone(), made.address)].into()))?;
        }
        writer.finish()?;
        Ok(Self { seed, by_address, hot, cool, cold })
    }

    /// Answers calls about these wallets; a node is asked about everything else.
    pub(super) fn call(self: Arc<Self>) -> Fault {
        Fault::respond(move |params| {
            let to: Address = params[0]["to"].as_str()?.parse().ok()?;
            let data = params[0]["data"].as_str().or_else(|| params[0]["input"].as_str())?;
            let data: Bytes = data.parse().ok()?;
            let answer = match to == MULTICALL {
                true => self.together(&data)?,
                false => self.answer(to, &data)?,
            };
            Some(Value::String(answer.to_string()))
        })
    }

    /// Answers for their balances.
    pub(super) fn balance(self: Arc<Self>) -> Fault {
        Fault::respond(move |params| {
            let who: Address = params[0].as_str()?.parse().ok()?;
            let number = self.by_address.get(&who)?;
            Some(Value::String(format!("{:#x}", self.held(*number))))
        })
    }

    /// Answers to all calls of one `aggregate3`, or to none.
    fn together(&self, data: &[u8]) -> Option<Bytes> {
        let calls = parts(data);
        let answered = calls
            .iter()
            .map(|call| Some(Answered { success: true, returnData: self.answer(call.target, &call.callData)? }));
        let answered: Vec<Answered> = answered.collect::<Option<_>>()?;
        (!answered.is_empty()).then(|| aggregate3Call::abi_encode_returns(&answered).into())
    }

    fn answer(&self, to: Address, data: &Bytes) -> Option<Bytes> {
        if to == MULTICALL {
            let asked = getEthBalanceCall::abi_decode(data).ok()?;
            let number = self.by_address.get(&asked.addr)?;
            return Some(U256::from(self.held(*number)).abi_encode().into());
        }
        let number = *self.by_address.get(&to)?;
        // Half of them are not there yet, and answer with nothing.
        if number.is_multiple_of(2) {
            return Some(Bytes::new());
        }
        let selector = *data.first_chunk::<4>()?;
        Some(match selector {
            nonceCall::SELECTOR => U256::ZERO.abi_encode().into(),
            getThresholdCall::SELECTOR => U256::from(2).abi_encode().into(),
            getOwnersCall::SELECTOR => vec![*self.hot.get(number as usize)?, self.cool, self.cold].abi_encode().into(),
            _ => return None,
        })
    }

    fn held(&self, number: u32) -> u128 {
        Kind::Eth.units(seeded::pareto(self.seed, number.into(), LEAST))
    }
}

/// All, on as many cores as there are.
fn made(count: usize, seed: u64, rules: &EvmSafe, manifest: &VerifiedManifest) -> Result<Vec<Made>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let share = count.div_ceil(cores).max(1);
    let make = |number: usize| -> Result<Made> {
        let key = rules.public_key(&seeded::bytes(seed, "hot key", number as u64))?;
        let desc = rules.wallet(&manifest.owners(rules.id(), &key)?, [0; 32])?;
        Ok(Made { key, hot: desc.owner_addresses[0].parse()?, address: desc.address })
    };
    let make = &make;
    thread::scope(|scope| {
        let parts = (0..count).step_by(share).map(|first| {
            let last = (first + share).min(count);
            scope.spawn(move || (first..last).map(make).collect::<Result<Vec<Made>>>())
        });
        let parts: Vec<_> = parts.collect();
        let mut all = Vec::with_capacity(count);
        for part in parts {
            all.extend(part.join().map_err(|_| anyhow!("the wallets can't be made"))??);
        }
        Ok(all)
    })
}

#[cfg(test)]
mod tests {
    use custodies::Custody;
    use evacuation::WalletsExport;

    use super::*;
    use crate::safe::{asked, together};

    #[test]
    fn the_stand_in_answers_for_the_wallets_of_the_export_and_for_nobody_else() {
        let (custody, folder) = (Custody::fixed(), tempfile::tempdir().unwrap());
        let file = folder.path().join("wallets.json");
        let wallets = Wallets::export(3, 1, &custody.manifest, &file).unwrap();
        let export = WalletsExport::parse(&std::fs::read(file).unwrap()).unwrap();
        let found = export.on(&custodies::CHAIN.parse().unwrap(), &custody.manifest, &chain_adapters::Adapters::all());
        let found = found.unwrap();
        assert_eq!(found.len(), 3, "each is what its keys give");
        let address: Vec<Address> = found.iter().map(|(_, wallet)| wallet.address.parse().unwrap()).collect();
        let ask = |who: Address| {
            let calls = vec![
                asked(MULTICALL, getEthBalanceCall { addr: who }.abi_encode(), true),
                asked(who, getOwnersCall {}.abi_encode(), true),
            ];
            let answer = wallets.together(&together(calls).1)?;
            Some(aggregate3Call::abi_decode_returns(&answer).unwrap())
        };
        let exists = ask(address[1]).unwrap();
        assert_eq!(U256::from_be_slice(&exists[0].returnData), U256::from(wallets.held(1)));
        let owners = getOwnersCall::abi_decode_returns(&exists[1].returnData).unwrap();
        assert_eq!(owners.iter().map(Address::to_string).collect::<Vec<_>>(), found[1].1.owner_addresses);
        assert!(ask(address[0]).unwrap()[1].returnData.is_empty(), "it does not exist yet");
        assert!(ask(Address::repeat_byte(9)).is_none());
    }
}
