//! Ceremonies, preparation by both admins, the operator, trust between the parties, the cool phrase: until Ready.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use custody::{Role, identity::Identity, trust::KeyProtection};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use lab::{Lab, cluster::Cluster};
use playbook::{
    Commands,
    app::Owner,
    hub::{ClusterSpec, Hub, NatsAccess, member_cluster, multisig_cluster},
    member::{Decisions, Member, Prepared, VaultAccess},
    stations::{Ceremonies, ceremonies},
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    Report,
    narrate::{act, chapter, say},
};

/// The safe destination: an address whose key nobody here has.
pub(crate) const SAFE_DESTINATION: &str = "0x5afe00000000000000000000000000000000beef";
/// One ETH in wei.
pub(crate) const ETH: u128 = 1_000_000_000_000_000_000;
/// Namespace of the resources and of App.
pub(crate) const NAMESPACE: &str = "custody";
const OPERATOR_NAMESPACE: &str = "multisig-system";

/// Everything wired.
pub(crate) struct Placed {
    /// Everybody's folders.
    pub(crate) folder: PathBuf,
    /// Phrases and manifest.
    pub(crate) ceremonies: Ceremonies,
    /// Hub admin.
    pub(crate) hub: Hub,
    /// Data centre B's admin.
    pub(crate) cooler: Member,
    /// App's owner.
    pub(crate) owner: Owner,
    /// Keys of both signers, as their admins told App's owner.
    pub(crate) signers: [Identity; 2],
    /// The broker.
    pub(crate) nats: NatsAccess,
}

/// Plays it.
pub(crate) async fn place(lab: &Lab, commands: &Commands, folder: &Path, report: &mut Report) -> Result<Placed> {
    let chain_id = lab.servers.anvil.chain_id;
    report.chain = json!({"rpc": lab.servers.anvil.loopback_url, "chainId": chain_id});

    chapter("Cold and cool stations: two phrases on paper, one manifest signed at both stations");
    let safe = format!("eip155:{chain_id}={SAFE_DESTINATION}");
    let ceremonies =
        act("both stations", "hold their ceremonies, offline", ceremonies(commands, folder, &safe)).await?;
    say(&format!("custody {}; the manifest's digest is {}", ceremonies.custody_id, ceremonies.digest));

    chapter("Each data centre admin prepares a member: namespace, roles, volume, Vault, member trust");
    let keeper = member(lab, &lab.dc_a, Role::Keeper, "fra-1", folder)?;
    let cooler = member(lab, &lab.dc_b, Role::Cooler, "ams-2", folder)?;
    let prepared = (
        act(
            "admin of fra-1",
            "multisig member prepare",
            keeper.prepare(commands, &decisions(lab, &ceremonies, Role::Keeper)?),
        )
        .await?,
        act(
            "admin of ams-2",
            "multisig member prepare",
            cooler.prepare(commands, &decisions(lab, &ceremonies, Role::Cooler)?),
        )
        .await?,
    );
    say("Keeper's local policy: 2 ETH per payment; Cooler's, set independently: 1 ETH");

    chapter("The hub admin installs the operator and applies two kinds of resources");
    let hub = hub(&lab.hub).await?;
    let nats = nats_access(lab)?;
    hub.apply_ground(&fs::read_to_string(&ceremonies.manifest)?, &nats).await?;
    act("hub admin", "helm install, kubectl apply", install(lab, commands)).await?;
    report.clusters = clusters(&hub, &prepared).await?;
    same_data_center(&hub, lab, &ceremonies, &keeper, &cooler, &prepared, report).await?;

    hub.apply_member("dc-a", &keeper, &prepared.0).await?;
    hub.apply_member("dc-b", &cooler, &prepared.1).await?;
    let owner = act("App's owner", "app identity", Owner::create(commands, &folder.join("app"))).await?;
    let mut spec = spec(lab, &ceremonies)?;
    spec.app_nats_user = Some(owner.identity.nats_user.clone());
    hub.apply(hub.clusters(), multisig_cluster("main", &spec)).await?;
    let clusters = hub.clusters();
    let separated = hub.await_condition(&clusters, "main", "Separated", "True", "");
    act("operator", "proves the separation and places Keeper and Cooler", separated).await?;

    chapter("The admins verify fingerprints out of band, and the cool phrase reaches Cooler sealed to its own key");
    let approved = approve(commands, &keeper, &cooler, &owner);
    let signers = act("both admins", "read out fingerprints, approve each other's signer and App", approved).await?;
    act(
        "cool station, admin of ams-2",
        "multisig-paper cool seal, multisig cool import",
        import_cool(commands, &ceremonies, &cooler, &signers[1]),
    )
    .await?;
    let ready = hub.await_condition(&clusters, "main", "Ready", "True", "");
    let message = act("operator", "waits until both signers serve", ready).await?;
    say(&format!("MultisigCluster main is Ready: {message}"));
    Ok(Placed { folder: folder.to_owned(), ceremonies, hub, cooler, owner, signers, nats })
}

