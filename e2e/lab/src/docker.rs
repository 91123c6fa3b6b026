//! The Docker daemon: one that answers, or one of the lab's own, beside any other and stopped again by `down`.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use harness::process::{Server, Spec};
use serde::{Deserialize, Serialize};

use crate::{host, paths, processes, run::Run};

/// Everything of our own daemon that a reboot may take.
const RUNTIME: &str = "/run/multisig-lab";
/// Name of the runc wrapper among the daemon's runtimes.
const WRAPPER_RUNTIME: &str = "multisig-lab";
/// A daemon starts within this, also when it first has to put in order what a crash left.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// A daemon whose containers are gone ends within this.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// For `docker version`: a daemon that is there answers at once.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How to reach the daemon.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Docker {
    /// `DOCKER_HOST` of the lab's own daemon; `None`: the one that the user's environment names.
    pub host: Option<String>,
}

impl Docker {
    /// A docker command. Anything that lasts needs a longer time limit.
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        self.environment(Run::new("docker").args(args))
    }

    /// Another command (kind, a script) that has to use the same daemon.
    pub(crate) fn environment(&self, run: Run) -> Run {
        match &self.host {
            Some(host) => run.env("DOCKER_HOST", host),
            None => run,
        }
    }

    /// Whether it answers.
    pub(crate) async fn answers(&self) -> bool {
        self.version().await.is_ok()
    }

    /// Whether privileged containers in nodes need the runc wrapper.
    pub(crate) fn is_restricted(&self) -> Result<bool> {
        Ok(self.host.is_some() && host::lacks_capabilities()?)
    }

    async fn version(&self) -> Result<String> {
        self.run(["version", "--format", "{{.Server.Version}}"]).timeout(PROBE_TIMEOUT).text().await
    }
}

/// A daemon to work with; starts one of our own where none answers.
pub(crate) async fn up() -> Result<Docker> {
    let own = own();
    if server()?.runs() && own.answers().await {
        return Ok(own);
    }
    let users = Docker { host: None };
    let reason = match users.version().await {
        Ok(_) => return Ok(users),
        Err(error) => error,
    };
    if host::find_command("docker").is_some() && !host::is_root() {
        bail!("the lab needs Docker or root: no daemon answers this user ({reason:#})");
    }
    ensure!(host::is_root(), "the lab needs Docker or root: there is neither");
    host::install(&[("dockerd", "docker.io"), ("iptables", "iptables"), ("jq", "jq")]).await?;
    host::install(&[("docker", "docker-cli")]).await?; // where Debian packs the client apart
    start().await?;
    Ok(own)
}

/// The daemons in which parts of a lab may be: the user's, and our own. The latter is started when it left
/// containers behind, since only it can remove them.
pub(crate) async fn all_with_leftovers() -> Result<Vec<Docker>> {
    let mut daemons = Vec::new();
    if host::find_command("docker").is_none() {
        return Ok(daemons);
    }
    let users = Docker { host: None };
    if users.answers().await {
        daemons.push(users);
    }
    let containers = data_folder()?.join("containers");
    let left = fs::read_dir(containers).is_ok_and(|mut entries| entries.next().is_some());
    if host::is_root() && (server()?.runs() || left) && host::find_command("dockerd").is_some() {
        start().await?;
        daemons.push(own());
    }
    Ok(daemons)
}

/// Stops our own daemon, if there is one, and removes what it leaves on the host but for its images (a cache).
pub(crate) async fn down() -> Result<()> {
    if !host::is_root() || !Path::new(RUNTIME).exists() {
        return Ok(());
    }
    server()?.stop(STOP_GRACE).await;
    unmount_below(&[Path::new(RUNTIME), &data_folder()?]).await?;
    restore_firewall().await?;
    fs::remove_dir_all(RUNTIME).with_context(|| format!("can't remove {RUNTIME}"))
}

fn own() -> Docker {
    Docker { host: Some(format!("unix://{RUNTIME}/docker.sock")) }
}

/// Images and containers of our own daemon.
fn data_folder() -> Result<PathBuf> {
    Ok(paths::cache_folder()?.join("docker"))
}

