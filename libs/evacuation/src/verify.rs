//! What a station checks before it signs, and the broadcaster before it sends. It believes the manifest and the bytes.

use std::{collections::BTreeSet, fmt, sync::Arc};

use chain::{Amount, Asset, Call, ChainRules, Claim, Effect, KeyRole, Payer, Signatures, Transaction, WalletDesc, hex};
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;
use zeroize::Zeroizing;

use crate::{
    Bundle, EvacuationError, Step,
    bundle::WHAT,
    document::same_manifest,
    step::shown,
    wallet::{Recorded, safe_destination, wallet},
};

const STATIONS: [KeyRole; 2] = [KeyRole::Cool, KeyRole::Cold];

/// A bundle of which every step only moves money to the manifest's safe destinations. There is no other way to make
/// one than [`Bundle::verify`].
#[derive(Debug)]
pub struct VerifiedBundle {
    bundle: Bundle,
    steps: Vec<VerifiedStep>,
}

/// One verified step.
pub struct VerifiedStep {
    rules: Arc<dyn ChainRules>,
    wallet: WalletDesc,
    id: [u8; 32],
    unsigned: Vec<u8>,
    step: Step,
}

impl Bundle {
    /// Recomputes every step from the manifest and its bytes, and checks the signatures that are there.
    pub fn verify(self, manifest: &VerifiedManifest, adapters: &Adapters) -> Result<VerifiedBundle, EvacuationError> {
        same_manifest(WHAT, self.custody_id, &self.manifest_digest, manifest)?;
        if let Some(carried) = &self.manifest {
            same_manifest(WHAT, carried.unverified().custody_id, &carried.digest(), manifest)?;
        }
        distinct_claims(&self.steps)?;
        let steps = self.steps.iter().map(|step| verified(step, manifest, adapters)).collect::<Result<_, _>>()?;
        Ok(VerifiedBundle { bundle: self, steps })
    }
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

    /// Adds a station's signatures to every step. `secret` gives the station's 32-byte secret key for a chain
    /// namespace; a key that is not the manifest's signs nothing.
    pub fn sign<E>(
        &mut self,
        role: KeyRole,
        secret: impl Fn(&str) -> Result<Zeroizing<[u8; 32]>, E>,
    ) -> Result<(), EvacuationError> {
        if !STATIONS.contains(&role) {
            return Err(EvacuationError::NotAStation(role));
        }
        let mut all = Vec::new();
        for step in &self.steps {
            let secret = secret(step.wallet.chain.namespace()).map_err(|_| EvacuationError::OtherPhrase(role))?;
            all.push(step.signatures(role, &secret)?);
        }
        for ((verified, step), signatures) in self.steps.iter_mut().zip(&mut self.bundle.steps).zip(all) {
            let signatures: Vec<String> = signatures.iter().map(hex::encode_prefixed).collect();
            verified.step.signatures.insert(role, signatures.clone());
            step.signatures.insert(role, signatures);
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

    /// The rules of its chain.
    pub fn rules(&self) -> &dyn ChainRules {
        self.rules.as_ref()
    }

    /// The 32 bytes that stand for all that cool and cold sign.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// What moves the money when it is broadcast; both stations must have signed.
    pub fn call(&self) -> Result<Call, EvacuationError> {
        let Step { wallet, chain, .. } = &self.step;
        let mut signatures = Vec::new();
        for role in STATIONS {
            let missing = || EvacuationError::NotSigned { wallet: wallet.clone(), chain: chain.clone(), role };
            signatures.push((role, signed(&self.step, role).ok_or_else(missing)?));
        }
        let wrong = |source| EvacuationError::Chain { wallet: wallet.clone(), chain: chain.clone(), source };
        self.rules.assemble(&self.unsigned, &self.wallet, &signatures).map_err(wrong)
    }

    /// Signatures over each payload, which must be the manifest's key's.
    fn signatures(&self, role: KeyRole, secret: &[u8; 32]) -> Result<Signatures, EvacuationError> {
        let Self { rules, wallet, unsigned, step, .. } = self;
        let refused = |refusal| refused(step, refusal);
        let payloads = rules.payloads(unsigned, wallet, role).map_err(refused)?;
        let signatures = payloads.iter().map(|payload| rules.sign(secret, payload)).collect::<Result<Vec<_>, _>>();
        let signatures = signatures.map_err(|_| EvacuationError::OtherPhrase(role))?;
        match rules.signed_by(unsigned, wallet, role, &signatures).map_err(refused)? {
            true => Ok(signatures),
            false => Err(EvacuationError::OtherPhrase(role)),
        }
    }
}

impl fmt::Debug for VerifiedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedStep").field("id", &self.id).field("step", &self.step).finish_non_exhaustive()
    }
}