fn member(lab: &Lab, cluster: &Cluster, role: Role, data_center: &str, folder: &Path) -> Result<Member> {
    let vault = &lab.servers.vaults[usize::from(role == Role::Cooler)];
    Ok(Member {
        role,
        data_center: data_center.to_owned(),
        namespace: format!("custody-{role}"),
        kubeconfig: cluster.kubeconfig.clone(),
        server: cluster.server.clone(),
        vault: VaultAccess {
            address: vault.address.clone(),
            ca: fs::read_to_string(&vault.ca_file)?,
            token: vault.root_token.clone(),
        },
        folder: folder.join(data_center),
    })
}

fn image(lab: &Lab, name: &str) -> Result<String> {
    Ok(lab.images.get(name).with_context(|| format!("the image {name} is not loaded"))?.reference.clone())
}

fn decisions(lab: &Lab, ceremonies: &Ceremonies, role: Role) -> Result<Decisions> {
    let cap = if role == Role::Keeper { 2 * ETH } else { ETH };
    let image = image(lab, role.as_str())?;
    let (_, digest) = image.split_once('@').context("images are addressed by digest")?;
    Ok(Decisions {
        manifest: ceremonies.manifest.clone(),
        assets: json!([{"chain": format!("eip155:{}", lab.servers.anvil.chain_id), "symbol": "ETH", "asset": "native",
                        "decimals": 18, "perTransaction": cap.to_string()}]),
        keys: KeyProtection::default(),
        images: vec![digest.to_owned()],
        storage_class: lab::volumes::STORAGE_CLASS.to_owned(),
    })
}

fn spec(lab: &Lab, ceremonies: &Ceremonies) -> Result<ClusterSpec> {
    Ok(ClusterSpec {
        custody_id: ceremonies.custody_id.clone(),
        chain_id: lab.servers.anvil.chain_id,
        nats_url: lab.servers.nats.url.clone(),
        keeper: ("dc-a".to_owned(), image(lab, "keeper")?),
        cooler: ("dc-b".to_owned(), image(lab, "cooler")?),
        app_nats_user: None,
        limits: json!([]),
    })
}

fn nats_access(lab: &Lab) -> Result<NatsAccess> {
    let nats = &lab.servers.nats;
    Ok(NatsAccess {
        url: nats.url.clone(),
        ca: fs::read_to_string(&nats.ca_file)?,
        operator_signing_seed: nats.operator_signing_seed.clone(),
        sys_creds: nats.push_user_creds.clone(),
    })
}

async fn hub(cluster: &Cluster) -> Result<Hub> {
    let kubeconfig = Kubeconfig::read_from(&cluster.kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Hub { client: Client::try_from(config)?, namespace: NAMESPACE.to_owned() })
}

