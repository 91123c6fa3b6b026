//! A bounded load, its latencies, and a process's CPU.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

/// How many requests at once, and in all.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Workers.
    pub concurrency: usize,
    /// Requests of all of them.
    pub requests: usize,
}

/// What came of it. A request may carry several signatures.
pub struct Run {
    /// Of each request, shortest first.
    pub latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub took: Duration,
    /// What the requests carried.
    pub signatures: usize,
}

impl Run {
    /// What the requests carried, a second.
    pub fn rate(&self) -> f64 {
        self.signatures as f64 / self.took.as_secs_f64()
    }

    /// `percent` of the requests took no longer, ms.
    pub fn percentile(&self, percent: usize) -> f64 {
        let at = (self.latencies.len().saturating_sub(1)) * percent / 100;
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    }
}

impl Load {
    /// Each of `concurrency` workers asks again as soon as it has its answer; `ask` gets the worker's number.
    pub async fn run<F: Future<Output = Result<()>> + Send + 'static>(
        self,
        per_request: usize,
        ask: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
    ) -> Result<Run> {
        let left = Arc::new(AtomicUsize::new(self.requests));
        let mut workers = JoinSet::new();
        let started = Instant::now();
        for worker in 0..self.concurrency {
            let (left, ask) = (left.clone(), ask.clone());
            workers.spawn(async move {
                let mut latencies = Vec::new();
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let asked = Instant::now();
                    ask(worker).await?;
                    latencies.push(asked.elapsed());
                }
                Ok::<_, anyhow::Error>(latencies)
            });
        }
        let mut latencies = Vec::with_capacity(self.requests);
        while let Some(done) = workers.join_next().await {
            latencies.extend(done??);
        }
        let took = started.elapsed();
        latencies.sort();
        Ok(Run { signatures: latencies.len() * per_request, latencies, took })
    }
}

/// CPU of a process, user and system.
pub struct Cpu {
    stat: PathBuf,
    before: Duration,
}

impl Cpu {
    /// Of the running process of this binary.
    pub fn of(binary: &Path) -> Result<Self> {
        let binary = binary.canonicalize()?;
        for entry in fs::read_dir("/proc")? {
            let folder = entry?.path();
            if fs::read_link(folder.join("exe")).is_ok_and(|exe| exe == binary) {
                let stat = folder.join("stat");
                return Ok(Self { before: used(&stat)?, stat });
            }
        }
        anyhow::bail!("{} does not run", binary.display())
    }

    /// What it has used since then.
    pub fn since(&self) -> Result<Duration> {
        Ok(used(&self.stat)?.saturating_sub(self.before))
    }
}

/// Ticks are a hundredth of a second wherever Linux runs.
fn used(stat: &Path) -> Result<Duration> {
    let text = fs::read_to_string(stat)?;
    let after_name = text.rsplit(')').next().context("a stat has a name")?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| -> Result<u64> { Ok(fields.get(at).context("a stat has its fields")?.parse()?) };
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}
