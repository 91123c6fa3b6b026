//! From nothing to a custody that serves, each step by the person whose it is.

use std::{collections::BTreeMap, fs, path::PathBuf};

use anyhow::{Context, Result};
use custody::{Role, trust::KeyProtection};
use harness::{Options, cluster::Cluster, evm::Anvil, kubelet::Kubelet, nats::Nats, vault::Vault};
use playbook::{
    Commands,
    app::{self, Owner, TrustFile},
    hub::{ClusterSpec, Hub, NatsAccess, multisig_cluster},
    member::{Decisions, Member, Prepared, VaultAccess},
    stations::{Ceremonies, ceremonies},
    until,
};
use serde_json::{Value, json};

use crate::processes::{Process, binaries};

/// Chain id of the test chain.
pub const CHAIN_ID: u64 = 31337;
/// The manifest's safe destination: an address of nobody here.
pub const SAFE_DESTINATION: &str = "0x5afe00000000000000000000000000000000beef";
/// One ETH in wei.
pub const ETH: u128 = 1_000_000_000_000_000_000;

/// Servers up, ceremonies held, nothing installed yet.
pub struct Ground {
    /// Everybody's folders.
    pub folder: tempfile::TempDir,
    /// The project's commands.
    pub commands: Commands,
    /// API server of the hub.
    pub hub_cluster: Cluster,
    /// API server of data centre A.
    pub dc_a: Cluster,
    /// API server of data centre B.
    pub dc_b: Cluster,
    /// Vault of data centre A.
    pub vault_a: Vault,
    /// Vault of data centre B.
    pub vault_b: Vault,
    /// The broker.
    pub nats: Nats,
    /// The node.
    pub anvil: Anvil,
    /// Phrases and manifest.
    pub ceremonies: Ceremonies,
    /// The hub admin.
    pub hub: Hub,
    /// Data centre A's admin.
    pub keeper: Member,
    /// Data centre B's admin.
    pub cooler: Member,
    /// Whether Keeper seals by client keys.
    pub client_keys: bool,
    /// How long both signers hold up payments above half of a local policy's cap; absent: not at all.
    pub time_lock_seconds: Option<u64>,
    /// Whether both signers count each wallet's and everybody's payments of a day, against limits that are never reached.
    pub windows: bool,
}

/// A local policy of one asset: at most `wei` ETH in a payment.
pub fn capped(wei: u128) -> Value {
    json!([{"chain": format!("eip155:{CHAIN_ID}"), "symbol": "ETH", "asset": "native", "decimals": 18,
            "perTransaction": wei.to_string()}])
}

/// An image by digest; the kubelet's stand-in runs the binary of that name.
pub(crate) fn image(role: Role) -> String {
    let digit = if role == Role::Keeper { "a" } else { "b" };
    format!("registry.example/{role}@sha256:{}", digit.repeat(64))
}

impl Ground {
    /// Starts all servers and holds the ceremonies.
    pub async fn start() -> Result<Self> {
        harness::install_crypto();
        let folder = tempfile::tempdir()?;
        let commands = Commands { bin: binaries()?, helm: harness::servers::path("helm")?.join("helm") };
        let safe = format!("eip155:{CHAIN_ID}={SAFE_DESTINATION}");
        let (clusters, vault_a, vault_b, nats, anvil, ceremonies) = tokio::try_join!(
            Cluster::start_three(["hub", "dc-a", "dc-b"]),
            Vault::start(Options::default()),
            Vault::start(Options::default()),
            Nats::start(Options::default()),
            Anvil::start(CHAIN_ID, Options::default()),
            ceremonies(&commands, folder.path(), &safe),
        )?;
        let [hub_cluster, dc_a, dc_b] = clusters;
        let hub = Hub { client: hub_cluster.client(), namespace: "custody".to_owned() };
        let member = |role: Role, data_center: &str, cluster: &Cluster, vault: &Vault| -> Result<Member> {
            let room = folder.path().join(data_center);
            fs::create_dir_all(&room)?;
            let kubeconfig = room.join("admin.kubeconfig");
            fs::write(&kubeconfig, cluster.kubeconfig())?;
            Ok(Member {
                role,
                data_center: data_center.to_owned(),
                namespace: format!("custody-{role}"),
                kubeconfig,
                server: cluster.url(),
                vault: VaultAccess {
                    address: vault.address(),
                    ca: vault.ca_pem().to_owned(),
                    token: vault.root_token().to_owned(),
                },
                folder: room,
            })
        };
        let keeper = member(Role::Keeper, "fra-1", &dc_a, &vault_a)?;
        let cooler = member(Role::Cooler, "ams-2", &dc_b, &vault_b)?;
        Ok(Self {
            folder,
            commands,
            hub_cluster,
            dc_a,
            dc_b,
            vault_a,
            vault_b,
            nats,
            anvil,
            ceremonies,
            hub,
            keeper,
            cooler,
            client_keys: false,
            time_lock_seconds: None,
            windows: false,
        })
    }

