//! Child processes that never outlive their parent and, for the lab, servers that do on purpose.
//!
//! The kernel kills a child when its parent ends, however that ends: `setpriv --pdeathsig KILL` asks it to. That
//! signal follows the *thread* that spawned the child, so one thread that lives as long as the process spawns all.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, mpsc},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a condition is looked at while it is awaited.
const POLL: Duration = Duration::from_millis(25);
/// One question of a readiness probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// The kernel ends a killed process within this time, unless it hangs in a system call.
const KILL_DEADLINE: Duration = Duration::from_secs(10);
/// Lines of a log that an error shows.
const LOG_TAIL: usize = 20;

/// A process, told apart from a later one with the same pid by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    pid: i32,
    /// Clock ticks after boot (`proc(5)`, field 22 of `stat`).
    started: u64,
}

impl ProcessId {
    /// This process.
    pub fn own() -> Result<Self> {
        Self::of(std::process::id()).context("can't read /proc/self: the harness needs Linux's /proc")
    }

    /// The process that now has this pid, `None` if there is none (a zombie counts: it isn't reaped yet).
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let (started, _) = stat(pid)?;
        Some(Self { pid: i32::try_from(pid).ok()?, started })
    }

    /// The pid.
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether it still runs; a zombie doesn't.
    pub fn lives(self) -> bool {
        let found = u32::try_from(self.pid).ok().and_then(stat);
        found.is_some_and(|(started, state)| started == self.started && !matches!(state, 'Z' | 'X'))
    }

    /// Sends a signal; nothing happens when the process is gone.
    fn signal(self, signal: Signal) {
        if self.lives()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // Fails only when it ended meanwhile, which does not matter.
            let _ = kill_process(pid, signal);
        }
    }

    /// SIGKILL, and returns when it is gone or can't be killed.
    pub(crate) fn kill_and_wait(self) {
        self.signal(Signal::KILL);
        let deadline = Instant::now() + KILL_DEADLINE;
        while self.lives() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// `PID-STARTED`, as in names of run folders.
    pub(crate) fn file_name(self) -> String {
        format!("{}-{}", self.pid, self.started)
    }

    /// The reverse of [`Self::file_name`].
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let (pid, started) = name.split_once('-')?;
        Some(Self { pid: pid.parse().ok()?, started: started.parse().ok()? })
    }

    /// From a pid file.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        Self::from_file_name(fs::read_to_string(path).ok()?.trim())
    }
}

/// Start time and state letter of a process.
fn stat(pid: u32) -> Option<(u64, char)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name, in parentheses, may hold spaces and parentheses.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((fields.nth(18)?.parse().ok()?, state))
}

/// What to run, where.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Stem of its files: `NAME.log`, `NAME.pid`.
    pub name: String,
    /// The binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// All of its environment but PATH, HOME and TMPDIR: nothing is inherited, so that no variable of the user's
    /// shell configures a server.
    pub env: BTreeMap<String, String>,
    /// Working folder, home, and place of log and pid file.
    pub folder: PathBuf,
    /// Outlives this process, in a session of its own.
    pub detached: bool,
}

impl Spec {
    /// A child of this process called `name`, living in `folder`.
    pub fn new(name: &str, program: PathBuf, folder: &Path) -> Self {
        let (args, env) = (Vec::new(), BTreeMap::new());
        Self { name: name.to_owned(), program, args, env, folder: folder.to_owned(), detached: false }
    }

    /// With these arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With this environment.
    pub fn env(mut self, env: BTreeMap<String, String>) -> Self {
        self.env = env;
        self
    }

    /// Detached or not.
    pub fn detached(mut self, detached: bool) -> Self {
        self.detached = detached;
        self
    }

    /// The file that takes the process's output.
    pub fn log_file(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join(format!("{}.pid", self.name))
    }

    /// The command, wrapped so that it dies with us or lives in its own session.
    pub(crate) fn command(&self) -> Command {
        let mut command = if self.detached {
            let mut command = Command::new("setsid");
            command.arg("--");
            command
        } else {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]);
            command
        };
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        command.arg(&self.program).args(&self.args).current_dir(&self.folder).stdin(Stdio::null());
        command.env_clear().env("PATH", path).env("HOME", &self.folder).env("TMPDIR", std::env::temp_dir());
        command.envs(&self.env);
        command
    }
}

