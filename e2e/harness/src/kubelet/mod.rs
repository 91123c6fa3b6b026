//! The stand-in for StatefulSet controller and kubelet: runs the registered binary of each applied StatefulSet as a
//! plain process with real projected tokens, and sets the StatefulSet's status. All other objects are the API
//! server's own.

mod plan;
mod pod;
mod volumes;

use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        WatchStreamExt,
        utils::Backoff,
        watcher::{self, Event},
    },
};
use tokio::task::JoinSet;

use crate::{cluster::Cluster, ports, process, run::Folder, tls};
use pod::Pod;

/// Arguments of the running container that commands in it get too: in the image they are defaults.
const COMMON_ARGS: [&str; 4] = ["--data-dir", "--kube-dir", "--vault-token-file", "--namespace"];
/// A command in a container that takes longer hangs.
const EXEC_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(25);

/// What all pods of a namespace share.
struct Node {
    client: Client,
    http: reqwest::Client,
    namespace: String,
    api_host: IpAddr,
    api_port: u16,
    ca_pem: String,
    /// Home of the persistent volumes, by claim.
    claims: PathBuf,
}

/// The pods of one namespace. Dropping it kills them.
pub struct Kubelet {
    pods: BTreeMap<String, Arc<Pod>>,
    tasks: JoinSet<()>,
    _folder: Folder,
}