    /// How the hub reaches the broker.
    pub fn nats_access(&self) -> NatsAccess {
        NatsAccess {
            url: self.nats.url(),
            ca: self.nats.ca_pem().to_owned(),
            operator_signing_seed: self.nats.operator_signing_seed().to_owned(),
            sys_creds: self.nats.push_user_creds(),
        }
    }

    /// What a data centre's admin decides: one image, a local policy of `wei` ETH a payment.
    pub fn decisions(&self, role: Role, wei: u128) -> Decisions {
        let digest = image(role).split_once('@').map(|(_, digest)| digest.to_owned()).unwrap_or_default();
        let mut assets = capped(wei);
        if let Some(seconds) = self.time_lock_seconds {
            assets[0]["timeLock"] = json!({"above": (wei / 2).to_string(), "delaySeconds": seconds});
        }
        if self.windows {
            let day = json!({"amount": u128::MAX.to_string(), "windowSeconds": 86_400});
            assets[0]["perWallet"] = day.clone();
            assets[0]["total"] = day;
        }
        let client_keys = self.client_keys && role == Role::Keeper;
        Decisions {
            manifest: self.ceremonies.manifest.clone(),
            assets,
            keys: if client_keys { KeyProtection::ClientKey } else { KeyProtection::Vault },
            images: vec![digest],
            storage_class: String::new(),
        }
    }

    /// The resource, before App's key is known; the hub allows more than the local policies, so that the local policies are felt.
    pub fn cluster_spec(&self) -> ClusterSpec {
        ClusterSpec {
            custody_id: self.ceremonies.custody_id.clone(),
            chain_id: CHAIN_ID,
            nats_url: self.nats.url(),
            keeper: ("dc-a".to_owned(), image(Role::Keeper)),
            cooler: ("dc-b".to_owned(), image(Role::Cooler)),
            app_nats_user: None,
            limits: json!([]),
        }
    }

    /// Installs the CRDs and starts the operator in the hub admin's name.
    pub async fn start_operator(&self, name: &str) -> Result<Process> {
        let room = self.folder.path().join(name);
        fs::create_dir_all(&room)?;
        let kubeconfig = room.join("kubeconfig");
        fs::write(&kubeconfig, self.hub_cluster.kubeconfig())?;
        let listen = harness::ports::free([127, 0, 0, 1].into())?;
        let args = [
            "run".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--namespace={}", self.hub.namespace),
            format!("--listen=127.0.0.1:{listen}"),
            format!("--name={name}"),
        ];
        Process::start(name, &self.commands.bin.join("multisig-operator"), &room, &args)
    }