fn server() -> Result<Server> {
    let program = host::find_command("dockerd").unwrap_or_else(|| "dockerd".into());
    let mut args = vec![
        format!("--host=unix://{RUNTIME}/docker.sock"),
        format!("--pidfile={RUNTIME}/docker.pid"),
        format!("--exec-root={RUNTIME}/exec"),
        format!("--data-root={}", data_folder()?.display()),
        "--bridge=none".to_owned(), // only the lab's own network: docker0 would be another daemon's
    ];
    if host::lacks_capabilities()? {
        let wrapper = paths::source_folder().join("node-image/files/usr/local/bin/runc-wrapper");
        args.push(format!("--add-runtime={WRAPPER_RUNTIME}={}", wrapper.display()));
        args.push(format!("--default-runtime={WRAPPER_RUNTIME}"));
    }
    let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
    let env: BTreeMap<String, String> =
        proxies.iter().filter_map(|name| Some(((*name).to_owned(), env::var(name).ok()?))).collect();
    Ok(Server::new(Spec::new("dockerd", program, Path::new(RUNTIME)).args(args).env(env).detached(true)))
}

async fn start() -> Result<()> {
    let first = !Path::new(RUNTIME).join(FORWARD).exists();
    fs::create_dir_all(RUNTIME)?;
    fs::create_dir_all(data_folder()?)?;
    if first {
        save_firewall().await?;
    }
    let server = server()?;
    if !server.runs() {
        remove_remains().await?;
    }
    server.start()?;
    server.ready(START_DEADLINE, || async { own().version().await }).await?;
    Ok(())
}

/// Of a daemon that was killed: its containerd, which ends with it, and pid files and sockets, since dockerd believes
/// in a process that is a zombie or has another's pid.
async fn remove_remains() -> Result<()> {
    let exec = format!("{RUNTIME}/exec");
    processes::kill(|process| {
        process.is("containerd") && process.arguments.iter().any(|argument| argument.starts_with(&exec))
    })
    .await?;
    for stale in ["docker.pid", "docker.sock", "exec/containerd/containerd.pid", "exec/containerd/containerd.sock"] {
        remove_if_there(&Path::new(RUNTIME).join(stale))?;
    }
    remove_dead_socket(Path::new("/run/containerd/containerd.sock"))
}

/// dockerd uses the host's containerd when its socket exists, and would wait for one that is long dead.
fn remove_dead_socket(socket: &Path) -> Result<()> {
    match std::os::unix::net::UnixStream::connect(socket) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => remove_if_there(socket),
        _ => Ok(()),
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

async fn unmount_below(folders: &[&Path]) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let ours: Vec<&str> =
        points.filter(|point| folders.iter().any(|folder| Path::new(point).starts_with(folder))).collect();
    for point in ours.into_iter().rev() {
        Run::new("umount").args(["--lazy", point]).done().await?;
    }
    Ok(())
}

const FORWARD: &str = "forward";
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// A daemon lets the host forward packets and then forbids it by policy: what was set before is put back by `down`.
async fn save_firewall() -> Result<()> {
    let policy = Run::new(host::command("iptables")?).args(["-S", "FORWARD"]).text().await?;
    let policy = policy.lines().next().unwrap_or_default().replace("-P FORWARD ", "");
    let forward = fs::read_to_string(IP_FORWARD)?;
    Ok(fs::write(Path::new(RUNTIME).join(FORWARD), format!("{} {policy}", forward.trim()))?)
}

async fn restore_firewall() -> Result<()> {
    let Ok(saved) = fs::read_to_string(Path::new(RUNTIME).join(FORWARD)) else { return Ok(()) };
    let Some((forward, policy)) = saved.split_once(' ') else { return Ok(()) };
    for family in ["iptables", "ip6tables"] {
        let rules = Run::new(host::command(&format!("{family}-save"))?).text().await?;
        let kept: String =
            rules.lines().filter(|line| !line.contains("DOCKER")).fold(String::new(), |mut all, line| {
                all.push_str(line);
                all.push('\n');
                all
            });
        Run::new(host::command(&format!("{family}-restore"))?).input(kept).done().await?;
    }
    Run::new(host::command("iptables")?).args(["-P", "FORWARD", policy]).done().await?;
    Ok(fs::write(IP_FORWARD, forward)?)
}
