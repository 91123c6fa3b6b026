//! App is installed, a user gets a wallet and pays, and each signer refuses alone.

use std::{fs, process::Stdio};

use anyhow::{Context, Result};
use lab::Lab;
use playbook::{
    Commands,
    app::{Api, Token, TrustFile},
};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{
    Report,
    narrate::{act, chapter, say},
    place::{ETH, NAMESPACE, Placed, helm},
};

const SHOP: &str = "0x00000000000000000000000000000000005400ff";
const USER: &str = "alice";

/// Plays it; returns the wallet's address.
pub(crate) async fn pay(lab: &Lab, commands: &Commands, placed: &Placed, report: &mut Report) -> Result<String> {
    chapter("App's owner installs App; a user gets a wallet");
    let making = placed.owner.token(commands, "shop");
    let token = act("App's owner", "app token --name shop --scope read,wallets,pay", making).await?;
    act("App's owner", "helm install charts/app", install(lab, commands, placed, &token)).await?;
    let (_forward, api) = forward(lab, &token).await?;
    act("App", "connects to the broker", api.await_ready()).await?;
    let wallet = act("user", "POST /wallets", api.create_wallet(USER)).await?;
    let address = wallet["address"].as_str().context("a wallet has an address")?.to_owned();
    let owner = |role: &str| wallet["owners"][role].as_str().map(str::to_owned).context("three owners");
    let owners = [owner("hot")?, owner("cool")?, owner("cold")?];
    report.wallet = json!({"address": address, "owners": wallet["owners"], "threshold": wallet["threshold"]});
    say(&format!("wallet {address}: hot {}, cool {}, cold {}", owners[0], owners[1], owners[2]));

    chapter("hot + cool pay, and either signer rejects a payment above its own local policy");
    let anvil = lab.anvil().await?;
    anvil.fund(&address, 10 * ETH).await?;
    say("somebody deposits 10 ETH; the wallet has no code yet");
    let paid = act("user", "POST /payments: 0.5 ETH", payment(&api, "order-1", ETH / 2)).await?;
    anyhow::ensure!(paid["status"] == "confirmed", "the payment was not made: {paid:#}");
    say(&format!("paid in transaction {}", paid["tx"]));
    report.payment = json!({"id": paid["id"], "tx": paid["tx"], "to": SHOP, "amountWei": (ETH / 2).to_string(),
                            "signers": paid["signers"]});
    for (what, wei) in [("over-cap-keeper", 3 * ETH), ("over-cap-cooler", ETH + ETH / 2)] {
        let refused = payment(&api, what, wei).await?;
        anyhow::ensure!(refused["status"] == "refused", "{what} was not refused: {refused:#}");
        let why = format!("{}: {}", refused["reason"], refused["message"]).replace('"', "");
        report.refused(what, &why);
    }
    Ok(address)
}

async fn payment(api: &Api, key: &str, wei: u128) -> Result<Value> {
    let id = api.pay(key, USER, SHOP, "ETH", &wei.to_string()).await?;
    api.await_end(&id).await
}

/// Identity, relayer key and callers' file as Secrets of App's owner, the trust file as the chart's value.
async fn install(lab: &Lab, commands: &Commands, placed: &Placed, token: &Token) -> Result<()> {
    let (hub, room) = (&placed.hub, &placed.owner.folder);
    let mut identity = serde_json::Map::new();
    for entry in fs::read_dir(room.join("identity"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).context("identity files have plain names")?;
        identity.insert(name.to_owned(), fs::read_to_string(&path)?.into());
    }
    hub.apply_secret("app-identity", identity.into()).await?;
    let relayer = lab.anvil().await?.dev_accounts()?[3].key.clone();
    hub.apply_secret("app-relayer", json!({"relayer.key": relayer})).await?;
    hub.apply_secret("app-callers", json!({"callers": token.line})).await?;
    let trust = TrustFile {
        data_dir: "/data",
        listen: "0.0.0.0:8080",
        health_listen: "0.0.0.0:8081",
        callers_file: "/etc/multisig/callers/callers",
        identity_dir: "/etc/multisig/identity",
        manifest_file: "/etc/multisig/manifest/manifest.json",
        manifest_digest: &placed.ceremonies.digest,
        custody_id: &placed.ceremonies.custody_id,
        keeper: &placed.signers[0],
        cooler: &placed.signers[1],
        nats: &placed.nats,
        nats_ca_file: "/etc/multisig/nats/ca.crt",
        credentials_file: "/etc/multisig/credentials/credentials.json",
        chain_id: lab.servers.anvil.chain_id,
        rpc: &lab.servers.anvil.url,
        assets: json!([{"symbol": "ETH", "asset": "native", "decimals": 18}]),
        relayer_key_file: "/etc/multisig/relayer/relayer.key",
        client_keys: false,
    };
    let image = &lab.images.get("app").context("the image app is loaded")?.reference;
    let storage = json!({"storageClassName": lab::volumes::STORAGE_CLASS});
    let ports = [port(&placed.nats.url)?, port(&lab.servers.anvil.url)?];
    let policy = json!({"egress": [{"ports": ports}]});
    let values = json!({
        "image": image, "config": trust.json(), "cluster": "main", "storage": storage, "networkPolicy": policy,
    });
    helm(lab, commands, "app", NAMESPACE, &values).await
}

/// The port that a URL ends with.
fn port(url: &str) -> Result<u16> {
    let port = url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
    port.with_context(|| format!("{url} names no port"))
}

/// `kubectl port-forward`, which ends with the demo.
async fn forward(lab: &Lab, token: &Token) -> Result<(Child, Api)> {
    let (port, health) = (harness::ports::free([127, 0, 0, 1].into())?, harness::ports::free([127, 0, 0, 1].into())?);
    playbook::until(|| async {
        let rollout = Command::new(&lab.kubectl)
            .args(["rollout", "status", "deployment/app", "--timeout=5s", "--namespace", NAMESPACE])
            .env("KUBECONFIG", &lab.hub.kubeconfig)
            .output()
            .await?;
        anyhow::ensure!(rollout.status.success(), "{}", String::from_utf8_lossy(&rollout.stderr));
        Ok(())
    })
    .await?;
    let child = Command::new(&lab.kubectl)
        .args(["port-forward", "service/app", &format!("{port}:80"), &format!("{health}:8081")])
        .args(["--namespace", NAMESPACE])
        .env("KUBECONFIG", &lab.hub.kubeconfig)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let local = |port| format!("http://127.0.0.1:{port}");
    Ok((child, Api::new(local(port), local(health), &token.token)?))
}
