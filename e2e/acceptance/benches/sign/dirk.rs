//! dirk: a remote signer of validators' attestations over gRPC with mutual TLS, which keeps what it has signed on the disk
//! before it answers, as we do. Its own client asks it, in its own language.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use acceptance::{Process, load::Run, until};
use anyhow::{Context, Result, ensure};
use harness::{ports, servers, tls::Authority};
use serde::Deserialize;
use serde_json::json;

use crate::ours::BATCH;

/// As many as are in flight at most: four batches.
const ACCOUNTS: usize = 4 * BATCH;
const PASSPHRASE: &str = "worth nothing";
/// Epochs of attestations in one run, far beyond what a run signs.
const EPOCHS: u64 = 1_000_000_000;

/// A running dirk with its accounts.
pub(crate) struct Dirk {
    process: Process,
    folder: tempfile::TempDir,
    load: PathBuf,
    address: String,
    /// Attestations of an account have rising epochs.
    epoch: u64,
}

/// What the client prints.
#[derive(Deserialize)]
struct Said {
    signatures: usize,
    seconds: f64,
    p50: f64,
    p99: f64,
}

impl Dirk {
    pub(crate) async fn start() -> Result<Self> {
        let (bin, folder) = (servers::path("dirk")?, tempfile::tempdir()?);
        let (room, load) = (folder.path(), bin.join("load"));
        eprintln!("bench-sign: making {ACCOUNTS} accounts for dirk");
        let wallets = room.join("wallets").display().to_string();
        said(&load, &["prepare", &wallets, &ACCOUNTS.to_string(), PASSPHRASE]).await?;
        let address = format!("127.0.0.1:{}", ports::free([127, 0, 0, 1].into())?);
        configure(room, &address)?;
        let base = format!("--base-dir={}", room.display());
        let process = Process::start("dirk", &bin.join("dirk"), room, &[base])?;
        let mut dirk = Self { process, folder, load, address, epoch: 1 };
        until(|| dirk.ask(1, Duration::from_secs(1), 1, 1)).await.with_context(|| dirk.process.log())?;
        dirk.epoch += EPOCHS;
        // An account is opened when it is first asked for, which takes a while, and stays open.
        eprintln!("bench-sign: dirk opens its accounts");
        dirk.run(ACCOUNTS, Duration::from_secs(1), false).await?;
        Ok(dirk)
    }

    pub(crate) fn stop(&mut self) {
        self.process.kill();
    }

    /// Signatures for so long; batches are of as many as ours.
    pub(crate) async fn run(&mut self, concurrency: usize, lasting: Duration, batched: bool) -> Result<Run> {
        let epoch = self.epoch;
        self.epoch += EPOCHS;
        self.ask(concurrency, lasting, if batched { BATCH } else { 1 }, epoch).await
    }

    /// Microseconds of one core for a bare signature of its library.
    pub(crate) fn curve(&self) -> Result<f64> {
        let output = std::process::Command::new(&self.load).arg("curve").output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }

    async fn ask(&self, concurrency: usize, lasting: Duration, batch: usize, epoch: u64) -> Result<Run> {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let (concurrency, seconds) = (concurrency.to_string(), lasting.as_secs().max(1).to_string());
        let (batch, epoch) = (batch.to_string(), epoch.to_string());
        let (ca, certificate, key) = (file("ca.crt"), file("client.crt"), file("client.key"));
        let args = ["run", &self.address, &ca, &certificate, &key, &concurrency, &seconds, &batch, &epoch];
        let Said { signatures, seconds, p50, p99 } = serde_json::from_str(&said(&self.load, &args).await?)?;
        Ok(Run::measured_elsewhere(signatures, Duration::from_secs_f64(seconds), p50, p99))
    }
}

/// As its documentation has it, for one client that may sign with every account of one wallet.
fn configure(room: &Path, address: &str) -> Result<()> {
    let authority = Authority::new("bench dirk")?;
    let server = authority.issue(&["localhost"], &[[127, 0, 0, 1].into()])?;
    let client = authority.issue_client("client.bench")?;
    for (name, content) in [
        ("ca.crt", authority.pem()),
        ("server.crt", &server.certificate),
        ("server.key", &server.key),
        ("client.crt", &client.certificate),
        ("client.key", &client.key),
        ("passphrase", PASSPHRASE),
    ] {
        fs::write(room.join(name), content)?;
    }
    let file = |name: &str| format!("file://{}", room.join(name).display());
    let configuration = json!({
        "log-level": "Warn",
        "server": {"id": 1, "name": "localhost", "listen-address": address},
        "certificates": {"server-cert": file("server.crt"), "server-key": file("server.key"), "ca-cert": file("ca.crt")},
        "storage-path": room.join("protection"),
        "stores": [{"name": "Local", "type": "filesystem", "location": room.join("wallets")}],
        "peers": {"1": address},
        "unlocker": {"account-passphrases": [file("passphrase")]},
        "process": {"generation-passphrase": file("passphrase")},
        "permissions": {"client.bench": {"bench": "All"}},
    });
    fs::write(room.join("dirk.json"), serde_json::to_string_pretty(&configuration)?)?;
    Ok(())
}

async fn said(program: &Path, args: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new(program).args(args).kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "dirk's client: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8(output.stdout)?)
}
