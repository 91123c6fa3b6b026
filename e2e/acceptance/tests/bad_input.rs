//! The worst days that are nobody's fault: something is missing, wrong or away. One clear line says what to do, nothing is
//! half written, and when the cause is gone the work goes on by itself.

use std::fs;

use acceptance::{ETH, Ground, World, until};
use anyhow::{Context, Result, ensure};
use custody::Role;
use playbook::{evacuation, stations};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_go_away_are_named_and_waited_for() -> Result<()> {
    let world = World::start(ETH, ETH).await?;
    let World { ground, kubelet_a, api, .. } = &world;
    let (hub, clusters) = (&ground.hub, ground.hub.clusters());

    // Vault sealed: Keeper can't open its keys after a restart, says so, and goes on when it is unsealed.
    ground.vault_a.seal().await?;
    kubelet_a.kill("keeper")?;
    hub.await_condition(&clusters, "main", "VaultConfigured", "False", "sealed").await?;
    ground.vault_a.unseal().await?;
    hub.await_condition(&clusters, "main", "Ready", "True", "").await?;

    // Vault away.
    ground.vault_a.stop().await;
    kubelet_a.kill("keeper")?;
    hub.await_condition(&clusters, "main", "VaultConfigured", "False", "keeper").await?;
    ground.vault_a.start_again().await?;
    hub.await_condition(&clusters, "main", "Ready", "True", "").await?;

    // NATS away.
    ground.nats.stop().await;
    hub.await_condition(&clusters, "main", "SigningAllowed", "False", "").await?;
    ground.nats.start_again().await?;
    hub.await_condition(&clusters, "main", "Ready", "True", "").await?;

    // The node away: the payment waits, says for what, and is made when it is back.
    let wallet = api.create_wallet("carol").await?;
    ground.anvil.fund(wallet["address"].as_str().context("an address")?, ETH).await?;
    ground.anvil.pause();
    let to = "0x00000000000000000000000000000000005400ff";
    let id = api.pay("node-away", "carol", to, "ETH", "1000").await?;
    until(|| async {
        let (_, payment) = api.get(&format!("/payments/{id}")).await?;
        ensure!(payment["message"].as_str().is_some_and(|message| message.contains("node")), "{payment}");
        Ok(())
    })
    .await?;
    ground.anvil.resume();
    let payment = api.await_end(&id).await?;
    assert_eq!(payment["status"], "confirmed", "{payment:#}");

    // Wrong input from users: one line each, 4xx, nothing stored.
    for (body, key) in [
        (json!({"wallet": "carol", "to": "0x12", "asset": "ETH", "amount": "1"}), Some("bad-1")),
        (json!({"wallet": "carol", "to": to, "asset": "ETH", "amount": "-1"}), Some("bad-2")),
        (json!({"wallet": "carol", "to": to, "asset": "DOGE", "amount": "1"}), Some("bad-3")),
        (json!({"wallet": "nobody", "to": to, "asset": "ETH", "amount": "1"}), Some("bad-4")),
        (json!({"wallet": "carol", "to": to, "asset": "ETH", "amount": "1", "gas": "1"}), Some("bad-5")),
        (json!({"wallet": "carol", "to": to, "asset": "ETH", "amount": "1"}), None),
    ] {
        let (status, said) = api.post("/payments", key, body.clone()).await?;
        assert!((400..500).contains(&status), "{body} was answered {status}");
        assert!(said["reason"].is_string() && said["detail"].is_string(), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_wrong_are_refused_whole_and_taken_when_mended() -> Result<()> {
    let world = World::start(ETH, ETH).await?;
    let World { ground, prepared, .. } = &world;
    let (hub, clusters, members) = (&ground.hub, ground.hub.clusters(), ground.hub.members());

    // A kubeconfig that is gone, that is none, and that would run a program inside the operator.
    let running = json!({"apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "users": [{"name": "x", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "id"}}}]});
    for bad in ["no kubeconfig at all", &running.to_string()] {
        hub.apply_secret("dc-a", json!({"value": bad})).await?;
        hub.await_condition(&members, "dc-a", "Ready", "False", "").await?;
        hub.await_condition(&clusters, "main", "Ready", "False", "").await?;
        hub.apply_secret("dc-a", json!({"value": prepared[0].kubeconfig})).await?;
        hub.await_condition(&clusters, "main", "Ready", "True", "").await?;
    }
    // Another cluster's kubeconfig: the pin refuses it.
    hub.apply_secret("dc-a", json!({"value": prepared[1].kubeconfig})).await?;
    hub.await_condition(&members, "dc-a", "IdentityVerified", "False", "").await?;
    hub.apply_secret("dc-a", json!({"value": prepared[0].kubeconfig})).await?;
    hub.await_condition(&clusters, "main", "Ready", "True", "").await?;

    // A manifest that is malformed, or half signed, at the hub.
    let manifest = fs::read_to_string(&ground.ceremonies.manifest)?;
    for bad in ["{", &half_signed(&manifest)?] {
        hub.apply_config_map("manifest", json!({"manifest": bad})).await?;
        hub.await_condition(&clusters, "main", "Ready", "False", "anifest").await?;
        hub.apply_config_map("manifest", json!({"manifest": manifest})).await?;
        hub.await_condition(&clusters, "main", "Ready", "True", "").await?;
    }

    // A field in the member trust that nobody knows: the signer stops serving and says which.
    let trust = edit_trust(ground, |trust| trust["surprise"] = json!(true)).await?;
    hub.await_condition(&clusters, "main", "SigningAllowed", "False", "surprise").await?;
    put_trust(ground, &trust).await?;
    hub.await_condition(&clusters, "main", "Ready", "True", "").await?;

    refused_at_the_desk(ground).await?;
    refused_in_the_rooms(&world).await
}

/// The admin's command line: refused before anything is written.
async fn refused_at_the_desk(ground: &Ground) -> Result<()> {
    let decisions = ground.decisions(Role::Keeper, ETH);
    let plan = ground.keeper.write_plan(&decisions)?;
    let good: Value = serde_json::from_slice(&fs::read(&plan)?)?;
    let half = ground.folder.path().join("half.json");
    fs::write(&half, half_signed(&fs::read_to_string(&ground.ceremonies.manifest)?)?)?;
    let cases: [(&str, Value); 4] = [
        ("surprise", json!({"surprise": 1})),
        ("role", json!({"role": "king"})),
        ("sign", json!({"manifestFile": half})),
        (
            "perTransaction",
            json!({"localPolicy": {"assets": [{"chain": "eip155:31337", "symbol": "ETH", "asset": "native",
            "decimals": 18, "perTransaction": "lots"}]}}),
        ),
    ];
    for (needle, change) in cases {
        let mut bad = good.clone();
        for (key, value) in change.as_object().context("an object")? {
            bad[key] = value.clone();
        }
        fs::write(&plan, bad.to_string())?;
        let output = ground.keeper.try_prepare(&ground.commands, &plan).await?;
        assert!(!output.ok && output.stderr.contains(needle), "{needle}: {}{}", output.stdout, output.stderr);
    }
    fs::write(&plan, good.to_string())?;
    let lost = playbook::member::Member { kubeconfig: ground.folder.path().join("nowhere"), ..ground.keeper.clone() };
    let output = lost.try_prepare(&ground.commands, &plan).await?;
    assert!(!output.ok && output.stderr.contains("kubeconfig"), "{}", output.stderr);
    ground.vault_a.seal().await?;
    let output = ground.keeper.try_prepare(&ground.commands, &plan).await?;
    assert!(!output.ok && output.stderr.contains("sealed"), "{}", output.stderr);
    ground.vault_a.unseal().await?;
    let output = ground.keeper.try_prepare(&ground.commands, &plan).await?;
    assert!(output.ok, "{}", output.stderr);
    Ok(())
}

/// Cool and cold phrases that are not the manifest's.
async fn refused_in_the_rooms(world: &World) -> Result<()> {
    let ground = &world.ground;
    let other = stations::ceremonies(
        &ground.commands,
        &ground.folder.path().join("other"),
        &format!("eip155:31337={}", acceptance::SAFE_DESTINATION),
    )
    .await?;
    let (_, identity) = ground.cooler.fingerprint(&ground.commands).await?;
    let seal = |manifest: &std::path::Path| {
        ground
            .commands
            .paper()
            .words("cool seal --to")
            .arg(&identity.keys.xkey)
            .arg("--manifest")
            .arg(manifest)
            .arg("--out")
            .arg(other.cool.folder.join("sealed.json"))
            .stdin(format!("{}\n", other.cool.phrase))
    };
    seal(&ground.ceremonies.manifest).refuse("manifest").await?;
    // Sealed for another manifest, it is Cooler itself that refuses.
    seal(&other.manifest).succeed().await?;
    let sealed = fs::read(other.cool.folder.join("sealed.json"))?;
    let output = world.kubelet_b.exec("cooler", &["import"], &sealed).await?;
    assert!(!output.status.success(), "a foreign cool phrase was imported");

    // A wrong cold phrase at the cold station.
    let wallet = world.api.create_wallet("dave").await?;
    ground.anvil.fund(wallet["address"].as_str().context("an address")?, ETH).await?;
    let room = ground.folder.path().join("evacuation");
    let wallets = world.cooler(&["wallets", "export"], "").await?;
    let plan = evacuation::plan(&ground.commands, &room, &ground.ceremonies, &wallets, &ground.anvil.url()).await?;
    let bundle = room.join("bundle-cool.json");
    fs::write(&bundle, world.cooler(&["evac", "sign"], &plan).await?)?;
    for phrase in [other.cold.phrase.as_str(), "abandon ability", "twenty four words that nobody ever wrote"] {
        ground
            .commands
            .paper()
            .words("evac sign --manifest")
            .arg(&ground.ceremonies.manifest)
            .arg(&bundle)
            .arg("--out")
            .arg(room.join("never.json"))
            .stdin(format!("{phrase}\n"))
            .refuse("phrase")
            .await?;
    }
    assert!(!room.join("never.json").exists());
    Ok(())
}

fn half_signed(manifest: &str) -> Result<String> {
    let mut document: Value = serde_json::from_str(manifest)?;
    document["signatures"].as_array_mut().context("signatures")?.pop();
    Ok(document.to_string())
}

/// Data centre A's admin edits the member trust by hand; returns what it was.
async fn edit_trust(ground: &Ground, edit: impl FnOnce(&mut Value)) -> Result<String> {
    let maps = trust_maps(ground);
    let before = maps.get("multisig-trust").await?.data["data"]["trust.json"].as_str().context("trust")?.to_owned();
    let mut trust: Value = serde_json::from_str(&before)?;
    edit(&mut trust);
    put_trust(ground, &trust.to_string()).await?;
    Ok(before)
}

async fn put_trust(ground: &Ground, trust: &str) -> Result<()> {
    let patch = json!({"data": {"trust.json": trust}});
    trust_maps(ground)
        .patch("multisig-trust", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(patch))
        .await?;
    Ok(())
}

fn trust_maps(ground: &Ground) -> kube::Api<kube::api::DynamicObject> {
    let kind = kube::core::GroupVersionKind::gvk("", "v1", "ConfigMap");
    let resource = kube::api::ApiResource::from_gvk_with_plural(&kind, "configmaps");
    kube::Api::namespaced_with(ground.dc_a.client(), &ground.keeper.namespace, &resource)
}
