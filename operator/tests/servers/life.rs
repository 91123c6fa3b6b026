//! The life of a custody on three clusters.

use std::collections::BTreeSet;

use custody::{Role, report::WorkloadState};
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Secret},
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use natsauth::{Account, decode_unverified};
use serde_json::{Value, json};

use crate::{
    ground::{Ground, HUB, MEMBER},
    process::Operator,
    secrets::{no_secret_in, no_secret_on_the_hub},
    wait::until,
    workload::{Workload, value},
};

/// A custody whose signers serve.
struct World {
    ground: Ground,
    keeper: Workload,
    cooler: Workload,
}

impl World {
    async fn serve(self) -> Self {
        let Self { ground, keeper, cooler } = &self;
        for (workload, member) in [(keeper, &ground.dc_a), (cooler, &ground.dc_b)] {
            workload.report(member, WorkloadState::AwaitingCredentials, None).await;
        }
        for (workload, member) in [(keeper, &ground.dc_a), (cooler, &ground.dc_b)] {
            let credentials = workload.await_credentials(member, 1).await;
            // Minted at the same time as the account is pushed: the broker may know it a moment later.
            until("the broker admits", || async { workload.connect(&ground.nats, &credentials).await.map(drop) }).await;
            workload.ready(member).await;
            workload.report(member, WorkloadState::Serving, Some(1)).await;
        }
        ground.await_condition("Ready", "True", "AsExpected").await;
        self
    }
}