/// Nothing is used up twice: a number within its wallet, a coin within its chain.
fn distinct_claims(steps: &[Step]) -> Result<(), EvacuationError> {
    let mut seen = BTreeSet::new();
    for Step { address, chain, wallet, claims, .. } in steps {
        for claim in claims {
            let of = match claim {
                Claim::Sequence(_) => address.as_str(),
                Claim::Coin(..) => "",
            };
            if !seen.insert((chain, of, claim)) {
                let (wallet, chain) = (wallet.clone(), chain.clone());
                return Err(EvacuationError::Duplicate { wallet, chain, claim: *claim });
            }
        }
    }
    Ok(())
}

fn verified(step: &Step, manifest: &VerifiedManifest, adapters: &Adapters) -> Result<VerifiedStep, EvacuationError> {
    let Step { wallet: id, chain, address, hot_key, salt, asset, contract, unsigned, signatures, .. } = step;
    let (rules, wallet) = wallet(manifest, adapters, &Recorded { id, chain, hot_key, salt, address })?;
    let malformed = || EvacuationError::Hex { wallet: id.clone(), field: "the unsigned transaction" };
    let unsigned = hex::decode_prefixed(unsigned).ok_or_else(malformed)?;
    let asset = Asset { symbol: asset.clone(), contract: contract.clone() };
    let decoded = rules.decode(&unsigned, &wallet, &[asset]).map_err(|refusal| refused(step, refusal))?;
    same_effect(step, &decoded)?;
    if !safe_destination(rules.as_ref(), manifest, &step.destination) {
        return Err(EvacuationError::NotADestination { to: step.destination.clone(), chain: chain.clone() });
    }
    for role in signatures.keys() {
        if !STATIONS.contains(role) {
            return Err(EvacuationError::NotAStation(*role));
        }
        let given = signed(step, *role).unwrap_or_default();
        if !rules.signed_by(&unsigned, &wallet, *role, &given).map_err(|refusal| refused(step, refusal))? {
            return Err(EvacuationError::BadSignature { wallet: id.clone(), chain: chain.clone(), role: *role });
        }
    }
    Ok(VerifiedStep { rules, wallet, id: decoded.id, unsigned, step: step.clone() })
}

fn refused(step: &Step, refusal: chain::Refusal) -> EvacuationError {
    EvacuationError::Refused { wallet: step.wallet.clone(), chain: step.chain.clone(), refusal }
}

/// A station's signatures in a step. Bytes that are none of hex fit nothing.
fn signed(step: &Step, role: KeyRole) -> Option<Signatures> {
    let signatures = step.signatures.get(&role)?;
    Some(signatures.iter().map(|signature| hex::decode_prefixed(signature).unwrap_or_default()).collect())
}

/// What people are shown must be what the bytes do.
fn same_effect(step: &Step, decoded: &Transaction) -> Result<(), EvacuationError> {
    // The only free text in a step.
    if !custody::local_policy::is_symbol(&step.asset) {
        return Err(EvacuationError::Symbol(step.wallet.clone()));
    }
    let same = |field, found: String, said: String| match found == said {
        true => Ok(()),
        false => {
            let (wallet, chain) = (step.wallet.clone(), step.chain.clone());
            Err(EvacuationError::Mismatch { wallet, chain, field, found, said })
        }
    };
    for effect in &decoded.effects {
        match effect {
            Effect::Transfer { to, .. } | Effect::Cancel { to } => {
                same("destination", to.clone(), step.destination.clone())?;
            }
            // It stays in the wallet.
            Effect::Change { .. } => {}
        }
    }
    let sum = decoded.transfers().try_fold(Amount::ZERO, |sum, (_, _, amount)| sum.checked_add(amount));
    let moved = match sum {
        Some(sum) if !decoded.is_cancel() => sum.to_string(),
        Some(_) => "0 (a cancel)".to_owned(),
        None => "2^256 or more".to_owned(),
    };
    same("amount", moved, step.amount.to_string())?;
    let paid = (decoded.fee.payer == Payer::Wallet).then_some(decoded.fee.most);
    let in_words = |fee: Option<Amount>| fee.map_or("nothing".to_owned(), |fee| fee.to_string());
    same("fee", in_words(paid), in_words(step.fee))?;
    let field = if matches!(decoded.claims[..], [Claim::Sequence(_)]) { "nonce" } else { "claims" };
    same(field, shown(&decoded.claims), step.uses())
}
