//! The signer's process, as its pod would run it, and what its admin runs beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::data_center::{Member, PATIENCE};

/// The process; killed when dropped.
pub struct Process(Child);

/// A second process over a copy of a signer's volume, with the same keys, Vault and credentials.
pub struct Copied {
    process: Process,
    listen: String,
}

impl Member {
    fn command(&self, words: &[&str]) -> Command {
        self.command_over(&self.data_dir(), words)
    }

    fn command_over(&self, data_dir: &Path, words: &[&str]) -> Command {
        let place = |name: &str| self.folder.path().join(name).display().to_string();
        let mut command = Command::new(&self.binary);
        command
            .args(words)
            .arg(format!("--data-dir={}", data_dir.display()))
            .arg(format!("--kube-dir={}", place("kube")))
            .arg(format!("--vault-token-file={}", place("vault/token")))
            .env_clear()
            .env("KUBERNETES_SERVICE_HOST", self.cluster.host().to_string())
            .env("KUBERNETES_SERVICE_PORT", self.cluster.port().to_string())
            .kill_on_drop(true);
        command
    }

    /// Starts the process as the pod does.
    pub fn run(&self) -> Process {
        self.run_over(&self.data_dir(), &self.listen)
    }

    /// The same over a copy of its volume, while it runs itself.
    pub fn run_copy(&self, data_dir: &Path) -> Copied {
        let listen = format!("127.0.0.1:{}", harness::ports::free("127.0.0.1".parse().unwrap()).unwrap());
        Copied { process: self.run_over(data_dir, &listen), listen }
    }

    fn run_over(&self, data_dir: &Path, listen: &str) -> Process {
        let log = fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let words = ["run", &format!("--listen={listen}"), "--namespace", &self.namespace()];
        let mut command = self.command_over(data_dir, &words);
        Process(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    /// A local command of the admin, as by `kubectl exec -i`.
    pub async fn exec(&self, words: &[&str], stdin: impl AsRef<[u8]>) -> Output {
        let input = self.folder.path().join("stdin");
        fs::write(&input, stdin).unwrap();
        let mut command = self.command(words);
        command.stdin(fs::File::open(input).unwrap()).output().await.unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The process's output.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Status and text of one of its pages.
    pub async fn http(&self, path: &str) -> (u16, String) {
        self.try_http(path).await.unwrap()
    }

    /// The same; none while it does not listen.
    pub async fn try_http(&self, path: &str) -> Option<(u16, String)> {
        page(&self.listen, path).await
    }

    /// Waits until the present process is ready, whatever an earlier one has reported.
    pub async fn ready(&self) {
        let client = harness::tls::plain_client().unwrap();
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let answer = client.get(format!("http://{}/readyz", self.listen)).send().await;
            match answer {
                Ok(answer) if answer.status().is_success() => return,
                answer if tokio::time::Instant::now() > deadline => panic!("not ready: {answer:?}\n{}", self.log()),
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }
}

impl Copied {
    /// Status and text of one of its pages; none while it does not listen yet.
    pub async fn http(&self, path: &str) -> Option<(u16, String)> {
        page(&self.listen, path).await
    }

    /// As [`Process::terminate`].
    pub async fn terminate(self) -> Option<i32> {
        self.process.terminate().await
    }
}

async fn page(listen: &str, path: &str) -> Option<(u16, String)> {
    let client = harness::tls::plain_client().unwrap();
    let answer = client.get(format!("http://{listen}{path}")).send().await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.unwrap()))
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id().unwrap()
    }

    /// Stops it in the middle of whatever it does; it holds its connections.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.0.id().unwrap().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGKILL, as a power cut would; returns when it is gone.
    pub async fn kill(mut self) {
        self.0.kill().await.unwrap();
    }

    /// SIGTERM, as the kubelet sends it; the exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        tokio::time::timeout(PATIENCE, self.0.wait()).await.unwrap().unwrap().code()
    }
}
