//! A plan of version 2: a chunk at a time is recorded, then signed.

use std::{
    fmt,
    io::{BufRead, Write},
};

use chain::KeyRole;
use chain_adapters::Adapters;
use clock::now_ms;
use custody::WalletId;
use evacuation::stream::{LadderStep, OpenedPlan, Summary, VerifiedChunk};
use serde::Serialize;
use serde_json::{Value, json};
use workload::place::Place;

use super::{
    AdminError, Station,
    keys::{Lack, Sealed},
    output::{Out, SignatureFile},
};

/// Chunks after each of which the admin hears how far it is.
const PROGRESS: u64 = 50;
/// Wallets without a signature that are shown to people; all of them are in the JSON form.
const SHOWN: usize = 20;

/// A wallet of the plan that hot could not sign for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Missing {
    /// App's name for it.
    wallet: WalletId,
    /// Why.
    reason: Lack,
}

/// What was signed.
#[derive(Debug)]
pub(crate) struct Signed {
    role: KeyRole,
    summary: Summary,
    plan: [u8; 32],
    missing: Vec<Missing>,
}

pub(super) async fn sign<W: Write>(
    station: &Station<'_>,
    place: &Place,
    input: impl BufRead,
    out: Out<W>,
) -> Result<Signed, AdminError> {
    let opened = OpenedPlan::open(input)?;
    station.require(place, opened.header()).await?;
    let mut plan = opened.verify(&station.manifest, &Adapters::all())?;
    let (role, chain, all) = (station.owner(), plan.header().chain.clone(), plan.header().steps);
    let keys = station.keys(place).await?;
    let mut file = SignatureFile::begin(out, role, plan.header_digest())?;
    let (mut missing, mut chunks) = (Vec::new(), 0);
    while let Some(chunk) = plan.next_chunk()? {
        let mut sealed = keys.of(station.store, &chain, &chunk).await?;
        let signs = |step: &&LadderStep<'_>| sealed.get(step.place()).is_none_or(|sealed| sealed.is_ok());
        let steps = chunk.steps()?;
        let steps = steps.iter().filter(signs).map(|step| {
            let wallet = step.wallet();
            station.about_to_sign(&wallet.planned().id, wallet.described(), *step.id())
        });
        let steps = steps.collect();
        station.store.record_evacuations(now_ms(), steps).await?;
        if !file.keeps(&chunk, &places(&sealed)) {
            let signed = keys.sign(&chain, &chunk, &mut sealed).await?;
            file.chunk(signed)?;
        }
        missing.extend(named(&chunk, &sealed));
        chunks += 1;
        if chunks % PROGRESS == 0 {
            eprintln!("{} of {all} transactions are signed", plan.summary().steps);
        }
    }
    file.finish(plan.digest())?;
    Ok(Signed { role, summary: plan.summary().clone(), plan: plan.digest(), missing })
}

/// Of the wallets that can't be signed for.
fn places(sealed: &[Sealed]) -> Vec<u32> {
    (0..).zip(sealed).filter(|(_, sealed)| sealed.is_err()).map(|(place, _)| place).collect()
}

fn named(chunk: &VerifiedChunk, sealed: &[Sealed]) -> Vec<Missing> {
    let lacking = chunk.wallets().iter().zip(sealed).filter_map(|(wallet, sealed)| {
        let reason = *sealed.as_ref().err()?;
        Some(Missing { wallet: wallet.planned().id.clone(), reason })
    });
    lacking.collect()
}

impl Signed {
    /// For scripts, with every wallet that has no signature.
    pub(crate) fn to_json(&self) -> Value {
        let mut said = self.summary.to_json(self.role, &self.plan);
        said["missing"] = json!(self.missing);
        said
    }
}

impl fmt::Display for Signed {
    /// Totals by asset, the largest wallets, and who has no signature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, summary, plan, missing } = self;
        writeln!(f, "{role} has signed the plan {} (SHA-256):\n{summary}", chain::hex::encode(plan))?;
        if missing.is_empty() {
            return Ok(());
        }
        writeln!(f, "{} of {} wallets have no signature of {role}:", missing.len(), summary.wallets)?;
        for Missing { wallet, reason } in missing.iter().take(SHOWN) {
            writeln!(f, "    {wallet}: {reason}")?;
        }
        if missing.len() > SHOWN {
            writeln!(f, "    and {} more; -o json names each", missing.len() - SHOWN)?;
        }
        Ok(())
    }
}
