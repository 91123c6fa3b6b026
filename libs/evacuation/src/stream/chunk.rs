//! A chunk whose wallets were recomputed from the manifest, its transactions, and a station's signatures on them.

use std::sync::{Arc, OnceLock};

use chain::{
    Asset, Call, ChainRules, Claim, Effect, KeyRole, Payer, Payload, Signature, Signatures, Transaction, WalletDesc,
};
use custody::{WalletId, manifest::VerifiedManifest};

use super::{
    CHUNK_STEPS, CHUNK_WALLETS, PlanHeader, PlannedWallet, SignedChunk, StreamError, compact, cores, frame::Hash,
    header::PLAN, wire,
};
use crate::{EvacuationError, Rung};

/// What all chunks of a plan share.
pub(crate) struct Context {
    pub(crate) rules: Arc<dyn ChainRules>,
    pub(crate) manifest: VerifiedManifest,
    pub(crate) header: PlanHeader,
}

/// A wallet of a plan, recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedWallet {
    planned: PlannedWallet,
    described: WalletDesc,
}

impl VerifiedWallet {
    /// What the plan says of it.
    pub fn planned(&self) -> &PlannedWallet {
        &self.planned
    }

    /// Its address and owners, from its hot key and the manifest.
    pub fn described(&self) -> &WalletDesc {
        &self.described
    }
}

/// A chunk of which every transaction only moves money to the plan's safe destination.
pub struct VerifiedChunk {
    context: Arc<Context>,
    digest: Hash,
    wallets: Vec<VerifiedWallet>,
    /// Made when they are first asked for, and once.
    made: OnceLock<Vec<Made>>,
}

/// The bytes of a transaction.
struct Made {
    /// Of its wallet in the chunk.
    place: usize,
    rung: Rung,
    unsigned: Vec<u8>,
    id: [u8; 32],
}

/// A transaction, and the signature on it in 64 bytes.
type Paired<'a> = (LadderStep<'a>, Option<&'a [u8]>);

/// One transaction of a ladder.
pub struct LadderStep<'a> {
    context: &'a Context,
    wallet: &'a VerifiedWallet,
    made: &'a Made,
}

impl Context {
    /// Recomputes each wallet; nothing that could not be signed passes.
    pub(crate) fn verify(self: &Arc<Self>, chunk: &wire::Chunk, digest: Hash) -> Result<VerifiedChunk, StreamError> {
        if chunk.wallets.is_empty() || chunk.wallets.len() > CHUNK_WALLETS {
            let why = format!("a chunk of {} wallets; one has 1 to {CHUNK_WALLETS}", chunk.wallets.len());
            return Err(StreamError::malformed(PLAN, why));
        }
        let wallets = cores::each(&chunk.wallets, |message| self.wallet(message))?;
        let chunk = VerifiedChunk { context: self.clone(), digest, wallets, made: OnceLock::new() };
        if chunk.step_count() > CHUNK_STEPS {
            let why = format!("a chunk of more than {CHUNK_STEPS} transactions");
            return Err(StreamError::malformed(PLAN, why));
        }
        Ok(chunk)
    }

