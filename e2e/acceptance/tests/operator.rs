//! The operator on three API servers: writes only what changes, only where the separation is real, and never a secret.

use acceptance::{
    ETH, Ground, World, apply,
    audit::{Hub, secrets_in},
    prepare, until,
};
use anyhow::{Context, Result, ensure};
use custody::Role;
use harness::cluster::Cluster;
use kube::{
    api::{Api, ApiResource, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
};
use playbook::hub::{condition, member_cluster, multisig_cluster};
use serde_json::{Value, json};

fn config_map(cluster: &Cluster, namespace: &str) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "ConfigMap"), "configmaps");
    Api::namespaced_with(cluster.client(), namespace, &resource)
}

/// A value in a ConfigMap of a member, parsed.
async fn document(cluster: &Cluster, namespace: &str, name: &str, key: &str) -> Result<Value> {
    let object = config_map(cluster, namespace).get(name).await?;
    Ok(serde_json::from_str(object.data["data"][key].as_str().context("the hub has filled it")?)?)
}

async fn limit_to(world: &World, wei: u128) -> Result<()> {
    let mut spec = world.ground.cluster_spec();
    spec.app_nats_user = Some(world.owner.identity.nats_user.clone());
    spec.limits = json!([{"chain": "eth", "asset": "ETH", "perTransaction": wei.to_string()}]);
    world.ground.hub.apply(world.ground.hub.clusters(), multisig_cluster("main", &spec)).await?;
    Ok(())
}

async fn await_limit(cluster: &Cluster, role: Role, wei: u128) -> Result<()> {
    until(|| async {
        let name = format!("{role}-config");
        let config = document(cluster, &format!("custody-{role}"), &name, "config.json").await?;
        let limit = &config["policy"]["limits"][0]["perTransaction"];
        ensure!(*limit == wei.to_string().as_str(), "{role} is still told {limit}");
        Ok(())
    })
    .await
}

