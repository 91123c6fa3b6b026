//! What the machine itself does: CPU of everything that runs on it, and how long its disk takes to keep a page.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

const SYNCS: usize = 200;

/// CPU of the whole machine.
pub(crate) struct Machine(Duration);

impl Machine {
    pub(crate) fn now() -> Result<Self> {
        used().map(Self)
    }

    /// What was used since, by everybody.
    pub(crate) fn since(&self) -> Result<Duration> {
        Ok(used()?.saturating_sub(self.0))
    }
}

/// All but idle time and waiting (`proc(5)`, the first line of `stat`); ticks are a hundredth of a second.
fn used() -> Result<Duration> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("the machine's CPU")?;
    let ticks = line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    // user, nice, system, idle, iowait, irq, softirq
    let busy = [0, 1, 2, 5, 6].into_iter().filter_map(|place| ticks.get(place)).sum::<u64>();
    Ok(Duration::from_millis(busy * 10))
}

/// Half of all writes of a page are on the disk within this time.
pub(crate) fn fsync(folder: &Path) -> Result<Duration> {
    let path = folder.join("yardstick");
    let file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for page in 0..SYNCS {
        let begun = Instant::now();
        file.write_all_at(&[7; 4096], page as u64 * 4096)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(times[SYNCS / 2])
}