    fn wallet(&self, message: &wire::Wallet) -> Result<VerifiedWallet, StreamError> {
        let planned = PlannedWallet::from_wire(message, &self.header.assets)?;
        let (id, chain) = (&planned.id, &self.header.chain);
        let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: chain.clone(), source };
        let owners = self.manifest.owners(chain, &planned.hot_key).map_err(wrong)?;
        let described = self.rules.wallet(&owners, planned.salt).map_err(wrong)?;
        for holding in planned.ladder.holdings() {
            let effect = self.effect(holding.asset(), holding.balance());
            let assets = std::slice::from_ref(self.asset(holding.asset()));
            self.rules.admits(&effect, &described, assets).map_err(|refusal| self.refused(id, refusal))?;
        }
        Ok(VerifiedWallet { planned, described })
    }

    /// The bytes of a rung, made here and decoded again: what is signed is what is shown.
    fn made(&self, place: usize, wallet: &VerifiedWallet, rung: Rung) -> Result<Made, StreamError> {
        let (id, described) = (&wallet.planned.id, &wallet.described);
        let (effect, assets) = (self.effect(rung.asset, rung.amount), std::slice::from_ref(self.asset(rung.asset)));
        let claims = [Claim::Sequence(rung.nonce)];
        let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: self.header.chain.clone(), source };
        let unsigned = self.rules.build(&effect, described, assets, &claims).map_err(wrong)?;
        let decoded = self.rules.decode(&unsigned, described, assets).map_err(|refusal| self.refused(id, refusal))?;
        let Transaction { id: digest, effects, fee, claims: used, .. } = decoded;
        if effects != [effect] || used != claims || fee.payer != Payer::Relayer {
            return Err(StreamError::NoNonces(id.clone()));
        }
        Ok(Made { place, rung, unsigned, id: digest })
    }

    fn asset(&self, place: usize) -> &Asset {
        // A ladder's places were looked up in this list when its wallet was read.
        &self.header.assets[place].asset
    }

    fn effect(&self, asset: usize, amount: chain::Amount) -> Effect {
        let asset = self.asset(asset).symbol.clone();
        Effect::Transfer { asset, to: self.header.destination.clone(), amount }
    }

    fn refused(&self, wallet: &WalletId, refusal: chain::Refusal) -> StreamError {
        EvacuationError::Refused { wallet: wallet.clone(), chain: self.header.chain.clone(), refusal }.into()
    }
}

impl VerifiedChunk {
    /// SHA-256 of its message in the plan.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Its wallets, in order.
    pub fn wallets(&self) -> &[VerifiedWallet] {
        &self.wallets
    }

    /// How many transactions it has.
    pub fn step_count(&self) -> usize {
        self.wallets.iter().map(|wallet| wallet.planned.ladder.rungs().count()).sum()
    }

    /// Its transactions, in the order of the signatures.
    pub fn steps(&self) -> Result<Vec<LadderStep<'_>>, StreamError> {
        let made = match self.made.get() {
            Some(made) => made,
            None => {
                let made = self.make()?;
                self.made.get_or_init(|| made)
            }
        };
        let (context, wallets) = (self.context.as_ref(), &self.wallets);
        Ok(made.iter().map(|made| LadderStep { context, wallet: &wallets[made.place], made }).collect())
    }

    fn make(&self) -> Result<Vec<Made>, StreamError> {
        let places: Vec<(usize, &VerifiedWallet)> = self.wallets.iter().enumerate().collect();
        let of = |(place, wallet): &(usize, &VerifiedWallet)| {
            let rungs = wallet.planned.ladder.rungs();
            rungs.map(|rung| self.context.made(*place, wallet, rung)).collect::<Result<Vec<_>, _>>()
        };
        Ok(cores::each(&places, of)?.into_iter().flatten().collect())
    }

    /// Which of `signed` belongs to which of [`Self::steps`]: each is verified. `None`: the owner has not signed for this
    /// wallet, which only hot can say.
    pub fn signatures(&self, role: KeyRole, signed: &SignedChunk) -> Result<Vec<Option<Signatures>>, StreamError> {
        cores::each(&self.paired(role, signed)?, |(step, compact)| {
            let Some(compact) = compact else { return Ok(None) };
            let signatures = vec![compact::expanded(compact)];
            match step.signed_by(role, &signatures)? {
                true => Ok(Some(signatures)),
                false => Err(StreamError::OtherPlan { role, why: "a signature does not fit" }),
            }
        })
    }

    /// The same, for whoever has verified these very bytes before.
    pub fn verified_signatures(
        &self,
        role: KeyRole,
        signed: &SignedChunk,
    ) -> Result<Vec<Option<Signatures>>, StreamError> {
        let expanded = |compact: Option<&[u8]>| Some(vec![compact::expanded(compact?)]);
        Ok(self.paired(role, signed)?.into_iter().map(|(_, compact)| expanded(compact)).collect())
    }

    /// Each transaction, and its signature of 64 bytes.
    fn paired<'a>(&'a self, role: KeyRole, signed: &'a SignedChunk) -> Result<Vec<Paired<'a>>, StreamError> {
        let other = |why| StreamError::OtherPlan { role, why };
        if signed.plan_chunk != self.digest {
            return Err(other("a chunk differs"));
        }
        if signed.missing.last().is_some_and(|last| *last as usize >= self.wallets.len()) {
            return Err(other("it lacks a wallet that is not there"));
        }
        let count = || other("there are not as many signatures as transactions");
        let mut compact = signed.signatures.chunks_exact(compact::BYTES);
        let mut paired = Vec::with_capacity(compact.len());
        for step in self.steps()? {
            let lacks = signed.missing.binary_search(&(step.place() as u32)).is_ok();
            let compact = if lacks { None } else { Some(compact.next().ok_or_else(count)?) };
            paired.push((step, compact));
        }
        if compact.next().is_some() || !compact.remainder().is_empty() {
            return Err(count());
        }
        Ok(paired)
    }
}