impl Kubelet {
    /// Watches the namespace's StatefulSets and runs, for each, the binary registered for its container's name.
    pub async fn run(cluster: &Cluster, namespace: &str, binaries: BTreeMap<String, PathBuf>) -> Result<Self> {
        let folder = Folder::new(&format!("{}-kubelet", cluster.name()), None)?;
        let node = Arc::new(Node {
            client: cluster.kubelet_client().await?,
            http: tls::plain_client()?,
            namespace: namespace.to_owned(),
            api_host: cluster.host(),
            api_port: cluster.port(),
            ca_pem: cluster.ca_pem().to_owned(),
            claims: folder.path().join("claims"),
        });
        let mut pods = BTreeMap::new();
        let mut tasks = JoinSet::new();
        for (container, binary) in binaries {
            ensure!(binary.is_file(), "no binary at {}: build it first", binary.display());
            let port = ports::free(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
            let pod = Arc::new(Pod::new(&container, binary, port, &folder.path().join(&container))?);
            let (running, publishing) = ((pod.clone(), node.clone()), (pod.clone(), node.clone()));
            tasks.spawn(async move { running.0.supervise(&running.1).await });
            tasks.spawn(async move { publishing.0.publish(&publishing.1).await });
            pods.insert(container, pod);
        }
        tasks.spawn(watch(node, pods.clone()));
        Ok(Self { pods, tasks, _folder: folder })
    }

    /// Runs the container's binary once more in the running container, as `kubectl exec -i ROLE-0 -- /ROLE ARGS` does.
    /// Paths are mapped, and folders and namespace of the running container are passed on.
    pub async fn exec(&self, role: &str, args: &[&str], stdin: &[u8]) -> Result<Output> {
        let container = self.pod(role)?.container().with_context(|| format!("{role}-0 is not running"))?;
        let mut spec = container.spec.clone();
        let inherited = spec.args.iter().filter(|arg| {
            let name = arg.split('=').next().unwrap_or_default();
            COMMON_ARGS.contains(&name) && !args.iter().any(|given| given.split('=').next() == Some(name))
        });
        let mut all: Vec<String> = args.iter().map(|arg| plan::map_arg(arg, &container.mounts)).collect();
        all.extend(inherited.cloned());
        spec.args = all;
        let mut command = spec.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process::spawn(command).with_context(|| format!("can't run {}", spec.program.display()))?;
        let (id, mut input, stdin) = (process::ProcessId::of(child.id()), child.stdin.take(), stdin.to_vec());
        let run = tokio::task::spawn_blocking(move || {
            // A command that doesn't read its input closes the pipe; what it says then counts.
            let write = std::thread::spawn(move || input.as_mut().map(|input| input.write_all(&stdin)));
            let output = child.wait_with_output();
            let _ = write.join();
            output
        });
        match tokio::time::timeout(EXEC_TIMEOUT, run).await {
            Ok(output) => Ok(output??),
            Err(_) => {
                id.inspect(|id| id.kill_and_wait());
                bail!("{role} {} takes longer than {} s", args.join(" "), EXEC_TIMEOUT.as_secs())
            }
        }
    }

    /// SIGKILL; the container is then started again.
    pub fn kill(&self, role: &str) -> Result<()> {
        let container = self.pod(role)?.container().with_context(|| format!("{role}-0 is not running"))?;
        container.id.kill_and_wait();
        Ok(())
    }

    /// Keeps the container stopped (a lost node), or lets it run again.
    pub fn pause(&self, role: &str, paused: bool) -> Result<()> {
        self.pod(role)?.pause(paused);
        Ok(())
    }

    /// Replaces the container's tokens now instead of at 80 % of their lifetime.
    pub async fn renew_tokens(&self, role: &str) -> Result<()> {
        let container = self.pod(role)?.container().with_context(|| format!("{role}-0 is not running"))?;
        container.volumes.renew_tokens().await
    }

    /// What the container has written, and what kept it from running.
    pub fn log(&self, role: &str) -> Result<String> {
        Ok(self.pod(role)?.log())
    }

    /// `http://127.0.0.1:PORT` of the container's port 8080, the same over restarts.
    pub fn http(&self, role: &str) -> Result<String> {
        Ok(format!("http://{}", self.pod(role)?.address()))
    }

    /// How often the container has been started.
    pub fn starts(&self, role: &str) -> Result<u32> {
        Ok(self.pod(role)?.starts())
    }

    /// Where a path of the running container is on this host.
    pub fn host_path(&self, role: &str, path: &str) -> Result<PathBuf> {
        let container = self.pod(role)?.container().with_context(|| format!("{role}-0 is not running"))?;
        Ok(PathBuf::from(plan::map_arg(path, &container.mounts)))
    }

    /// Waits until the container answers 200 at `/readyz`. The error shows the end of its log.
    pub async fn ready(&self, role: &str, deadline: Duration) -> Result<()> {
        let pod = self.pod(role)?;
        let until = Instant::now() + deadline;
        while !pod.is_ready() {
            if Instant::now() > until {
                let log = pod.log();
                let lines: Vec<&str> = log.lines().collect();
                let tail = lines[lines.len().saturating_sub(20)..].join("\n  ");
                bail!("{role}-0 is not ready after {} s. Its log ends:\n  {tail}", deadline.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn pod(&self, role: &str) -> Result<&Arc<Pod>> {
        self.pods.get(role).with_context(|| format!("no binary is registered for a container named '{role}'"))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.tasks.abort_all();
        // Aborted tasks end later: the processes must be gone before their folder is.
        self.pods.values().filter_map(|pod| pod.container()).for_each(|container| container.id.kill_and_wait());
    }
}

/// Tells each pod the StatefulSet that it is to run.
async fn watch(node: Arc<Node>, pods: BTreeMap<String, Arc<Pod>>) {
    let sets: Api<StatefulSet> = Api::namespaced(node.client.clone(), &node.namespace);
    let mut events = watcher::watcher(sets, watcher::Config::default()).backoff(Steady).boxed();
    let mut listed = HashSet::new();
    loop {
        match events.try_next().await {
            Ok(Some(Event::Init)) => listed.clear(),
            Ok(Some(Event::InitApply(set))) => {
                listed.insert(set.name_any());
                apply(&pods, set);
            }
            Ok(Some(Event::InitDone)) => {
                pods.values().for_each(|pod| pod.keep_if(|set| listed.contains(&set.name_any())));
            }
            Ok(Some(Event::Apply(set))) => apply(&pods, set),
            Ok(Some(Event::Delete(gone))) => {
                pods.values().for_each(|pod| pod.keep_if(|set| set.metadata.uid != gone.metadata.uid));
            }
            Ok(None) => return,
            Err(error) => tracing::debug!(%error, "the watch of StatefulSets failed and is tried again"),
        }
    }
}

fn apply(pods: &BTreeMap<String, Arc<Pod>>, set: StatefulSet) {
    match plan::container_name(&set).and_then(|name| pods.get(name)) {
        Some(pod) => pod.want(set),
        None => tracing::warn!(set = set.name_any(), "no binary is registered for this StatefulSet's container"),
    }
}

/// The API server of a test comes back soon: ask often.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

/// Creates a folder and its parents.
fn create_folder(path: &Path) -> Result<()> {
    crate::files::create_private_folder(path)
}
