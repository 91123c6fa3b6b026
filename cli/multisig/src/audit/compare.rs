//! `multisig audit compare`: cool signs only what hot has signed, so both chains know the same payments.

use std::{fmt, path::PathBuf};

use anyhow::{Result, anyhow, ensure};
use audit::{Comparison, Signature};
use clap::Args;
use custody::Role;
use data_encoding::HEXLOWER;

use super::{At, Exported};
use crate::{failure::bad_input, output::Output};

/// Both signers' exports.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Keeper's export
    keeper: PathBuf,
    /// Cooler's export, taken after Keeper's
    cooler: PathBuf,
}

pub(super) fn run(args: CompareArgs, output: Output) -> Result<()> {
    let keeper = of(Role::Keeper, args.keeper)?;
    let cooler = of(Role::Cooler, args.cooler)?;
    if keeper.export.header.custody_id != cooler.export.header.custody_id {
        return Err(bad_input("the exports are from two custodies; compare the signers of one custody"));
    }
    for signer in [&keeper, &cooler] {
        audit::verify(&signer.export, &[]).map_err(|broken| anyhow!("{}: {broken}", signer.file.display()))?;
    }
    let found = audit::compare(&keeper.export, &cooler.export);
    output.print(&Shown(&found))?;
    let (cool, hot) = (found.cooler_only.len(), found.keeper_only.len());
    ensure!(cool == 0, "{cool} signature(s) of Cooler without Keeper's; freeze, and find out who requested them");
    ensure!(hot == 0, "{hot} signature(s) of Keeper without Cooler's; check whether they are in flight or cancelled");
    Ok(())
}

fn of(role: Role, file: PathBuf) -> Result<Exported> {
    let exported = Exported::read(file)?;
    if exported.export.header.role != role.as_str() {
        let (file, found) = (exported.file.display(), &exported.export.header.role);
        return Err(bad_input(format!("{file} is the export of {found}, not of {role}; give Keeper's file first")));
    }
    Ok(exported)
}

#[derive(serde::Serialize)]
#[serde(transparent)]
struct Shown<'a>(&'a Comparison);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Comparison { both, cooler_only, keeper_only, evacuations } = self.0;
        writeln!(f, "Digests signed by both: {both}")?;
        list(f, "Signed by Cooler only (serious: Cooler signs second)", cooler_only)?;
        list(f, "Signed by Keeper only (in flight, cancelled, or refused by Cooler)", keeper_only)?;
        list(f, "Evacuation signatures", evacuations)
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, signatures: &[Signature]) -> fmt::Result {
    writeln!(f, "{title}: {}", signatures.len())?;
    for Signature { role, seq, at_ms, wallet, chain, digest, operation_id, .. } in signatures {
        let (digest, operation) = (HEXLOWER.encode(digest), HEXLOWER.encode(operation_id));
        let at = At(*at_ms);
        writeln!(f, "  {at} {wallet} on {chain}: digest {digest}, operation {operation}, record {seq} of {role}")?;
    }
    Ok(())
}
