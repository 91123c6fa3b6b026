//! Processes that an earlier lab left, found in /proc by what they are: their pid files may be gone, or be older
//! than the processes that have those pids now.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// The kernel ends a killed process within this.
const KILL_DEADLINE: Duration = Duration::from_secs(10);

/// A running process.
pub(crate) struct Process {
    /// Its binary; the kernel adds " (deleted)" where that is gone.
    pub(crate) program: PathBuf,
    /// Its working folder, which may be gone, too.
    pub(crate) folder: PathBuf,
    /// Its arguments, with the program first.
    pub(crate) arguments: Vec<String>,
}

impl Process {
    /// Whether its binary has this name.
    pub(crate) fn is(&self, program: &str) -> bool {
        let name = self.program.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.trim_end_matches(" (deleted)") == program
    }

    fn read(pid: Pid) -> io::Result<Self> {
        let proc = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
        let arguments = fs::read_to_string(proc.join("cmdline"))?;
        Ok(Self {
            program: fs::read_link(proc.join("exe"))?,
            folder: fs::read_link(proc.join("cwd"))?,
            arguments: arguments.split_terminator('\0').map(str::to_owned).collect(),
        })
    }
}

/// Kills every process that `ours` recognises, and returns when none is left.
pub(crate) async fn kill(ours: impl Fn(&Process) -> bool) -> Result<()> {
    let deadline = Instant::now() + KILL_DEADLINE;
    loop {
        let running = find(&ours);
        if running.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the processes {running:?} of an earlier lab can't be killed");
        }
        for pid in running {
            // Fails only when it ended meanwhile.
            let _ = kill_process(pid, Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn find(ours: impl Fn(&Process) -> bool) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    // Unreadable: another user's, a kernel thread or a zombie.
    pids.filter(|pid| Process::read(*pid).is_ok_and(|process| ours(&process))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_found_by_its_folder_also_when_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        fs::create_dir(path.join("server")).unwrap();
        let mut child = std::process::Command::new("sleep").arg("60").current_dir(path.join("server")).spawn().unwrap();
        folder.close().unwrap();
        kill(|process| process.is("sleep") && process.folder.starts_with(&path)).await.unwrap();
        assert!(!child.wait().unwrap().success());
    }
}