/// Both charts, with the hub admin's kubeconfig.
async fn install(lab: &Lab, commands: &Commands) -> Result<()> {
    helm(lab, commands, "multisig-operator-crds", OPERATOR_NAMESPACE, &json!({})).await?;
    let image = image(lab, "multisig-operator")?;
    let (repository, digest) = image.split_once('@').context("images are addressed by digest")?;
    let values = json!({"image": {"repository": repository, "digest": digest}, "namespaces": [NAMESPACE]});
    helm(lab, commands, "multisig-operator", OPERATOR_NAMESPACE, &values).await
}

/// `helm upgrade --install` of one of our charts at the hub.
pub(crate) async fn helm(lab: &Lab, commands: &Commands, chart: &str, namespace: &str, values: &Value) -> Result<()> {
    let mut helm = tokio::process::Command::new(&commands.helm);
    helm.args(["upgrade", "--install", chart]).arg(harness::servers::repository().join("charts").join(chart));
    helm.args(["--namespace", namespace, "--create-namespace", "--values", "-"]);
    helm.env("KUBECONFIG", &lab.hub.kubeconfig).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = helm.spawn()?;
    child.stdin.take().context("standard input is piped")?.write_all(values.to_string().as_bytes()).await?;
    let output = child.wait_with_output().await?;
    anyhow::ensure!(output.status.success(), "helm install {chart}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn clusters(hub: &Hub, prepared: &(Prepared, Prepared)) -> Result<Value> {
    let uid = hub.cluster_uid().await?;
    Ok(json!({
        "hub": {"uid": uid},
        "keeper": {"uid": prepared.0.cluster_uid, "dataCenter": "fra-1"},
        "cooler": {"uid": prepared.1.cluster_uid, "dataCenter": "ams-2"},
    }))
}

/// Tries to place Keeper and Cooler in one data centre.
async fn same_data_center(
    hub: &Hub,
    lab: &Lab,
    ceremonies: &Ceremonies,
    keeper: &Member,
    cooler: &Member,
    prepared: &(Prepared, Prepared),
    report: &mut Report,
) -> Result<()> {
    let neighbour = Member { data_center: keeper.data_center.clone(), ..cooler.clone() };
    for (name, member, prepared) in [("try-a", keeper, &prepared.0), ("try-b", &neighbour, &prepared.1)] {
        hub.apply_secret(name, json!({"value": prepared.kubeconfig})).await?;
        hub.apply(hub.members(), member_cluster(name, member, prepared)).await?;
    }
    let mut spec = spec(lab, ceremonies)?;
    (spec.keeper.0, spec.cooler.0) = ("try-a".to_owned(), "try-b".to_owned());
    hub.apply(hub.clusters(), multisig_cluster("try", &spec)).await?;
    let clusters = hub.clusters();
    let refused = hub.await_condition(&clusters, "try", "Separated", "False", "SameDataCenter");
    let why = act("operator", "is asked to put both into fra-1", refused).await?;
    report.refused("same-data-centre", &why);
    hub.delete(&clusters, "try").await?;
    hub.delete(&hub.members(), "try-a").await?;
    hub.delete(&hub.members(), "try-b").await
}

async fn approve(commands: &Commands, keeper: &Member, cooler: &Member, owner: &Owner) -> Result<[Identity; 2]> {
    for (here, there) in [(keeper, cooler), (cooler, keeper)] {
        let fingerprint = playbook::until(|| async { Ok(there.fingerprint(commands).await?.0) }).await?;
        playbook::until(|| here.approve(commands, there.role, &fingerprint)).await?;
        here.approve_app(commands, &owner.identity_file(), &owner.fingerprint).await?;
    }
    Ok([keeper.fingerprint(commands).await?.1, cooler.fingerprint(commands).await?.1])
}

async fn import_cool(commands: &Commands, ceremonies: &Ceremonies, cooler: &Member, identity: &Identity) -> Result<()> {
    let sealed = ceremonies.seal_cool(commands, &identity.keys.xkey).await?;
    cooler.multisig(commands, "cool import").arg(sealed).succeed().await?;
    Ok(())
}