impl LadderStep<'_> {
    /// The wallet that it empties of an asset.
    pub fn wallet(&self) -> &VerifiedWallet {
        self.wallet
    }

    /// The wallet's place in its chunk.
    pub fn place(&self) -> usize {
        self.made.place
    }

    /// Which asset, how much, and at which nonce.
    pub fn rung(&self) -> Rung {
        self.made.rung
    }

    /// The 32 bytes that stand for all that is signed.
    pub fn id(&self) -> &[u8; 32] {
        &self.made.id
    }

    /// The bytes that are signed over, in the chain's encoding.
    pub fn unsigned(&self) -> &[u8] {
        &self.made.unsigned
    }

    /// A station's signature in 64 bytes, made with its 32-byte secret key, which must be the manifest's.
    pub fn sign(&self, role: KeyRole, secret: &[u8; 32]) -> Result<[u8; 64], StreamError> {
        let (rules, payloads) = (&self.context.rules, self.payloads(role)?);
        let other = |_| EvacuationError::OtherPhrase(role);
        let signatures = payloads.iter().map(|payload| rules.sign(secret, payload)).collect::<Result<Vec<_>, _>>();
        let signatures = signatures.map_err(other)?;
        if !self.fit(role, &payloads, &signatures) {
            return Err(EvacuationError::OtherPhrase(role).into());
        }
        compact::compact(&signatures).ok_or(StreamError::NotCompact(role))
    }

    /// What moves the money when it is broadcast, signed by two different owners: their [`VerifiedChunk::signatures`].
    pub fn call(&self, signatures: &[(KeyRole, Signatures)]) -> Result<Call, StreamError> {
        let (wallet, chain) = (&self.wallet.planned.id, &self.context.header.chain);
        let wrong = |source| EvacuationError::Chain { wallet: wallet.clone(), chain: chain.clone(), source };
        let call = self.context.rules.assemble(&self.made.unsigned, &self.wallet.described, signatures);
        Ok(call.map_err(wrong)?)
    }

    fn signed_by(&self, role: KeyRole, signatures: &[Signature]) -> Result<bool, StreamError> {
        Ok(self.fit(role, &self.payloads(role)?, signatures))
    }

    /// What an owner signs.
    fn payloads(&self, role: KeyRole) -> Result<Vec<Payload>, StreamError> {
        let Context { rules, .. } = self.context;
        // Computed from these very bytes when they were decoded: a million wallets are signed for.
        if rules.declares().payload_is_id {
            return Ok(vec![Payload::Digest(self.made.id)]);
        }
        let payloads = rules.payloads(&self.made.unsigned, &self.wallet.described, role);
        payloads.map_err(|refusal| self.context.refused(&self.wallet.planned.id, refusal))
    }

    /// As many as payloads, at least one, each by the owner's key.
    fn fit(&self, role: KeyRole, payloads: &[Payload], signatures: &[Signature]) -> bool {
        let key = self.wallet.described.owners.key(role);
        let mut each = payloads.iter().zip(signatures);
        !payloads.is_empty()
            && payloads.len() == signatures.len()
            && each.all(|(payload, signature)| self.context.rules.verify(key, payload, signature))
    }
}
