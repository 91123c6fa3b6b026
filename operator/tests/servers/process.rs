//! The operator's process: the binary itself.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use harness::{
    ports,
    process::{Running, Spec},
    run::Folder,
};

use crate::wait::{DEADLINE, until};

/// A running operator: the binary itself.
pub(crate) struct Operator {
    process: Running,
    log: PathBuf,
    url: String,
    _folder: Folder,
}

impl Operator {
    /// What it answers at a path.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let http = reqwest::Client::builder().build().unwrap();
        until("an answer", || async {
            let answer = http.get(format!("{}{path}", self.url)).send().await.map_err(|error| error.to_string())?;
            Ok((answer.status().as_u16(), answer.text().await.unwrap()))
        })
        .await
    }

    /// Everything that it has written.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it ends by itself; how.
    pub(crate) async fn ended(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(how) = self.process.ended() {
                return how;
            }
            assert!(Instant::now() < deadline, "it did not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Told to stop, it ends by itself, long before Kubernetes would kill it.
    pub(crate) async fn stop(mut self) {
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(self.process.id().pid()).unwrap(),
            rustix::process::Signal::TERM,
        )
        .unwrap();
        assert_eq!(self.ended().await, "exit status: 0", "{}", self.log());
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the operator said:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// Starts an operator by this kubeconfig.
pub(crate) fn operate(name: &str, namespace: &str, kubeconfig: &Path) -> Operator {
    let address = format!("127.0.0.1:{}", ports::free([127, 0, 0, 1].into()).unwrap());
    let folder = Folder::new(name, None).unwrap();
    let binary = env!("CARGO_BIN_EXE_multisig-operator").into();
    let spec = Spec::new("multisig-operator", binary, folder.path()).args([
        "run".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--namespace={namespace}"),
        format!("--listen={address}"),
        format!("--name={name}"),
    ]);
    let log = spec.log_file();
    Operator { process: Running::spawn(&spec).unwrap(), log, url: format!("http://{address}"), _folder: folder }
}
