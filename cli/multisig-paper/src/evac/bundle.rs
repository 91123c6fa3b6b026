//! A plan of version 1, or the bundle that the other station has signed: all of it in memory, and every step shown.

use anyhow::{Context, Result};
use chain::{Claim, KeyRole};
use chain_adapters::Adapters;
use custody::manifest::VerifiedManifest;
use evacuation::{Bundle, Step, VerifiedBundle};
use serde_json::{Value, json};

use super::Sign;
use crate::{
    Output,
    files::{self, NewFile},
    phrase_prompt,
};

pub(super) fn sign(sign: &Sign, manifest: &VerifiedManifest, output: Output) -> Result<()> {
    let role = sign.role.into();
    let file = NewFile::create(&sign.out)?;
    let name = || sign.plan.display().to_string();
    let mut bundle = Bundle::parse(&files::read(&sign.plan)?)
        .and_then(|bundle| bundle.verify(manifest, &Adapters::all()))
        .with_context(name)?;
    let shown = table(role, &bundle);
    match output {
        Output::Text => print!("{shown}"),
        Output::Json => eprint!("{shown}"),
    }
    let keys = phrase_prompt::read(role)?.keys();
    bundle.sign(role, |namespace| keys.secret(namespace))?;
    file.finish(&bundle.bundle().to_json())?;
    match output {
        Output::Text => println!("signed by {role}: {}", sign.out.display()),
        Output::Json => println!("{}", summary(role, &bundle)),
    }
    Ok(())
}

/// What moves where, one transaction a line, every value recomputed from the bytes to be signed.
fn table(role: KeyRole, bundle: &VerifiedBundle) -> String {
    let header = ["wallet", "chain", "from", "uses up", "amount (smallest unit)", "asset", "to", "signed by"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(bundle.steps().iter().map(|step| row(step.step())));
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut text =
        format!("The {role} station signs {} transaction(s), all to safe destinations:\n", bundle.steps().len());
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn row(step: &Step) -> [String; 8] {
    let Step { wallet, chain, address, amount, fee, asset, contract, destination, signatures, .. } = step;
    // The symbol is only a name that the plan gives; the contract is what is signed.
    let asset = contract.as_ref().map_or("native coin".to_owned(), |contract| format!("{asset} {contract}"));
    let signers: Vec<&str> = signatures.keys().map(|role| role.as_str()).collect();
    let signers = if signers.is_empty() { "nobody".to_owned() } else { signers.join(", ") };
    [
        wallet.to_string(),
        chain.to_string(),
        address.clone(),
        step.uses(),
        fee.map_or(amount.to_string(), |fee| format!("{amount} and {fee} for the fee")),
        asset,
        destination.clone(),
        signers,
    ]
}

fn summary(role: KeyRole, bundle: &VerifiedBundle) -> Value {
    let steps: Vec<Value> = bundle
        .steps()
        .iter()
        .map(|verified| {
            let step = verified.step();
            let mut shown = json!({
                "wallet": step.wallet,
                "chain": step.chain,
                "address": step.address,
                "asset": step.asset,
                "contract": step.contract,
                "amount": step.amount,
                "destination": step.destination,
                "signedBy": step.signatures.keys().collect::<Vec<_>>(),
            });
            match step.claims.as_slice() {
                [Claim::Sequence(nonce)] => shown["nonce"] = json!(nonce),
                claims => shown["claims"] = json!(claims.iter().map(Claim::to_string).collect::<Vec<_>>()),
            }
            if let Some(fee) = step.fee {
                shown["fee"] = json!(fee);
            }
            shown
        })
        .collect();
    json!({"role": role, "steps": steps})
}