    /// Applies `crds/` to the hub and waits until they are served.
    pub async fn apply_crds(&self) -> Result<()> {
        let kubectl = harness::servers::path("kubernetes")?.join("kubectl");
        let kubeconfig = self.folder.path().join("hub.kubeconfig");
        fs::write(&kubeconfig, self.hub_cluster.kubeconfig())?;
        let crds = harness::servers::repository().join("crds");
        for words in [
            format!("apply --server-side -f {}", crds.display()),
            "wait --for=condition=Established --timeout=60s crd memberclusters.multisig.dev multisigclusters.multisig.dev"
                .to_owned(),
        ] {
            let output = tokio::process::Command::new(&kubectl)
                .args(words.split_whitespace())
                .env("KUBECONFIG", &kubeconfig)
                .output()
                .await?;
            anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

/// A custody that serves.
pub struct World {
    /// Servers, rooms, people.
    pub ground: Ground,
    /// Kubelet of data centre A.
    pub kubelet_a: Kubelet,
    /// Kubelet of data centre B.
    pub kubelet_b: Kubelet,
    /// The operator.
    pub operator: Process,
    /// App's owner.
    pub owner: Owner,
    /// App.
    pub app: Process,
    /// App's HTTP API.
    pub api: app::Api,
    /// The hub's kubeconfigs.
    pub prepared: [Prepared; 2],
}

impl World {
    /// Everything, with local policies of `keeper_wei` and `cooler_wei` ETH a payment.
    pub async fn start(keeper_wei: u128, cooler_wei: u128) -> Result<Self> {
        Self::on(Ground::start().await?, keeper_wei, cooler_wei).await
    }

    /// The wiring, on ground that may have been tampered with.
    pub async fn on(ground: Ground, keeper_wei: u128, cooler_wei: u128) -> Result<Self> {
        let prepared = prepare(&ground, keeper_wei, cooler_wei).await?;
        let operator = apply(&ground, &prepared).await?;
        let (kubelet_a, kubelet_b) = kubelets(&ground).await?;
        let owner = Owner::create(&ground.commands, &ground.folder.path().join("app")).await?;
        let mut spec = ground.cluster_spec();
        spec.app_nats_user = Some(owner.identity.nats_user.clone());
        ground.hub.apply(ground.hub.clusters(), multisig_cluster("main", &spec)).await?;
        approve(&ground, &owner).await?;
        import_cool(&ground, &kubelet_b).await?;
        let ready = ground.hub.await_condition(&ground.hub.clusters(), "main", "Ready", "True", "").await;
        ready.with_context(|| format!("operator:\n{}", tail(&operator.log())))?;
        let (app, api) = start_app(&ground, &owner).await?;
        api.await_ready().await.with_context(|| tail(&app.log()))?;
        Ok(Self { ground, kubelet_a, kubelet_b, operator, owner, app, api, prepared })
    }

    /// Cooler's local command, as its admin runs it in the pod.
    pub async fn cooler(&self, args: &[&str], stdin: &str) -> Result<String> {
        exec(&self.kubelet_b, "cooler", args, stdin).await
    }
}

/// Both admins prepare their member.
pub async fn prepare(ground: &Ground, keeper_wei: u128, cooler_wei: u128) -> Result<[Prepared; 2]> {
    let (keeper, cooler) = (ground.decisions(Role::Keeper, keeper_wei), ground.decisions(Role::Cooler, cooler_wei));
    let prepared = tokio::try_join!(
        ground.keeper.prepare(&ground.commands, &keeper),
        ground.cooler.prepare(&ground.commands, &cooler),
    )?;
    Ok(prepared.into())
}

/// The hub admin applies everything and starts the operator.
pub async fn apply(ground: &Ground, prepared: &[Prepared; 2]) -> Result<Process> {
    let manifest = fs::read_to_string(&ground.ceremonies.manifest)?;
    ground.apply_crds().await?;
    ground.hub.apply_ground(&manifest, &ground.nats_access()).await?;
    ground.hub.apply_member("dc-a", &ground.keeper, &prepared[0]).await?;
    ground.hub.apply_member("dc-b", &ground.cooler, &prepared[1]).await?;
    ground.hub.apply(ground.hub.clusters(), multisig_cluster("main", &ground.cluster_spec())).await?;
    ground.start_operator("operator").await
}

/// The stand-ins for both data centres' kubelets.
pub async fn kubelets(ground: &Ground) -> Result<(Kubelet, Kubelet)> {
    let binary = |name: &str| BTreeMap::from([(name.to_owned(), ground.commands.bin.join(name))]);
    tokio::try_join!(
        Kubelet::run(&ground.dc_a, &ground.keeper.namespace, binary("keeper")),
        Kubelet::run(&ground.dc_b, &ground.cooler.namespace, binary("cooler")),
    )
}

/// The admins compare fingerprints out of band: each approves the other's signer and App.
async fn approve(ground: &Ground, owner: &Owner) -> Result<()> {
    let commands = &ground.commands;
    for (here, there) in [(&ground.keeper, &ground.cooler), (&ground.cooler, &ground.keeper)] {
        let fingerprint = until(|| async { Ok(there.fingerprint(commands).await?.0) }).await?;
        until(|| here.approve(commands, there.role, &fingerprint)).await?;
        here.approve_app(commands, &owner.identity_file(), &owner.fingerprint).await?;
    }
    Ok(())
}

/// Cool's phrase, sealed in the cool room to Cooler's own key, carried by data centre B's admin.
async fn import_cool(ground: &Ground, kubelet: &Kubelet) -> Result<()> {
    let (_, identity) = ground.cooler.fingerprint(&ground.commands).await?;
    let sealed = ground.ceremonies.seal_cool(&ground.commands, &identity.keys.xkey).await?;
    exec(kubelet, "cooler", &["import"], &fs::read_to_string(sealed)?).await?;
    Ok(())
}

/// A local command in a pod; an error unless it succeeded.
pub(crate) async fn exec(kubelet: &Kubelet, role: &str, args: &[&str], stdin: &str) -> Result<String> {
    let output = kubelet.exec(role, args, stdin.as_bytes()).await?;
    let stdout = String::from_utf8(output.stdout)?;
    anyhow::ensure!(
        output.status.success(),
        "{role} {args:?} failed: {stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(stdout)
}

/// App's owner writes the trust file, delivers the hub's JWT, and starts App.
async fn start_app(ground: &Ground, owner: &Owner) -> Result<(Process, app::Api)> {
    let room = &owner.folder;
    let (_, keeper) = ground.keeper.fingerprint(&ground.commands).await?;
    let (_, cooler) = ground.cooler.fingerprint(&ground.commands).await?;
    let credentials = until(|| async { app_credentials(ground).await }).await?;
    fs::write(room.join("credentials.json"), credentials)?;
    fs::write(room.join("nats-ca.pem"), ground.nats.ca_pem())?;
    fs::write(room.join("relayer.key"), &ground.anvil.dev_accounts()?[3].key)?;
    let path = |name: &str| room.join(name).display().to_string();
    let token = owner.token(&ground.commands, "shop").await?;
    fs::write(room.join("callers"), &token.line)?;
    let (port, health) = (harness::ports::free([127, 0, 0, 1].into())?, harness::ports::free([127, 0, 0, 1].into())?);
    let trust = TrustFile {
        data_dir: &path("data"),
        listen: &format!("127.0.0.1:{port}"),
        health_listen: &format!("127.0.0.1:{health}"),
        callers_file: &path("callers"),
        identity_dir: &path("identity"),
        manifest_file: &ground.ceremonies.manifest.display().to_string(),
        manifest_digest: &ground.ceremonies.digest,
        custody_id: &ground.ceremonies.custody_id,
        keeper: &keeper,
        cooler: &cooler,
        nats: &ground.nats_access(),
        nats_ca_file: &path("nats-ca.pem"),
        credentials_file: &path("credentials.json"),
        chain_id: CHAIN_ID,
        rpc: &ground.anvil.url(),
        assets: json!([{"symbol": "ETH", "asset": "native", "decimals": 18}]),
        relayer_key_file: &path("relayer.key"),
        client_keys: ground.client_keys,
    };
    fs::write(room.join("config.json"), serde_json::to_vec_pretty(&trust.json())?)?;
    let args = ["run".to_owned(), format!("--config={}", PathBuf::from(path("config.json")).display())];
    let process = Process::start("app", &ground.commands.bin.join("app"), room, &args)?;
    let local = |port| format!("http://127.0.0.1:{port}");
    Ok((process, app::Api::new(local(port), local(health), token.token)?))
}

async fn app_credentials(ground: &Ground) -> Result<String> {
    let object = ground.hub.config_maps().get("main-app-credentials").await?;
    let credentials = object.data["data"]["credentials.json"].as_str().context("no credentials for App yet")?;
    Ok(credentials.to_owned())
}

/// The end of a log.
pub fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}
