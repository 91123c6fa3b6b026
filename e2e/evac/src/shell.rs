//! Commands as people type them: run by a shell in one folder, watched while they run.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

use crate::narrate::say;

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often people hear the last words of one that goes on.
const TELL: Duration = Duration::from_secs(10);
/// Lines of its words that are shown of a command that failed, and the bytes that they are looked for in.
const TAIL: usize = 15;
const TAIL_BYTES: u64 = 8 * 1024;
/// The kernel counts a process's work in hundredths of a second (`USER_HZ`).
const TICKS: f64 = 100.0;

/// A folder with everybody's files, and the project's programs.
pub(crate) struct Shell {
    folder: PathBuf,
    path: String,
}

/// What became of a command.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    /// `None`: it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) seconds: f64,
    /// Seconds of a core.
    pub(crate) work: f64,
    /// The most memory that it held, MiB.
    pub(crate) rss_mib: u64,
    /// The end of what it told people.
    pub(crate) said: String,
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    pid: u32,
    words: PathBuf,
    started: Instant,
    told: Instant,
    seen: (f64, u64),
}

impl Shell {
    /// In `folder`, with the programs in `bin`.
    pub(crate) fn new(folder: &Path, bin: &Path) -> Result<Self> {
        for program in ["multisig", "multisig-paper", "cooler", "keeper"] {
            ensure!(bin.join(program).is_file(), "{program} is not in {}; build it first", bin.display());
        }
        let tools = folder.join("tools");
        fs::create_dir_all(&tools)?;
        let inherited = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
        let path = format!("{}:{}:{inherited}", tools.display(), bin.display());
        Ok(Self { folder: folder.to_owned(), path })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// From now on `kubectl exec ... -- /PROGRAM WORDS` runs that program here, at its place: there is no cluster, only what
    /// a data centre has left.
    pub(crate) fn has_data_centres(&self, cooler: &[String], keeper: &[String]) -> Result<()> {
        let script = format!(
            "#!/bin/sh\n\
             while [ \"$1\" != -- ]; do shift; done\n\
             program=${{2#/}}; shift 2\n\
             case $program in\n\
             cooler) exec cooler \"$@\" {} ;;\n\
             keeper) exec keeper \"$@\" {} ;;\n\
             esac\n\
             echo \"there is no $program\" >&2; exit 2\n",
            cooler.join(" "),
            keeper.join(" ")
        );
        let file = self.folder.join("tools/kubectl");
        fs::write(&file, script)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    /// Starts it; what it tells people goes to `NAME.log`.
    pub(crate) async fn start(&self, name: &str, command: &str, typed: &str) -> Result<Running> {
        let words = self.folder.join(format!("{name}.log"));
        // In the shell's place, so that it is the program that is watched and killed.
        let mut child = Command::new("/bin/sh");
        child.args(["-c", &format!("exec {command}")]).current_dir(&self.folder).env("PATH", &self.path);
        let (out, err) = (File::create(self.folder.join(format!("{name}.out")))?, File::create(&words)?);
        child.stdin(Stdio::piped()).stdout(out).stderr(err).kill_on_drop(true);
        let mut child = child.spawn().context("there is no /bin/sh")?;
        let mut stdin = child.stdin.take().context("standard input is piped")?;
        // A command that refuses before it reads closes the pipe: that is its answer, not our failure.
        let _ = stdin.write_all(typed.as_bytes()).await;
        drop(stdin);
        let pid = child.id().context("it has a process id while nobody has waited for it")?;
        let now = Instant::now();
        Ok(Running { child, pid, words, started: now, told: now, seen: (0.0, 0) })
    }

    /// Runs it to its end, which must be a good one.
    pub(crate) async fn run(&self, name: &str, command: &str, typed: &str) -> Result<Ran> {
        let ran = self.start(name, command, typed).await?.ended().await?;
        ensure!(ran.code == Some(0), "`{command}` ends with {:?}:\n{}", ran.code, ran.said);
        Ok(ran)
    }
}

impl Running {
    /// To its end.
    pub(crate) async fn ended(mut self) -> Result<Ran> {
        loop {
            if let Some(ran) = self.look().await? {
                return Ok(ran);
            }
        }
    }

    /// Looks at it, and waits a little; what became of it, if it has ended.
    pub(crate) async fn look(&mut self) -> Result<Option<Ran>> {
        if let Some(seen) = watched(self.pid) {
            self.seen = seen;
        }
        if self.told.elapsed() > TELL {
            self.told = Instant::now();
            let words = last_words(&self.words);
            say(format!("{:>4} s: {}", self.started.elapsed().as_secs(), words.lines().last().unwrap_or("it goes on")));
        }
        match tokio::time::timeout(LOOK, self.child.wait()).await {
            Ok(status) => Ok(Some(self.ran(status?.code()))),
            Err(_) => Ok(None),
        }
    }

    /// How long it runs.
    pub(crate) fn lasts(&self) -> Duration {
        self.started.elapsed()
    }

    /// kill -9.
    pub(crate) async fn kill(mut self) -> Result<Ran> {
        self.child.kill().await?;
        Ok(self.ran(None))
    }

    fn ran(&self, code: Option<i32>) -> Ran {
        let words = last_words(&self.words);
        let lines: Vec<&str> = words.lines().collect();
        let said = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        let (work, rss_mib) = self.seen;
        Ran { code, seconds: self.started.elapsed().as_secs_f64(), work, rss_mib, said }
    }
}

/// The end of a log, which may be long.
fn last_words(log: &Path) -> String {
    let mut words = Vec::new();
    let read = File::open(log).and_then(|mut log| {
        let length = log.metadata()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        log.read_to_end(&mut words)
    });
    // There are no words where there is no log.
    read.map(|_| String::from_utf8_lossy(&words).into_owned()).unwrap_or_default()
}

/// Seconds of work and most memory in MiB of a process; `None`: it is gone.
fn watched(pid: u32) -> Option<(f64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let most: u64 = most.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may hold anything, the third value is the state; the fourteenth and fifteenth are ours.
    let mut of = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (of.next()?.parse().ok()?, of.next()?.parse().ok()?);
    Some(((user + system) as f64 / TICKS, most.div_ceil(1024)))
}
