//! A plan of version 2 and the signature files of two owners, read side by side. All of it is verified before anything
//! is sent.

use std::{io::Read, sync::Arc};

use anyhow::Result;
use chain::{Call, ChainRules, Claim, Effect, KeyRole, Signatures, WalletDesc};
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;
use evacuation::{
    EvacuationError,
    stream::{LadderStep, OpenedPlan, PlanHeader, SignatureReader, StreamError, VerifiedChunk, VerifiedWallet},
};

use super::{
    ladder::{Ladder, Rung},
    report::Line,
};
use crate::failure::bad_input;

/// A document, and what people call it.
pub(super) struct Named<R> {
    /// Of its file.
    pub(super) name: String,
    pub(super) input: R,
}

/// What two owners have signed, wallet by wallet in the order of the plan.
pub(super) struct SignedPlan {
    rules: Arc<dyn ChainRules>,
    wallets: Vec<WalletDesc>,
    moves: Vec<Moves>,
    lines: Vec<Line>,
}

/// What is played of one wallet.
struct Moves {
    creation: Option<Call>,
    rungs: Vec<Rung>,
}

impl SignedPlan {
    /// Reads all three by the manifest given, or by the one in the plan. A forged one would be of no use to the forger:
    /// what is sent moves only what its owners have signed. The error names the file.
    pub(super) fn read<R: Read>(
        plan: Named<R>,
        manifest: Option<&VerifiedManifest>,
        signatures: [Named<R>; 2],
    ) -> Result<Self> {
        let name = plan.name;
        let wrong = |error| of_file(&name, &error);
        let opened = OpenedPlan::open(plan.input).map_err(wrong)?;
        let manifest = match manifest {
            Some(manifest) => manifest.clone(),
            None => opened.header().manifest.verify().map_err(|error| wrong(error.into()))?,
        };
        let mut plan = opened.verify(&manifest, &Adapters::all()).map_err(wrong)?;
        let mut owners = Owners::open(signatures, plan.header_digest())?;
        let chain = &plan.header().chain;
        let unknown = |source| EvacuationError::Destination { chain: chain.clone(), source };
        let rules = Adapters::all().rules(chain).map_err(|error| wrong(unknown(error).into()))?;
        let mut signed = Self { rules, wallets: Vec::new(), moves: Vec::new(), lines: Vec::new() };
        while let Some(chunk) = plan.next_chunk().map_err(wrong)? {
            let both = owners.sign(&chunk)?;
            signed.add(plan.header(), &chunk, both).map_err(wrong)?;
        }
        owners.end(plan.digest())?;
        Ok(signed)
    }

    /// One for each wallet, and the lines of the report: one for each asset of a wallet.
    pub(super) fn ladders(&mut self) -> (Vec<Ladder<'_>>, Vec<Line>) {
        let (moves, lines) = (std::mem::take(&mut self.moves), std::mem::take(&mut self.lines));
        let rules = self.rules.as_ref();
        let ladders = self.wallets.iter().zip(moves);
        let ladders = ladders.map(|(wallet, Moves { creation, rungs })| Ladder { rules, wallet, creation, rungs });
        (ladders.collect(), lines)
    }

    fn add(
        &mut self,
        header: &PlanHeader,
        chunk: &VerifiedChunk,
        [one, other]: [(KeyRole, Vec<Signatures>); 2],
    ) -> Result<(), StreamError> {
        let signatures = one.1.into_iter().zip(other.1);
        let both = signatures.map(|(first, second)| [(one.0, first), (other.0, second)]);
        let mut steps = chunk.steps()?.into_iter().zip(both);
        for wallet in chunk.wallets() {
            let first = self.lines.len();
            self.lines.extend(lines(header, wallet));
            let steps = steps.by_ref().take(wallet.planned().ladder.rungs().count());
            let rungs = steps.map(|(step, both)| rung(header, first, &step, &both)).collect::<Result<_, _>>()?;
            let (id, described) = (&wallet.planned().id, wallet.described());
            let wrong = |source| EvacuationError::Chain { wallet: id.clone(), chain: header.chain.clone(), source };
            let creation = self.rules.creation(described).map_err(wrong)?;
            self.wallets.push(described.clone());
            self.moves.push(Moves { creation, rungs });
        }
        Ok(())
    }
}

/// One for each asset: all of it.
fn lines(header: &PlanHeader, wallet: &VerifiedWallet) -> impl Iterator<Item = Line> {
    wallet.planned().ladder.holdings().iter().map(|holding| Line {
        id: wallet.planned().id.to_string(),
        address: wallet.described().address.clone(),
        asset: header.assets[holding.asset()].asset.symbol.clone(),
        to: header.destination.clone(),
        amount: holding.balance(),
    })
}

/// `first` is the first line of its wallet: lines are in the order of the wallet's assets.
fn rung(
    header: &PlanHeader,
    first: usize,
    step: &LadderStep<'_>,
    both: &[(KeyRole, Signatures)],
) -> Result<Rung, StreamError> {
    let evacuation::Rung { nonce, asset: place, amount } = step.rung();
    let before = step.wallet().planned().ladder.holdings().iter().filter(|holding| holding.asset() < place);
    let asset = header.assets[place].asset.clone();
    Ok(Rung {
        line: first + before.count(),
        claims: vec![Claim::Sequence(nonce)],
        effect: Effect::Transfer { asset: asset.symbol.clone(), to: header.destination.clone(), amount },
        asset,
        call: step.call(both)?,
        id: *step.id(),
    })
}

/// The signature files of two owners, in either order.
struct Owners<R>([(String, SignatureReader<R>); 2]);

impl<R: Read> Owners<R> {
    fn open([one, other]: [Named<R>; 2], plan_header: [u8; 32]) -> Result<Self> {
        let open = |Named { name, input }: Named<R>| {
            let wrong = |error| of_file(&name, &error);
            let file = SignatureReader::open(input).map_err(wrong)?;
            file.require(file.role(), plan_header).map_err(wrong)?;
            Ok::<_, anyhow::Error>((name, file))
        };
        let (one, other) = (open(one)?, open(other)?);
        if one.1.role() == other.1.role() {
            let role = one.1.role();
            return Err(bad_input(format!(
                "{} and {} both have the signatures of {role}; name the files of two different owners",
                one.0, other.0
            )));
        }
        Ok(Self([one, other]))
    }

    /// Whose, and their signatures on a chunk, all verified.
    fn sign(&mut self, chunk: &VerifiedChunk) -> Result<[(KeyRole, Vec<Signatures>); 2]> {
        let [one, other] = &mut self.0;
        let of = |(name, file): &mut (String, SignatureReader<R>)| {
            let signatures = file.signatures_on(chunk).map_err(|error| of_file(name, &error))?;
            Ok::<_, anyhow::Error>((file.role(), signatures))
        };
        Ok([of(one)?, of(other)?])
    }

    fn end(self, plan: [u8; 32]) -> Result<()> {
        self.0
            .into_iter()
            .try_for_each(|(name, mut file)| file.require_end(plan).map_err(|error| of_file(&name, &error)))
    }
}

fn of_file(name: &str, error: &StreamError) -> anyhow::Error {
    bad_input(format!("{name}: {error}"))
}
