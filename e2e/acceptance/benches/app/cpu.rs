//! Where the time goes: what each process on this machine used meanwhile.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::pay::Paid;

/// CPU of this process and all its children, by program.
pub(crate) struct Used {
    at: Instant,
    programs: BTreeMap<String, Duration>,
}

impl Used {
    pub(crate) fn now() -> Result<Self> {
        let own = std::process::id();
        let mut programs: BTreeMap<String, Duration> = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let folder = entry?.path();
            // Processes come and go.
            let Ok(text) = fs::read_to_string(folder.join("stat")) else { continue };
            let Some((pid, name, parent, used)) = parsed(&text) else { continue };
            if pid == own || parent == own {
                let name = if pid == own { "clients".to_owned() } else { name };
                *programs.entry(name).or_default() += used;
            }
        }
        Ok(Self { at: Instant::now(), programs })
    }

    /// What was used since, for each payment.
    pub(crate) fn print_since(&self, title: &str, paid: &Paid) -> Result<()> {
        let (now, took) = (Self::now()?, self.at.elapsed());
        let cores = std::thread::available_parallelism().context("the number of cores")?;
        let payments = paid.included.max(1) as f64;
        println!("\n{title}: where the time of {} payments goes ({cores} cores)", paid.included);
        for (program, used) in &now.programs {
            let used = used.saturating_sub(self.programs.get(program).copied().unwrap_or_default()).as_secs_f64();
            if used >= 0.01 {
                let (each, share) = (used * 1e3 / payments, used * 100.0 / took.as_secs_f64() / cores.get() as f64);
                println!("  {program:<20} {each:8.2} ms of CPU a payment {share:6.1} % of the machine");
            }
        }
        Ok(())
    }
}

/// Pid, name, parent and CPU, user and system. Ticks are a hundredth of a second wherever Linux runs.
fn parsed(stat: &str) -> Option<(u32, String, u32, Duration)> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((pid.parse().ok()?, name.to_owned(), fields.get(1)?.parse().ok()?, Duration::from_millis(ticks * 10)))
}
