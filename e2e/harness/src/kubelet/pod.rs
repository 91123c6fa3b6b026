//! One pod: started, probed, started again when it ends, replaced when its template changes, and its StatefulSet's
//! status.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::{sync::watch, time::timeout};

use super::{
    Node, create_folder,
    plan::{self, Host, Mounts, Plan},
    volumes::Volumes,
};
use crate::process::{ProcessId, Running, Spec};

/// How often the process is looked at and asked whether it is ready.
const PROBE: Duration = Duration::from_millis(100);
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
const PATCH_TIMEOUT: Duration = Duration::from_secs(3);
const PATCH_RETRY: Duration = Duration::from_millis(200);
/// A process that ran this long has not failed at its start: the next restart is quick again.
const STABLE: Duration = Duration::from_secs(10);

/// A pod's state, shared by the tasks that run it and the handle of the test.
pub(super) struct Pod {
    name: String,
    binary: PathBuf,
    port: u16,
    folder: PathBuf,
    wanted: watch::Sender<Wanted>,
    observed: watch::Sender<Option<Observed>>,
    container: Mutex<Option<Container>>,
    starts: AtomicU32,
}

/// What the API server and the test ask for.
#[derive(Clone, Default)]
struct Wanted {
    set: Option<Arc<StatefulSet>>,
    paused: bool,
}

/// A running container.
#[derive(Clone)]
pub(super) struct Container {
    pub(super) id: ProcessId,
    pub(super) spec: Spec,
    pub(super) mounts: Mounts,
    pub(super) volumes: Arc<Volumes>,
}

/// What the StatefulSet's status is to say.
#[derive(Clone, PartialEq, Eq)]
struct Observed {
    name: String,
    uid: Option<String>,
    generation: Option<i64>,
    revision: String,
    runs: bool,
    ready: bool,
}

/// Why a container no longer runs.
enum Ended {
    /// By itself or by a signal.
    Exited(String),
    /// Another template is wanted, or none.
    Replaced,
}

impl Pod {
    pub(super) fn new(name: &str, binary: PathBuf, port: u16, folder: &Path) -> Result<Self> {
        create_folder(folder)?;
        Ok(Self {
            name: name.to_owned(),
            binary: std::path::absolute(binary)?,
            port,
            folder: folder.to_owned(),
            wanted: watch::Sender::new(Wanted::default()),
            observed: watch::Sender::new(None),
            container: Mutex::new(None),
            starts: AtomicU32::new(0),
        })
    }

    /// The StatefulSet was applied. A write of its status does not count: it is ours.
    pub(super) fn want(&self, set: StatefulSet) {
        let version = |set: &StatefulSet| (set.metadata.uid.clone(), set.metadata.generation);
        self.wanted.send_if_modified(|wanted| {
            let news = wanted.set.as_deref().map(version) != Some(version(&set));
            if news {
                wanted.set = Some(Arc::new(set));
            }
            news
        });
    }

    /// The StatefulSet is gone unless `exists` says otherwise.
    pub(super) fn keep_if(&self, exists: impl Fn(&StatefulSet) -> bool) {
        self.wanted.send_if_modified(|wanted| {
            let gone = wanted.set.as_ref().is_some_and(|set| !exists(set));
            if gone {
                wanted.set = None;
            }
            gone
        });
    }

    pub(super) fn pause(&self, paused: bool) {
        self.wanted.send_modify(|wanted| wanted.paused = paused);
    }

    /// The container, `None` while its process does not live.
    pub(super) fn container(&self) -> Option<Container> {
        self.lock().clone().filter(|container| container.id.lives())
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.container().is_some() && self.observed.borrow().as_ref().is_some_and(|observed| observed.ready)
    }

