//! The worst day: hub, data centre A and the broker are gone; cool and cold move everything to the safe destination.

use std::fs;

use alloy_primitives::hex;
use alloy_sol_types::{SolCall, sol};
use anyhow::{Context, Result};
use chain::KeyRole;
use evacuation::Bundle;
use lab::Lab;
use playbook::Commands;
use serde_json::{Value, json};

use crate::{
    Report,
    narrate::{act, chapter, say},
    place::{Placed, SAFE_DESTINATION},
};

sol! {
    /// Safe 1.4.1: what a relayer calls. Declared here once more on purpose: the contract itself is asked, without our
    /// adapter, which would not assemble a call with one signature.
    #[derive(Default)]
    function execTransaction(
        address to,
        uint256 value,
        bytes data,
        uint8 operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address refundReceiver,
        bytes signatures
    ) external payable returns (bool success);
}

/// Plays it.
pub(crate) async fn evacuate(
    lab: &Lab,
    commands: &Commands,
    placed: &Placed,
    wallet: &str,
    report: &mut Report,
) -> Result<()> {
    chapter("Breach: the hub's and data centre A's nodes and the broker are switched off");
    act("thief", "takes the hub down", lab.stop_node(&lab.hub)).await?;
    act("thief", "takes data centre A down", lab.stop_node(&lab.dc_a)).await?;
    act("thief", "takes the broker down", lab.stop_nats()).await?;

    chapter("cool + cold evacuate: paper, Cooler's data centre and a node are enough");
    let rpc = &lab.servers.anvil.loopback_url;
    let folder = placed.folder.join("evacuation");
    let exported = placed.cooler.multisig(commands, "cool wallets-export").succeed();
    let wallets = act("admin of ams-2", "multisig cool wallets-export", exported).await?.stdout;
    let planned = playbook::evacuation::plan(commands, &folder, &placed.ceremonies, &wallets, rpc);
    act("anyone with a node", "multisig evac plan", planned).await?;
    let signed = placed.cooler.multisig(commands, "cool evac-sign").arg(folder.join("plan.json")).succeed();
    let bundle = act("admin of ams-2", "multisig cool evac-sign", signed).await?.stdout;

    tampered(commands, placed, &bundle, report).await?;
    one_signature(lab, wallet, &bundle, report).await?;

    let anvil = lab.anvil().await?;
    let before = anvil.balance(wallet).await?;
    let cold = playbook::evacuation::sign_cold(commands, &folder, &placed.ceremonies, &bundle);
    act("cold station", "multisig-paper evac sign, after reading what moves where", cold).await?;
    let gas_key = anvil.dev_accounts()?[1].key.clone();
    let sent = playbook::evacuation::broadcast(commands, &folder, rpc, &gas_key);
    let moved = act("anyone with a float", "multisig evac broadcast", sent).await?;
    let after = anvil.balance(wallet).await?;
    anyhow::ensure!(after == 0, "{after} wei are left in {wallet}");
    anyhow::ensure!(
        anvil.balance(SAFE_DESTINATION).await? == before,
        "the safe destination did not receive everything: {moved:#}"
    );
    say(&format!("{before} wei are at the safe destination; the wallet holds 0"));
    let tx = &moved["wallets"][0]["tx"];
    anyhow::ensure!(tx.is_string(), "the broadcast names no transaction: {moved:#}");
    report.evacuation = json!({"tx": tx, "to": SAFE_DESTINATION, "amountWei": before.to_string(),
                               "signers": ["cool", "cold"]});
    Ok(())
}

/// Somebody changes one digit of the amount on the way from Cooler to the cold station.
async fn tampered(commands: &Commands, placed: &Placed, bundle: &str, report: &mut Report) -> Result<()> {
    let mut bundle = Bundle::parse(bundle.as_bytes())?;
    let step = bundle.steps.first_mut().context("a bundle has a step")?;
    let mut bytes = hex::decode(&step.unsigned)?;
    // The second of the transaction's 32-byte words is the value.
    *bytes.get_mut(63).context("ten words")? ^= 1;
    step.unsigned = format!("0x{}", hex::encode(bytes));
    let file = placed.folder.join("evacuation/tampered.json");
    fs::write(&file, bundle.to_json())?;
    let why = commands
        .paper()
        .words("evac sign --manifest")
        .arg(&placed.ceremonies.manifest)
        .arg(&file)
        .arg("--out")
        .arg(placed.folder.join("evacuation/never.json"))
        .stdin(format!("{}\n", placed.ceremonies.cold.phrase))
        .refuse("the transaction's amount")
        .await?;
    report.refused("tampered-transaction", &why);
    Ok(())
}

/// Cool's signature alone, sent to the chain itself.
async fn one_signature(lab: &Lab, wallet: &str, bundle: &str, report: &mut Report) -> Result<()> {
    let bundle = Bundle::parse(bundle.as_bytes())?;
    let step = bundle.steps.first().context("a bundle has a step")?;
    let cool = step.signatures.get(&KeyRole::Cool).and_then(|each| each.first()).context("Cooler has signed")?;
    let call = execTransactionCall {
        to: step.destination.parse()?,
        value: step.amount.to_string().parse()?,
        signatures: hex::decode(cool)?.into(),
        ..Default::default()
    };
    let anvil = lab.anvil().await?;
    let from = anvil.dev_accounts()?[2].address.clone();
    let transaction = json!([{"from": from, "to": wallet, "data": hex::encode_prefixed(call.abi_encode())}, "latest"]);
    match anvil.rpc::<Value>("eth_call", transaction).await {
        Ok(answer) => anyhow::bail!("the chain accepted one signature: {answer}"),
        Err(error) => {
            // GS020: "Signatures data too short". A node that is away would prove nothing.
            let why = format!("the chain: {error:#}");
            anyhow::ensure!(why.contains("GS020"), "one signature was not refused by the Safe: {why}");
            report.refused("one-signature", &why);
        }
    }
    Ok(())
}