/// Spawns from the thread that never ends.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::SyncSender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in jobs {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let gone = || io::Error::other("the spawning thread is gone");
    let (answer, result) = mpsc::sync_channel(1);
    spawner.send((command, answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

/// A process that was started here, or a detached one that was found again.
pub struct Running {
    id: ProcessId,
    /// Absent for one that was found.
    child: Option<Child>,
    detached: bool,
}

impl Running {
    /// Starts it. Its output is appended to the log.
    pub fn spawn(spec: &Spec) -> Result<Self> {
        let log = fs::OpenOptions::new().create(true).append(true).open(spec.log_file())?;
        let mut command = spec.command();
        command.stdout(log.try_clone()?).stderr(log);
        let child = spawn(command).with_context(|| format!("can't start {}", spec.name))?;
        let id = ProcessId::of(child.id()).context("can't read /proc: the harness needs Linux")?;
        fs::write(spec.pid_file(), id.file_name())?;
        Ok(Self { id, child: Some(child), detached: spec.detached })
    }

    /// The one that an earlier process left running, if it does.
    pub fn find(spec: &Spec) -> Option<Self> {
        let id = ProcessId::read(&spec.pid_file()).filter(|id| id.lives())?;
        Some(Self { id, child: None, detached: spec.detached })
    }

    /// Which process.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// How it ended, `None` while it runs.
    pub fn ended(&mut self) -> Option<String> {
        match &mut self.child {
            Some(child) => child.try_wait().ok().flatten().map(|status: ExitStatus| status.to_string()),
            None => (!self.id.lives()).then(|| "gone".to_owned()),
        }
    }

    /// Stops its execution without ending it: what it listens on accepts and never answers.
    pub fn pause(&self) {
        self.id.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.id.signal(Signal::CONT);
    }

    /// Asks it to end (SIGTERM), and kills it when it hasn't within `grace`.
    pub async fn terminate(mut self, grace: Duration) {
        self.resume();
        self.id.signal(Signal::TERM);
        let deadline = Instant::now() + grace;
        while self.ended().is_none() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
        self.kill();
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self) {
        match &mut self.child {
            Some(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            None => self.id.kill_and_wait(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.detached {
            self.kill();
        }
    }
}

/// A server that can be stopped and started again with the same command.
pub struct Server {
    spec: Spec,
    running: Mutex<Option<Running>>,
}

impl Server {
    /// Not started; or found, when it is a detached one that runs already.
    pub fn new(spec: Spec) -> Self {
        let running = spec.detached.then(|| Running::find(&spec)).flatten();
        Self { spec, running: Mutex::new(running) }
    }

    /// Starts it unless it runs.
    pub fn start(&self) -> Result<()> {
        let mut running = self.running();
        if running.as_mut().is_none_or(|process| process.ended().is_some()) {
            *running = Some(Running::spawn(&self.spec)?);
        }
        Ok(())
    }

    /// Whether it runs (paused or not).
    pub fn runs(&self) -> bool {
        self.running().as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// Its process, `None` while it is stopped.
    pub fn id(&self) -> Option<ProcessId> {
        self.running().as_ref().map(Running::id)
    }

    /// Waits until `probe` succeeds. The error shows the probe's last answer and the end of the log.
    pub async fn ready<F, T>(&self, deadline: Duration, probe: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let until = Instant::now() + deadline;
        loop {
            let last = match tokio::time::timeout(PROBE_TIMEOUT, probe()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => anyhow!("no answer within {} s", PROBE_TIMEOUT.as_secs()),
            };
            let ended = self.running().as_mut().and_then(Running::ended);
            if let Some(status) = ended {
                bail!("{} ended before it was ready ({status}). Its log ends:\n{}", self.spec.name, self.log_tail());
            }
            if Instant::now() > until {
                let seconds = deadline.as_secs();
                bail!(
                    "{} is not ready after {seconds} s: {last:#}. Its log ends:\n{}",
                    self.spec.name,
                    self.log_tail()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends it: SIGTERM, then SIGKILL after `grace`.
    pub async fn stop(&self, grace: Duration) {
        let process = self.running().take();
        if let Some(process) = process {
            process.terminate(grace).await;
        }
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&self) {
        if let Some(mut process) = self.running().take() {
            process.kill();
        }
    }

    /// SIGSTOP: what it listens on accepts and never answers.
    pub fn pause(&self) {
        self.running().iter().for_each(Running::pause);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.running().iter().for_each(Running::resume);
    }

    /// All of its output so far.
    pub fn log(&self) -> String {
        fs::read(self.spec.log_file()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].iter().fold(String::new(), |mut tail, line| {
            let _ = writeln!(tail, "  {line}");
            tail
        })
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
