//! What a station checks before it signs, and the broadcaster before it sends. It believes the manifest and the bytes.

use std::collections::BTreeSet;

use chain::{Asset, Call, ChainRules, Effect, KeyRole, Payload, Transaction, WalletDesc};
use chain_evm::EvmSafe;
use custody::manifest::VerifiedManifest;
use zeroize::Zeroizing;

use crate::{Bundle, EvacuationError, Step, export::wallet, hex};

const STATIONS: [KeyRole; 2] = [KeyRole::Cool, KeyRole::Cold];

/// A bundle of which every step only moves money to the manifest's safe destinations. There is no other way to make
/// one than [`Bundle::verify`].
#[derive(Debug)]
pub struct VerifiedBundle {
    bundle: Bundle,
    steps: Vec<VerifiedStep>,
}

/// One verified step.
#[derive(Debug)]
pub struct VerifiedStep {
    pub(crate) rules: EvmSafe,
    pub(crate) wallet: WalletDesc,
    pub(crate) digest: [u8; 32],
    pub(crate) unsigned: Vec<u8>,
    pub(crate) step: Step,
}

/// What the broadcaster sends for a step, each with value 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// Deploys the wallet; to be sent first where the wallet has no code.
    pub deployment: Option<Call>,
    /// Moves the money.
    pub execution: Call,
}

impl VerifiedBundle {
    /// The steps, in order.
    pub fn steps(&self) -> &[VerifiedStep] {
        &self.steps
    }

    /// The document, with all signatures so far.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Adds a station's signature to every step. `secret` gives the station's 32-byte secret key for a chain namespace;
    /// a key that is not the manifest's signs nothing.
    pub fn sign<E>(
        &mut self,
        role: KeyRole,
        secret: impl Fn(&str) -> Result<Zeroizing<[u8; 32]>, E>,
    ) -> Result<(), EvacuationError> {
        if !STATIONS.contains(&role) {
            return Err(EvacuationError::NotAStation(role));
        }
        let mut signatures = Vec::new();
        for VerifiedStep { rules, wallet, digest, .. } in &self.steps {
            let other = || EvacuationError::OtherPhrase(role);
            let secret = secret(wallet.chain.namespace()).map_err(|_| other())?;
            let signature = rules.sign(&secret, &Payload::Digest(*digest)).map_err(|_| other())?;
            if !rules.verify(wallet.owners.key(role), &Payload::Digest(*digest), &signature) {
                return Err(other());
            }
            signatures.push(hex::encode(&signature));
        }
        for ((verified, step), signature) in self.steps.iter_mut().zip(&mut self.bundle.steps).zip(signatures) {
            verified.step.signatures.insert(role, signature.clone());
            step.signatures.insert(role, signature);
        }
        Ok(())
    }
}

impl VerifiedStep {
    /// What but the document says of it, all of it verified.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// The wallet, recomputed.
    pub fn wallet(&self) -> &WalletDesc {
        &self.wallet
    }

    /// The 32 bytes that cool and cold sign.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The calls to broadcast; both stations must have signed.
    pub fn calls(&self) -> Result<Calls, EvacuationError> {
        let Step { wallet, chain, .. } = &self.step;
        let mut signatures = Vec::new();
        for role in STATIONS {
            let signature = self.step.signatures.get(&role).and_then(|signature| hex::decode(signature));
            let missing = || EvacuationError::NotSigned { wallet: wallet.clone(), chain: chain.clone(), role };
            signatures.push((role, vec![signature.ok_or_else(missing)?]));
        }
        let wrong = |source| EvacuationError::Chain { wallet: wallet.clone(), chain: chain.clone(), source };
        Ok(Calls {
            deployment: self.rules.creation(&self.wallet).map_err(wrong)?,
            execution: self.rules.assemble(&self.unsigned, &self.wallet, &signatures).map_err(wrong)?,
        })
    }
}

pub(crate) fn bundle(bundle: Bundle, manifest: &VerifiedManifest) -> Result<VerifiedBundle, EvacuationError> {
    let mut seen = BTreeSet::new();
    for Step { address, chain, wallet, nonce, .. } in &bundle.steps {
        if !seen.insert((chain, address, nonce)) {
            return Err(EvacuationError::Duplicate { wallet: wallet.clone(), chain: chain.clone(), nonce: *nonce });
        }
    }
    let steps = bundle.steps.iter().map(|step| self::step(step, manifest)).collect::<Result<_, _>>()?;
    Ok(VerifiedBundle { bundle, steps })
}

/// Whether `to` (display form) is one of the manifest's.
pub(crate) fn safe_destination(rules: &EvmSafe, manifest: &VerifiedManifest, to: &str) -> bool {
    let safe = manifest.safe_destinations(rules.id().as_str());
    safe.iter().any(|safe| rules.address(safe).is_ok_and(|safe| safe == to))
}

fn step(step: &Step, manifest: &VerifiedManifest) -> Result<VerifiedStep, EvacuationError> {
    let Step { wallet: id, chain, address, hot_key, salt, asset, contract, unsigned, signatures, .. } = step;
    let (rules, wallet) = wallet(manifest, id, chain, hot_key, salt, address)?;
    let malformed = || EvacuationError::Hex { wallet: id.clone(), field: "the unsigned transaction" };
    let unsigned = hex::decode(unsigned).ok_or_else(malformed)?;
    let asset = Asset { symbol: asset.clone(), contract: contract.clone() };
    let decoded = rules.decode(&unsigned, &wallet, &[asset]).map_err(|refusal| EvacuationError::Refused {
        wallet: id.clone(),
        chain: chain.clone(),
        refusal,
    })?;
    same_effect(step, &decoded)?;
    if !safe_destination(&rules, manifest, &step.destination) {
        return Err(EvacuationError::NotADestination { to: step.destination.clone(), chain: chain.clone() });
    }
    for (role, signature) in signatures {
        if !STATIONS.contains(role) {
            return Err(EvacuationError::NotAStation(*role));
        }
        let signature = hex::decode(signature).unwrap_or_default();
        if !rules.verify(wallet.owners.key(*role), &Payload::Digest(decoded.id), &signature) {
            return Err(EvacuationError::BadSignature { wallet: id.clone(), chain: chain.clone(), role: *role });
        }
    }
    Ok(VerifiedStep { rules, wallet, digest: decoded.id, unsigned, step: step.clone() })
}

/// What people are shown must be what the bytes do.
pub(crate) fn same_effect(step: &Step, decoded: &Transaction) -> Result<(), EvacuationError> {
    // The only free text in a step.
    if !custody::local_policy::is_symbol(&step.asset) {
        return Err(EvacuationError::Symbol(step.wallet.clone()));
    }
    let effect = match &decoded.effects[0] {
        Effect::Change { .. } => [("destination", String::new()), ("amount", "0".to_owned())],
        Effect::Transfer { asset: _, to, amount } => [("destination", to.clone()), ("amount", amount.to_string())],
        Effect::Cancel { to } => [("destination", to.clone()), ("amount", "0 (a cancel)".to_owned())],
    };
    let said = [step.destination.clone(), step.amount.to_string()];
    let nonce = ("nonce", decoded.claims[0].to_string());
    let pairs = effect.into_iter().zip(said).chain([(nonce, format!("nonce {}", step.nonce))]);
    for ((field, found), said) in pairs {
        if found != said {
            let (wallet, chain) = (step.wallet.clone(), step.chain.clone());
            return Err(EvacuationError::Mismatch { wallet, chain, field, found, said });
        }
    }
    Ok(())
}