/// Another look, without another wish.
async fn nudge(ground: &Ground, value: usize) {
    let seen = (ground.looks(&ground.dc_a, Role::Keeper), ground.looks(&ground.dc_b, Role::Cooler));
    let body = json!({"metadata": {"annotations": {"test/nudge": value.to_string()}}});
    ground.clusters().patch("main", &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
    until("another look", || async {
        let now = (ground.looks(&ground.dc_a, Role::Keeper), ground.looks(&ground.dc_b, Role::Cooler));
        if now.0 > seen.0 && now.1 > seen.1 { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
}

fn all_writes(ground: &Ground) -> Vec<String> {
    [&ground.hub, &ground.dc_a, &ground.dc_b].into_iter().flat_map(|cluster| ground.writes(cluster)).collect()
}

/// The account JWT that the broker holds.
async fn held(ground: &Ground) -> String {
    let account = ground.clusters().get("main").await.unwrap().status.unwrap().nats.unwrap().account;
    let client = ground.nats.push_client().await.unwrap();
    let subject = format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP");
    let answer = client.request(subject, "".into()).await.unwrap();
    String::from_utf8(answer.payload.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custody_is_wired_kept_rotated_and_taken_down() {
    let ground = Ground::start().await;
    ground.apply_ground().await;
    let app = Workload::new(Role::App, ground.custody, 1);
    let mut cluster = ground.cluster();
    cluster["spec"]["app"] = json!({"type": "External", "external": {"natsUser": app.user()}});
    ground.apply(cluster.clone()).await;
    let operator = ground.operate("first").await;
    let (keeper, cooler) =
        (Workload::new(Role::Keeper, ground.custody, 1), Workload::new(Role::Cooler, ground.custody, 1));
    let mut world = World { ground, keeper, cooler }.serve().await;

    wired(&world, &app).await;
    restricted(&world.ground);
    at_rest(&world).await;
    drift(&world).await;
    pause(&world, &mut cluster).await;
    rotation(&mut world).await;
    rollback_at_the_broker(&world).await;
    let operator = leader_change(&world, operator, &mut cluster).await;
    loss_of_a_member(&world, &mut cluster).await;
    rights(&world.ground);
    no_secret_on_the_hub(&world.ground).await;
    deletion(&world).await;
    no_secret_in(&operator.log(), &world.ground).await;
    operator.stop().await;
}

/// Keys are minted for, peers proposed, App served, everything said.
async fn wired(world: &World, app: &Workload) {
    let World { ground, keeper, cooler } = world;
    let proposed = keeper.config(&ground.dc_a).await.proposed_peers;
    assert_eq!(proposed.get(&Role::Cooler), Some(&cooler.identity()));
    assert_eq!(cooler.config(&ground.dc_b).await.proposed_peers.get(&Role::Keeper), Some(&keeper.identity()));

    let maps: Api<ConfigMap> = Api::namespaced(ground.hub.client(), HUB);
    let text = maps.get("main-app-credentials").await.unwrap().data.unwrap().remove("credentials.json").unwrap();
    app.connect(&ground.nats, &serde_json::from_str(&text).unwrap()).await.unwrap();
    let stolen = keeper.await_credentials(&ground.dc_a, 1).await;
    assert!(cooler.connect(&ground.nats, &stolen).await.is_err(), "a JWT is worth nothing without its key");

    let status = ground.clusters().get("main").await.unwrap().status.unwrap();
    let signer = status.keeper.unwrap();
    assert_eq!(signer.cluster_uid.as_deref(), Some(ground.dc_a.uid()));
    assert_eq!((signer.data_center.as_deref(), signer.signing.as_deref()), (Some("fra-1"), Some("Serving")));
    assert_eq!(signer.identity.unwrap().nats_user, keeper.user());
    assert_eq!(status.app.unwrap().nats_user, app.user());
    let claim = ground.members().get("dc-a").await.unwrap().status.unwrap().claimed_by.unwrap();
    assert_eq!((claim.name.as_str(), claim.role), ("main", Role::Keeper));
    ground.await_member("dc-a", "Ready", "True", "AsExpected").await;
    ground.await_member("dc-a", "GuardActive", "Unknown", "NotInstalled").await;
    assert!(ground.members().get("dc-a").await.unwrap().status.unwrap().credential.unwrap().expires_at.is_some());
}

/// Pods of every template are admitted under the strictest Pod Security.
fn restricted(ground: &Ground) {
    for (cluster, namespace, workload) in [
        (&ground.hub, HUB, "deployment/multisig-operator"),
        (&ground.dc_a, MEMBER, "statefulset/keeper"),
        (&ground.dc_b, MEMBER, "statefulset/cooler"),
    ] {
        let workload = ground.kubectl(cluster, &["get", workload, "-n", namespace, "-o", "json"], b"");
        let workload: Value = serde_json::from_str(&workload).unwrap();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"},
            "spec": workload["spec"]["template"]["spec"]});
        let dry = ["create", "--dry-run=server", "-n", namespace, "-f", "-"];
        ground.kubectl(cluster, &dry, pod.to_string().as_bytes());
        let mut loose = pod;
        loose["spec"]["containers"][0]["securityContext"] = json!({});
        let (admitted, said) = ground.try_kubectl(cluster, &dry, loose.to_string().as_bytes());
        assert!(!admitted && said.contains("PodSecurity"), "{said}");
    }
}

/// A pass that changes nothing writes nothing, on any cluster.
async fn at_rest(world: &World) {
    let ground = &world.ground;
    nudge(ground, 0).await;
    let before = all_writes(ground);
    for round in 1..4 {
        nudge(ground, round).await;
    }
    let after = all_writes(ground);
    assert_eq!(after[before.len()..], [] as [&str; 0]);
    assert_eq!(before.len(), after.len());
}

/// Whoever changes the workload on the member finds it changed back.
async fn drift(world: &World) {
    let ground = &world.ground;
    let sets: Api<StatefulSet> = Api::namespaced(ground.dc_a.client(), MEMBER);
    let body = json!({"spec": {"replicas": 0}});
    sets.patch("keeper", &PatchParams::default(), &Patch::Merge(body)).await.unwrap();
    until("the repair", || async {
        let replicas = sets.get("keeper").await.unwrap().spec.unwrap().replicas;
        if replicas == Some(1) { Ok(()) } else { Err(format!("{replicas:?}")) }
    })
    .await;
    world.keeper.ready(&ground.dc_a).await;
    ground.await_condition("Ready", "True", "AsExpected").await;
}

/// While paused nothing is written to members; then it goes on.
async fn pause(world: &World, cluster: &mut Value) {
    let ground = &world.ground;
    let limit = |wei: &str| json!({"limits": [{"chain": "eth", "asset": "ETH", "perTransaction": wei}]});
    cluster["spec"]["paused"] = json!(true);
    cluster["spec"]["policy"] = limit("7");
    ground.apply(cluster.clone()).await;
    ground.await_condition("Synced", "False", "Paused").await;
    assert!(world.keeper.config(&ground.dc_a).await.policy.limits.is_empty());
    cluster["spec"]["paused"] = json!(false);
    ground.apply(cluster.clone()).await;
    until("the limit", || async {
        let limits = world.keeper.config(&ground.dc_a).await.policy.limits;
        if limits.iter().any(|limit| limit.per_transaction == "7") { Ok(()) } else { Err(format!("{limits:?}")) }
    })
    .await;
    ground.await_condition("Ready", "True", "AsExpected").await;
}

/// A new key: minted for, and the old one revoked once the new one is in use, not before.
async fn rotation(world: &mut World) {
    let World { ground, keeper, .. } = world;
    let old = keeper.await_credentials(&ground.dc_a, 1).await;
    let next = Workload::new(Role::Keeper, ground.custody, 2);
    next.report(&ground.dc_a, WorkloadState::AwaitingCredentials, None).await;
    let new = next.await_credentials(&ground.dc_a, 2).await;
    next.connect(&ground.nats, &new).await.unwrap();
    keeper.connect(&ground.nats, &old).await.unwrap();
    next.report(&ground.dc_a, WorkloadState::Serving, Some(2)).await;
    until("the revocation", || async {
        match keeper.connect(&ground.nats, &old).await {
            Ok(_) => Err("the old key is still admitted".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
    next.connect(&ground.nats, &new).await.unwrap();
    ground.await_condition("Ready", "True", "AsExpected").await;

    // The old key again, proven as before: never signed a second time.
    keeper.report(&ground.dc_a, WorkloadState::AwaitingCredentials, None).await;
    ground.await_condition("CredentialsCurrent", "False", "IdentityRefused").await;
    assert_eq!(next.await_credentials(&ground.dc_a, 2).await, new);
    next.report(&ground.dc_a, WorkloadState::Serving, Some(2)).await;
    ground.await_condition("Ready", "True", "AsExpected").await;
    world.keeper = next;
}

/// An account JWT that somebody else pushed is noticed and replaced.
async fn rollback_at_the_broker(world: &World) {
    let ground = &world.ground;
    let good = held(ground).await;
    let mut claims = decode_unverified::<Account>(&good).unwrap();
    claims.nats.revocations.clear();
    let account = claims.sub.clone();
    // As a thief of the operator's signing key would: valid, and later than ours.
    claims.iat += 1;
    let signer = nkeys::KeyPair::from_seed(ground.nats.operator_signing_seed()).unwrap();
    let forged = natsauth::encode(claims, &signer).unwrap();
    let client = ground.nats.push_client().await.unwrap();
    client.request(format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.UPDATE"), forged.clone().into()).await.unwrap();
    nudge(ground, 10).await;
    let good = decode_unverified::<Account>(&good).unwrap();
    let forged = decode_unverified::<Account>(&forged).unwrap();
    until("the account as wanted", || async {
        let now = decode_unverified::<Account>(&held(ground).await).unwrap();
        // Later than the forged one, which would win otherwise wherever servers compare what they hold.
        if now.nats == good.nats && now.iat > forged.iat { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
    ground.await_condition("NatsConfigured", "True", "AsExpected").await;
}

/// The next leader acts, mints nothing anew and restarts nothing.
async fn leader_change(world: &World, first: Operator, cluster: &mut Value) -> Operator {
    let World { ground, keeper, cooler } = world;
    let before = (keeper.await_credentials(&ground.dc_a, 2).await, cooler.await_credentials(&ground.dc_b, 1).await);
    let sets: Api<StatefulSet> = Api::namespaced(ground.dc_a.client(), MEMBER);
    let generation = sets.get("keeper").await.unwrap().metadata.generation;
    let second = ground.operate("second").await;
    until("the standby is ready", || async {
        let (code, text) = second.get("/readyz").await;
        if code == 200 { Ok(()) } else { Err(text) }
    })
    .await;
    assert!(second.get("/metrics").await.1.contains("multisig_leader 0"));
    assert!(first.get("/metrics").await.1.contains("multisig_leader 1"));
    let first_log = first.log();
    first.stop().await;
    cluster["spec"]["policy"]["limits"][0]["perTransaction"] = json!("8");
    ground.apply(cluster.clone()).await;
    until("the second leads", || async {
        let limits = keeper.config(&ground.dc_a).await.policy.limits;
        if limits.iter().any(|limit| limit.per_transaction == "8") { Ok(()) } else { Err(format!("{limits:?}")) }
    })
    .await;
    assert!(second.get("/metrics").await.1.contains("multisig_leader 1"));
    let after = (keeper.await_credentials(&ground.dc_a, 2).await, cooler.await_credentials(&ground.dc_b, 1).await);
    assert_eq!(before, after);
    assert_eq!(sets.get("keeper").await.unwrap().metadata.generation, generation);
    no_secret_in(&first_log, ground).await;
    second
}

/// A member that swallows every request delays the other by nothing, and comes back by itself.
async fn loss_of_a_member(world: &World, cluster: &mut Value) {
    let World { ground, cooler, .. } = world;
    ground.dc_a.pause();
    ground.await_member("dc-a", "Reachable", "False", "Unreachable").await;
    ground.await_condition("KeeperReachable", "False", "Unreachable").await;
    ground.await_condition("KeeperAvailable", "Unknown", "NotObserved").await;
    ground.await_condition("Separated", "True", "AsExpected").await;
    let begun = std::time::Instant::now();
    cluster["spec"]["policy"]["limits"][0]["perTransaction"] = json!("9");
    ground.apply(cluster.clone()).await;
    until("cooler's limit", || async {
        let limits = cooler.config(&ground.dc_b).await.policy.limits;
        if limits.iter().any(|limit| limit.per_transaction == "9") { Ok(()) } else { Err(format!("{limits:?}")) }
    })
    .await;
    let took = begun.elapsed();
    assert!(took < multisig_operator::calls::TIMEOUT, "the lost member was waited for: {took:?}");
    ground.dc_a.resume();
    ground.await_condition("Ready", "True", "AsExpected").await;
    assert_eq!(world.keeper.config(&ground.dc_a).await.policy.limits[0].per_transaction, "9");
}

/// The rights that the charts give are all that is used: nothing was ever refused, and no Secret touched on a member.
fn rights(ground: &Ground) {
    for cluster in [&ground.hub, &ground.dc_a, &ground.dc_b] {
        let refused: Vec<_> =
            ground.requests(cluster).into_iter().filter(|event| event["responseStatus"]["code"] == 403).collect();
        assert_eq!(refused, Vec::<Value>::new());
    }
    for (cluster, role) in [(&ground.dc_a, "keeper"), (&ground.dc_b, "cooler")] {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let used: BTreeSet<String> = ground
            .requests(cluster)
            .iter()
            .map(|event| format!("{} {}", text(&event["verb"]), text(&event["objectRef"]["resource"])))
            .collect();
        let expected = [
            "get ",
            "get configmaps",
            "get namespaces",
            "get poddisruptionbudgets",
            "get services",
            "get statefulsets",
            "list configmaps",
            "list statefulsets",
            "patch configmaps",
            "patch poddisruptionbudgets",
            "patch services",
            "patch statefulsets",
            "watch configmaps",
            "watch statefulsets",
        ];
        let known: BTreeSet<String> =
            expected.iter().map(|one| (*one).to_owned()).chain(["get pods".to_owned()]).collect();
        assert!(used.is_subset(&known), "{role}: {:?}", used.difference(&known));
        assert!(expected.iter().all(|one| used.contains(*one)), "{role}: {used:?}");
        let written: BTreeSet<String> = ground.writes(cluster).into_iter().collect();
        let objects = [
            format!("patch configmaps {role}-config"),
            format!("patch configmaps {role}-credentials"),
            format!("patch poddisruptionbudgets {role}"),
            format!("patch services {role}"),
            format!("patch statefulsets {role}"),
        ];
        assert_eq!(written, objects.into());
    }
}

/// Power goes first, then workloads; what holds money or keys stays. A lost member holds the deletion up until somebody
/// gives it up by name.
async fn deletion(world: &World) {
    let World { ground, keeper, cooler } = world;
    let credentials =
        (keeper.await_credentials(&ground.dc_a, 2).await, cooler.await_credentials(&ground.dc_b, 1).await);
    ground.dc_a.pause();
    ground.await_condition("KeeperReachable", "False", "Unreachable").await;
    ground.clusters().delete("main", &DeleteParams::default()).await.unwrap();
    let message = ground.await_condition("Ready", "False", "Deleting").await;
    assert!(message.contains("multisig.dev/abandon-member"), "{message}");
    until("nobody is admitted", || async {
        let admitted = (
            keeper.connect(&ground.nats, &credentials.0).await.is_ok(),
            cooler.connect(&ground.nats, &credentials.1).await.is_ok(),
        );
        if admitted == (false, false) { Ok(()) } else { Err(format!("{admitted:?}")) }
    })
    .await;
    until("cooler's workload is gone", || async {
        let sets: Api<StatefulSet> = Api::namespaced(ground.dc_b.client(), MEMBER);
        if sets.get_opt("cooler").await.unwrap().is_none() { Ok(()) } else { Err("it is there".to_owned()) }
    })
    .await;
    assert!(value(&ground.dc_b, "cooler-config", "config.json").await.is_some(), "ConfigMaps stay");
    let volumes = ground.kubectl(&ground.dc_b, &["get", "pvc", "-n", MEMBER, "-o", "name"], b"");
    assert_eq!(volumes, "persistentvolumeclaim/cooler-data\n");
    // A member that is deleted with it waits for it.
    ground.members().delete("dc-b", &DeleteParams::default()).await.unwrap();
    assert!(ground.members().get("dc-b").await.is_ok(), "the member went before its user");

    let annotation = json!({"metadata": {"annotations": {"multisig.dev/abandon-member": ground.dc_a.uid()}}});
    ground.clusters().patch("main", &PatchParams::default(), &Patch::Merge(annotation)).await.unwrap();
    until("the custody is gone", || async {
        match ground.clusters().get_opt("main").await.unwrap() {
            None => Ok(()),
            Some(cluster) => Err(format!("{:?}", cluster.status.map(|status| status.conditions))),
        }
    })
    .await;
    until("the member is gone", || async {
        let member = ground.members().get_opt("dc-b").await.unwrap();
        if member.is_none() { Ok(()) } else { Err("it is there".to_owned()) }
    })
    .await;
    ground.dc_a.resume();
    // The account's keys go with their owner, by garbage collection: the reference is there.
    let secrets: Api<Secret> = Api::namespaced(ground.hub.client(), HUB);
    let owners = secrets.get("main-nats-account").await.unwrap().metadata.owner_references.unwrap();
    assert_eq!((owners[0].kind.as_str(), owners[0].name.as_str()), ("MultisigCluster", "main"));
}