    pub(super) fn log(&self) -> String {
        let log = fs::read(self.spec(&[]).log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Runs what is wanted, for ever.
    pub(super) async fn supervise(&self, node: &Arc<Node>) {
        let mut wanted = self.wanted.subscribe();
        let mut failures = 0;
        loop {
            let now = wanted.borrow_and_update().clone();
            if let Some(set) = now.to_run() {
                let started = Instant::now();
                let ended = self.run(node, &set, &mut wanted).await;
                *self.lock() = None;
                self.observe(Some(&set), false, false);
                failures = if started.elapsed() > STABLE { 0 } else { failures };
                match ended {
                    Ok(Ended::Replaced) => {
                        failures = 0;
                        continue;
                    }
                    Ok(Ended::Exited(how)) => self.note(&format!("the container ended: {how}")),
                    Err(error) => self.note(&format!("the pod can't start: {error:#}")),
                }
                let _ = timeout(restart_delay(failures), wanted.changed()).await;
                failures += 1;
            } else {
                self.observe(now.set.as_deref(), false, false);
                if wanted.changed().await.is_err() {
                    return;
                }
            }
        }
    }

    /// One life of the container.
    async fn run(&self, node: &Arc<Node>, set: &StatefulSet, wanted: &mut watch::Receiver<Wanted>) -> Result<Ended> {
        let host = Host {
            volumes: &self.folder.join("volumes"),
            claims: &node.claims,
            listen: self.address(),
            api: (node.api_host, node.api_port),
        };
        let Plan { args, env, mounts, volumes, service_account, grace } = Plan::new(set, &host)?;
        let volumes = Arc::new(Volumes::new(volumes, service_account, node.clone()));
        volumes.prepare().await?;
        let spec = self.spec(&args).env(env);
        let mut process = Running::spawn(&spec)?;
        self.starts.fetch_add(1, Ordering::Relaxed);
        *self.lock() = Some(Container { id: process.id(), spec, mounts, volumes: volumes.clone() });
        let ended = tokio::select! {
            never = volumes.keep() => match never {},
            ended = self.attend(node, set, &mut process, wanted) => ended,
        };
        if matches!(ended, Ended::Replaced) {
            process.terminate(grace).await;
        }
        Ok(ended)
    }

    /// Watches the process, its readiness and what is wanted, until it has ended or has to.
    async fn attend(
        &self,
        node: &Node,
        set: &StatefulSet,
        process: &mut Running,
        wanted: &mut watch::Receiver<Wanted>,
    ) -> Ended {
        let revision = plan::revision(set);
        let readyz = format!("http://{}/readyz", self.address());
        loop {
            if let Some(how) = process.ended() {
                return Ended::Exited(how);
            }
            // The generation may have risen while the template stayed.
            let now = wanted.borrow_and_update().clone();
            let Some(set) = now.to_run().filter(|set| plan::revision(set) == revision) else {
                return Ended::Replaced;
            };
            let answer = node.http.get(&readyz).timeout(PROBE_TIMEOUT).send().await;
            self.observe(Some(&set), true, answer.is_ok_and(|answer| answer.status().is_success()));
            let _ = timeout(PROBE, wanted.changed()).await;
        }
    }

    /// Writes each new observation to the StatefulSet's status.
    pub(super) async fn publish(&self, node: &Node) {
        let sets: Api<StatefulSet> = Api::namespaced(node.client.clone(), &node.namespace);
        let mut observed = self.observed.subscribe();
        loop {
            let now = observed.borrow_and_update().clone();
            let again = match &now {
                Some(now) => now.patch(&sets).await.is_err(),
                None => false,
            };
            let changed = observed.changed();
            let open = if again { timeout(PATCH_RETRY, changed).await.unwrap_or(Ok(())) } else { changed.await };
            if open.is_err() {
                return;
            }
        }
    }

    fn observe(&self, set: Option<&StatefulSet>, runs: bool, ready: bool) {
        let observed = set.map(|set| Observed {
            name: set.name_any(),
            uid: set.metadata.uid.clone(),
            generation: set.metadata.generation,
            revision: plan::revision(set),
            runs,
            ready,
        });
        self.observed.send_if_modified(|before| {
            let changed = *before != observed;
            *before = observed;
            changed
        });
    }

    fn spec(&self, args: &[String]) -> Spec {
        Spec::new(&self.name, self.binary.clone(), &self.folder).args(args)
    }

    /// A line of ours in the container's log: where people look when a pod doesn't start.
    fn note(&self, line: &str) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.spec(&[]).log_file());
        let _ = log.and_then(|mut log| writeln!(log, "kubelet: {line}"));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Container>> {
        self.container.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Wanted {
    fn to_run(&self) -> Option<Arc<StatefulSet>> {
        self.set.clone().filter(|set| !self.paused && plan::replicas(set) > 0)
    }
}

impl Observed {
    /// Fails when it should be tried again.
    async fn patch(&self, sets: &Api<StatefulSet>) -> Result<()> {
        let (runs, ready) = (i32::from(self.runs), i32::from(self.ready));
        let patch = json!({
            // A later StatefulSet of the same name has another uid: the API server refuses.
            "metadata": {"uid": self.uid},
            "status": {
                "observedGeneration": self.generation,
                "replicas": runs, "currentReplicas": runs, "updatedReplicas": runs,
                "readyReplicas": ready, "availableReplicas": ready,
                "currentRevision": self.revision, "updateRevision": self.revision,
            },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        match timeout(PATCH_TIMEOUT, sets.patch_status(&self.name, &params, &patch)).await? {
            Err(kube::Error::Api(refused)) if matches!(refused.code, 404 | 409) => Ok(()),
            answer => answer.map(drop).map_err(Into::into),
        }
    }
}

/// Pause before the next start after so many that failed: 0.1 s, doubling, 5 s at most.
fn restart_delay(failures: u32) -> Duration {
    Duration::from_millis(100 << failures.min(10)).min(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_quick_at_first_and_never_more_than_five_seconds_apart() {
        let delays = [0, 1, 2, 5, 6, 100].map(|failures| restart_delay(failures).as_millis());
        assert_eq!(delays, [100, 200, 400, 3200, 5000, 5000]);
    }
}
