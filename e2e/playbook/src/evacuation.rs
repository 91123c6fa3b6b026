//! The worst day: cool and cold move everything to the safe place, with nothing but the data centre of Cooler, paper
//! and a node.

use std::{fs, path::Path};

use anyhow::Result;
use serde_json::Value;

use crate::{Commands, stations::Ceremonies};

/// From Cooler's exported wallets to a plan: unsigned, to be carried to Cooler.
pub async fn plan(
    commands: &Commands,
    folder: &Path,
    ceremonies: &Ceremonies,
    wallets: &str,
    rpc: &str,
) -> Result<String> {
    fs::create_dir_all(folder)?;
    let export = folder.join("wallets.json");
    fs::write(&export, wallets)?;
    let plan = folder.join("plan.json");
    commands
        .multisig()
        .words("evac plan --wallets")
        .arg(&export)
        .arg("--manifest")
        .arg(&ceremonies.manifest)
        .arg("--rpc")
        .arg(rpc)
        .arg("--out")
        .arg(&plan)
        .succeed()
        .await?;
    Ok(fs::read_to_string(plan)?)
}

/// Cold signs what cool has signed, at the cold station.
pub async fn sign_cold(commands: &Commands, folder: &Path, ceremonies: &Ceremonies, bundle: &str) -> Result<()> {
    let signed_by_cool = folder.join("bundle-cool.json");
    fs::write(&signed_by_cool, bundle)?;
    commands
        .paper()
        .words("evac sign --manifest")
        .arg(&ceremonies.manifest)
        .arg(&signed_by_cool)
        .arg("--out")
        .arg(folder.join("bundle.json"))
        .stdin(format!("{}\n", ceremonies.cold.phrase))
        .succeed()
        .await?;
    Ok(())
}

/// Sends the signed bundle with a float of its own; returns the report.
pub async fn broadcast(commands: &Commands, folder: &Path, rpc: &str, gas_key: &str) -> Result<Value> {
    let key = folder.join("gas.key");
    fs::write(&key, gas_key)?;
    commands
        .multisig()
        .words("evac broadcast -o json --rpc")
        .arg(rpc)
        .arg("--gas-key")
        .arg(&key)
        .arg(folder.join("bundle.json"))
        .succeed()
        .await?
        .json()
}
