//! The process that is killed, seen from outside.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use custody::{Role, identity::PeerKeys};
use prost::Message;
use protocol::ops::{Outcome, Request};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use super::wire::{Answer, Ask, Asked, Question, Told};

/// Until it is ready, and until it is gone.
const PATIENCE: Duration = Duration::from_secs(60);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Told>>>>;

/// It ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Waiting,
    reader: JoinHandle<()>,
    next: AtomicU64,
    /// The signer's own public keys.
    pub(crate) public: PeerKeys,
}

/// The binary beside this one.
fn binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let mut folders = own.ancestors().skip(1).take(2).map(|folder| folder.join("crash-signer"));
    folders.find(|path| path.is_file()).context("crash-signer is not built: run `cargo build -p hostile --bins` first")
}

impl Process {
    /// Starts it and waits until it is ready. `blocks`: how far a file of it may grow, 512-byte blocks.
    pub(crate) async fn start(start: &Path, log: &Path, fault: Option<&str>, blocks: Option<u64>) -> Result<Self> {
        let (process, ready) = Self::spawn(start, log, fault, blocks)?;
        match timeout(PATIENCE, ready).await? {
            Ok(Told::Ready(public)) => Ok(Self { public: serde_json::from_str(&public)?, ..process }),
            _ => bail!("crash-signer ended before it was ready; its log ends: {}", tail(log)),
        }
    }

    /// Starts it and kills it `after` that.
    pub(crate) async fn stillborn(start: &Path, log: &Path, after: Duration) -> Result<()> {
        let (process, ready) = Self::spawn(start, log, None, None)?;
        let _ = timeout(after, ready).await;
        process.kill();
        process.ended().await
    }

    fn spawn(
        start: &Path,
        log: &Path,
        fault: Option<&str>,
        blocks: Option<u64>,
    ) -> Result<(Self, oneshot::Receiver<Told>)> {
        let log = std::fs::File::options().create(true).append(true).open(log)?;
        let mut command = match blocks {
            None => Command::new(binary()?),
            Some(blocks) => {
                // What is written beyond fails, as on a full disk, and ends nobody.
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]).arg(binary()?);
                shell
            }
        };
        command.arg(start).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        if let Some(fault) = fault {
            command.env("MULTISIG_FAULT", fault);
        }
        let mut child = command.spawn().context("can't start crash-signer")?;
        let (input, output) = (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.try_into().ok()?)).context("it is gone already")?;
        let (ready, is_ready) = oneshot::channel();
        let waiting: Waiting = Arc::new(Mutex::new(HashMap::from([(0, ready)])));
        let reader = tokio::spawn(read_all(output, waiting.clone()));
        let (input, next) = (tokio::sync::Mutex::new(input), AtomicU64::new(1));
        let public = PeerKeys { message_key: String::new(), xkey: String::new() };
        Ok((Self { child, pid, input, waiting, reader, next, public }, is_ready))
    }

    /// The answer; none if it ended before.
    pub(crate) async fn ask(&self, ask: Ask) -> Option<Told> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (told, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, told);
        let bytes = Question { number, ask: Some(ask) }.encode_to_vec();
        let frame = [&u32::try_from(bytes.len()).ok()?.to_be_bytes()[..], &bytes].concat();
        // A process that is gone takes nothing; what it had answered before is still read.
        let _ = self.input.lock().await.write_all(&frame).await;
        if self.reader.is_finished() {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        answer.await.ok()
    }

    /// What it answers to a request of `role`; none if it ended before.
    pub(crate) async fn say(&self, role: Role, request: &Request) -> Option<Outcome> {
        match self.ask(asked(role, request)).await? {
            Told::Response(response) => response.outcome,
            _ => None,
        }
    }

    /// For whatever must be done; an error says why it was not.
    pub(crate) async fn done(&self, ask: Ask) -> Result<u64> {
        match self.ask(ask).await {
            Some(Told::Done(left)) => Ok(left),
            Some(Told::Failed(why)) => bail!("{why}"),
            other => bail!("crash-signer answers {other:?}"),
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// A signal; it may be gone already.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end, and until all that it wrote is read.
    pub(crate) async fn ended(mut self) -> Result<()> {
        let ended = timeout(PATIENCE, self.child.wait()).await.context("crash-signer did not end")?;
        ensure!(ended?.code().is_none(), "crash-signer ended by itself");
        Ok(self.reader.await?)
    }
}

/// A request as the process takes it.
pub(crate) fn asked(role: Role, request: &Request) -> Ask {
    Ask::Request(Box::new(Asked { role: role.to_string(), request: request.clone() }))
}

async fn read_all(mut output: ChildStdout, waiting: Waiting) {
    while let Some(Answer { number, told: Some(told) }) = read(&mut output).await {
        let asker = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        if let Some(asker) = asker {
            let _ = asker.send(told);
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

async fn read(output: &mut ChildStdout) -> Option<Answer> {
    let length = output.read_u32().await.ok()?;
    let mut bytes = vec![0; length as usize];
    output.read_exact(&mut bytes).await.ok()?;
    Answer::decode(bytes.as_slice()).ok()
}

fn tail(log: &Path) -> String {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.lines().rev().take(5).collect::<Vec<_>>().join(" | ")
}
