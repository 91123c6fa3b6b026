//! What a broadcaster checks, who has no manifest: he can steal nothing, and should send nothing in vain.

use std::collections::BTreeSet;

use chain::{Asset, ChainRules, KeyRole, Owners};
use chain_evm::EvmSafe;

use crate::{Bundle, EvacuationError, Step, VerifiedStep, hex, verify::same_effect};

impl Bundle {
    /// The steps, each signed by two owners of the wallet at its address. Cool's and cold's public keys are recovered
    /// from the signatures: since the address binds all three owners, other keys would give another address. Where the
    /// money goes was for the stations to check ([`Bundle::verify`]); without both signatures there is nothing here.
    pub fn signed(&self) -> Result<Vec<VerifiedStep>, EvacuationError> {
        let mut seen = BTreeSet::new();
        for Step { address, chain, wallet, nonce, .. } in &self.steps {
            if !seen.insert((chain, address, nonce)) {
                return Err(EvacuationError::Duplicate { wallet: wallet.clone(), chain: chain.clone(), nonce: *nonce });
            }
        }
        self.steps.iter().map(signed).collect()
    }
}

fn signed(step: &Step) -> Result<VerifiedStep, EvacuationError> {
    let Step { wallet: id, chain, address, .. } = step;
    let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: chain.clone(), source };
    let malformed = |field| EvacuationError::Hex { wallet: id.clone(), field };
    let rules = EvmSafe::new(chain.clone()).map_err(wrong)?;
    let hot = hex::decode(&step.hot_key).ok_or_else(|| malformed("the hot key"))?;
    let salt = hex::decode(&step.salt).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| malformed("the salt"))?;
    let unsigned = hex::decode(&step.unsigned).ok_or_else(|| malformed("the unsigned transaction"))?;
    let asset = Asset { symbol: step.asset.clone(), contract: step.contract.clone() };
    let refused = |refusal| EvacuationError::Refused { wallet: id.clone(), chain: chain.clone(), refusal };
    let decoded = rules.decode_at(&unsigned, address, &[asset]).map_err(refused)?;
    same_effect(step, &decoded)?;
    let cool = signer(step, &rules, &decoded.id, KeyRole::Cool)?;
    let cold = signer(step, &rules, &decoded.id, KeyRole::Cold)?;
    let wallet = rules.wallet(&Owners { hot, cool, cold }, salt).map_err(wrong)?;
    if wallet.address != *address {
        return Err(EvacuationError::OtherAddress {
            wallet: id.clone(),
            chain: chain.clone(),
            computed: wallet.address,
            said: address.clone(),
        });
    }
    Ok(VerifiedStep { rules, wallet, digest: decoded.id, unsigned, step: step.clone() })
}

/// Public key of whoever signed in a station's name.
fn signer(step: &Step, rules: &EvmSafe, digest: &[u8; 32], role: KeyRole) -> Result<Vec<u8>, EvacuationError> {
    let Step { wallet, chain, signatures, .. } = step;
    let missing = || EvacuationError::NotSigned { wallet: wallet.clone(), chain: chain.clone(), role };
    let signature = hex::decode(signatures.get(&role).ok_or_else(missing)?).unwrap_or_default();
    let bad = || EvacuationError::BadSignature { wallet: wallet.clone(), chain: chain.clone(), role };
    rules.recover(digest, &signature).ok_or_else(bad)
}
