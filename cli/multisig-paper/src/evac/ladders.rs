//! A plan of version 2: read twice, a chunk at a time. First all of it is verified, and what moves where is shown; then it
//! is signed, chunk by chunk.

use std::{fs::File, path::Path};

use anyhow::{Context, Result, bail, ensure};
use chain::{KeyRole, hex};
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;
use evacuation::stream::{OpenedPlan, OwnerPair, PlanHeader, PlanReader, SignedChunk, Summary};
use signature_part::Part;

use super::Sign;
use crate::{Output, ceremony::PAPER_DIGITS, phrase_prompt};

/// Chunks after each of which the station says how far it is.
const PROGRESS: u64 = 50;

pub(super) fn sign(sign: &Sign, manifest: &VerifiedManifest, output: Output) -> Result<()> {
    let role = sign.role.into();
    let mut part = Part::of(&sign.out)?;
    same_as_on_paper(manifest)?;
    let name = || sign.plan.display().to_string();
    let mut plan = open(&sign.plan, manifest).with_context(name)?;
    signs(plan.header(), role).with_context(name)?;
    part.find(role, plan.header_digest())?;
    let mut verified = 0;
    while let Some(chunk) = plan.next_chunk().with_context(name)? {
        part.keep(role, &chunk, &[]);
        verified += 1;
        if verified % PROGRESS == 0 {
            eprintln!("{} of {} wallets are verified", plan.summary().wallets, plan.header().wallets);
        }
    }
    let (summary, digest) = (plan.summary().clone(), plan.digest());
    let shown = shown(role, &summary, &digest, part.kept());
    match output {
        Output::Text => print!("{shown}"),
        Output::Json => eprint!("{shown}"),
    }
    let keys = phrase_prompt::read(role)?.keys();
    let secret = keys.secret(summary.chain.namespace()).with_context(|| format!("the {role} phrase"))?;
    let mut plan = open(&sign.plan, manifest).with_context(name)?;
    let mut file = part.open(role, plan.header_digest())?;
    let mut done = 0;
    while let Some(chunk) = plan.next_chunk().with_context(name)? {
        if done >= part.kept() {
            file.chunk(SignedChunk::sign(&chunk, role, &secret)?)?;
        }
        done += 1;
        if done % PROGRESS == 0 {
            eprintln!("{} of {} transactions are signed", plan.summary().steps, summary.steps);
        }
    }
    ensure!(
        plan.digest() == digest,
        "{} was changed while it was signed; nothing is given out: sign again from a file that stays",
        name()
    );
    part.finish(file, digest)?;
    match output {
        Output::Text => println!("signed by {role}: {} ({} signatures)", sign.out.display(), summary.steps),
        Output::Json => println!("{}", summary.to_json(role, &digest)),
    }
    Ok(())
}

fn open(path: &Path, manifest: &VerifiedManifest) -> Result<PlanReader<File>> {
    let file = File::open(path).context("cannot open it")?;
    Ok(OpenedPlan::open(file)?.verify(manifest, &Adapters::all())?)
}

/// A manifest that was replaced has the same keys: only the paper tells which is the present one.
fn same_as_on_paper(manifest: &VerifiedManifest) -> Result<()> {
    let question = format!("Type the last {PAPER_DIGITS} digits of the manifest's digest from the paper");
    let typed = phrase_prompt::line(&question)?;
    let digest = manifest.digest();
    if typed.len() == PAPER_DIGITS && digest.ends_with(&typed.to_ascii_lowercase()) {
        return Ok(());
    }
    bail!(
        "these are not the last {PAPER_DIGITS} digits of this manifest's digest; take the manifest of the revision that is on \
         the paper. Nothing was signed"
    )
}

/// Paper signs with cold, or for cool where cold is the other owner: what no paper signs needs both local policies.
fn signs(header: &PlanHeader, role: KeyRole) -> Result<()> {
    header.require_owner(role)?;
    if header.owners == OwnerPair::HotAndCool {
        bail!(
            "a plan of hot and cool is signed in the data centres alone, where the local policies decide on it (`keeper evac \
             sign`, `cooler evac sign`); with the cool phrase on paper, make a plan of cool and cold. Nothing was signed"
        );
    }
    Ok(())
}

fn shown(role: KeyRole, summary: &Summary, digest: &[u8; 32], kept: u64) -> String {
    let plan = hex::encode(digest);
    let mut text = format!("The {role} station signs the plan {plan} (SHA-256):\n{summary}");
    if kept > 0 {
        text.push_str(&format!(
            "{kept} chunks are signed already, from a run that was stopped; the rest is signed now.\n"
        ));
    }
    text
}