/// Makes the operator look again, without changing what it wants.
async fn nudge(world: &World, value: usize) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {"test/nudge": value.to_string()}}});
    world.ground.hub.clusters().patch("main", &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_only_changes_and_no_secret_through_loss_of_leader_and_member() -> Result<()> {
    let mut world = World::start(ETH, ETH).await?;
    let keeper_hub = Hub::in_namespace("custody-keeper");
    let cooler_hub = Hub::in_namespace("custody-cooler");
    let ground = &world.ground;

    // A reconcile that changes nothing writes nothing, on either member or in the status.
    let settled = ground.hub.clusters().get("main").await?.metadata.resource_version;
    let writes = (keeper_hub.writes(&ground.dc_a)?.len(), cooler_hub.writes(&ground.dc_b)?.len());
    let mut last = settled;
    for round in 0..3 {
        let seen = keeper_hub.reads_of(&ground.dc_a, "keeper-report")?;
        nudge(&world, round).await?;
        last = ground.hub.clusters().get("main").await?.metadata.resource_version;
        until(|| async {
            ensure!(keeper_hub.reads_of(&ground.dc_a, "keeper-report")? > seen, "it has not looked again");
            Ok(())
        })
        .await?;
    }
    assert_eq!((keeper_hub.writes(&ground.dc_a)?.len(), cooler_hub.writes(&ground.dc_b)?.len()), writes);
    assert_eq!(ground.hub.clusters().get("main").await?.metadata.resource_version, last, "the status was written");

    // The leader is killed: the other acts, and nothing is minted twice.
    let minted = document(&ground.dc_a, "custody-keeper", "keeper-credentials", "credentials.json").await?;
    let _standby = ground.start_operator("standby").await?;
    world.operator.kill();
    limit_to(&world, ETH / 2).await?;
    await_limit(&world.ground.dc_a, Role::Keeper, ETH / 2).await?;
    await_limit(&world.ground.dc_b, Role::Cooler, ETH / 2).await?;
    let ground = &world.ground;
    let now = document(&ground.dc_a, "custody-keeper", "keeper-credentials", "credentials.json").await?;
    assert_eq!(minted, now, "a change of leader minted anew");

    // A member that swallows every request doesn't delay the other, and is Unknown or False, not forgotten.
    ground.dc_a.pause();
    limit_to(&world, ETH / 4).await?;
    await_limit(&ground.dc_b, Role::Cooler, ETH / 4).await?;
    until(|| async {
        let object = ground.hub.clusters().get("main").await?;
        let reachable = condition(&object, "KeeperReachable").context("a condition")?;
        ensure!(reachable["status"] != "True", "{reachable}");
        Ok(())
    })
    .await?;
    ground.dc_a.resume();
    await_limit(&ground.dc_a, Role::Keeper, ETH / 4).await?;
    ground.hub.await_condition(&ground.hub.clusters(), "main", "Ready", "True", "").await?;

    // All that the hub wrote on a member, by its own audit log: a closed list without a Secret.
    for (role, cluster, hub) in [("keeper", &ground.dc_a, &keeper_hub), ("cooler", &ground.dc_b, &cooler_hub)] {
        let expected = [
            format!("configmaps/{role}-config"),
            format!("configmaps/{role}-credentials"),
            format!("poddisruptionbudgets/{role}"),
            format!("services/{role}"),
            format!("statefulsets/{role}"),
        ];
        assert_eq!(hub.written_objects(cluster)?.into_iter().collect::<Vec<_>>(), expected);
        // And by managedFields, which the API server keeps itself.
        for name in ["config", "credentials"] {
            let object = config_map(cluster, &format!("custody-{role}")).get(&format!("{role}-{name}")).await?;
            let managers = object.metadata.managed_fields.unwrap_or_default();
            assert!(managers.iter().any(|field| field.manager.as_deref() == Some("multisig-operator")));
        }
    }

    // No byte of it is a secret.
    let cool_phrase = ground.ceremonies.cool.phrase.clone();
    let canaries = [
        ground.nats.operator_signing_seed(),
        ground.nats.push_user_seed(),
        ground.vault_a.root_token(),
        ground.vault_b.root_token(),
        &cool_phrase,
        &ground.anvil.dev_accounts()?[3].key,
    ]
    .map(str::to_owned);
    let canaries: Vec<&str> = canaries.iter().map(String::as_str).collect();
    for (cluster, hub) in [(&ground.dc_a, &keeper_hub), (&ground.dc_b, &cooler_hub)] {
        let written = hub.writes(cluster)?;
        assert!(written.iter().any(|event| event["requestObject"].is_object()), "the audit log holds bodies");
        for event in written {
            assert_eq!(secrets_in(&event.to_string(), &canaries), Vec::<String>::new());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_separation_that_is_not_real_and_writes_to_no_member() -> Result<()> {
    let mut ground = Ground::start().await?;
    // Data centre B's admin says that it is in the same data centre as A.
    ground.cooler.data_center = ground.keeper.data_center.clone();
    let prepared = prepare(&ground, ETH, ETH).await?;
    let _operator = apply(&ground, &prepared).await?;
    let clusters = ground.hub.clusters();
    ground.hub.await_condition(&clusters, "main", "Separated", "False", "SameDataCenter").await?;

    // The same MemberCluster for both roles.
    let mut spec = ground.cluster_spec();
    spec.cooler.0 = "dc-a".to_owned();
    let applied = ground.hub.apply(ground.hub.clusters(), multisig_cluster("main", &spec)).await;
    if applied.is_ok() {
        ground.hub.await_condition(&clusters, "main", "Separated", "False", "SameMember").await?;
    }

    // Two MemberClusters that are one cluster under two names and two claimed data centres.
    let mut twin = ground.keeper.clone();
    twin.data_center = "ams-2".to_owned();
    ground.hub.apply_secret("twin", json!({"value": prepared[0].kubeconfig})).await?;
    ground.hub.apply(ground.hub.members(), member_cluster("twin", &twin, &prepared[0])).await?;
    let mut spec = ground.cluster_spec();
    spec.cooler.0 = "twin".to_owned();
    ground.hub.apply(ground.hub.clusters(), multisig_cluster("main", &spec)).await?;
    ground.hub.await_condition(&clusters, "main", "Separated", "False", "SameCluster").await?;

    // Production without admission policies.
    let mut object = multisig_cluster("strict", &ground.cluster_spec());
    object["spec"]["profile"] = "Production".into();
    ground.hub.apply(ground.hub.clusters(), object).await?;
    ground.hub.await_condition(&clusters, "strict", "Ready", "False", "").await?;

    for (cluster, namespace) in [(&ground.dc_a, "custody-keeper"), (&ground.dc_b, "custody-cooler")] {
        assert_eq!(Hub::in_namespace(namespace).writes(cluster)?, Vec::<Value>::new());
    }
    Ok(())
}
