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

/// How many requests at once, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Workers.
    pub concurrency: usize,
    /// When they stop.
    pub length: Length,
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// After so many requests of all workers.
    Requests(usize),
    /// No request begins after this time.
    Lasting(Duration),
}

/// What came of it. A request may carry several signatures.
pub struct Run {
    /// From the first request to the last answer.
    pub took: Duration,
    /// What the requests carried.
    pub signatures: usize,
    latencies: Latencies,
}

/// How long requests took.
enum Latencies {
    /// Each of them, shortest first.
    All(Vec<Duration>),
    /// Half of them, and 99 of 100, ms: as a client in another process says.
    Said { p50: f64, p99: f64 },
}

impl Run {
    /// What the requests carried, a second.
    pub fn rate(&self) -> f64 {
        self.signatures as f64 / self.took.as_secs_f64()
    }

    /// By a client in another process.
    pub fn measured_elsewhere(signatures: usize, took: Duration, p50: f64, p99: f64) -> Self {
        Self { took, signatures, latencies: Latencies::Said { p50, p99 } }
    }

    /// Half of the requests took no longer, ms.
    pub fn p50(&self) -> f64 {
        match &self.latencies {
            Latencies::All(all) => percentile(all, 50),
            Latencies::Said { p50, .. } => *p50,
        }
    }

    /// Of 100 requests 99 took no longer, ms.
    pub fn p99(&self) -> f64 {
        match &self.latencies {
            Latencies::All(all) => percentile(all, 99),
            Latencies::Said { p99, .. } => *p99,
        }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len().saturating_sub(1)) * percent / 100;
    sorted.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

impl Load {
    /// Each of `concurrency` workers asks again as soon as it has its answer; `ask` gets the worker's number.
    pub async fn run<F: Future<Output = Result<()>> + Send + 'static>(
        self,
        per_request: usize,
        ask: impl Fn(usize) -> F + Clone + Send + Sync + 'static,
    ) -> Result<Run> {
        let (requests, lasting) = match self.length {
            Length::Requests(requests) => (requests, Duration::MAX),
            Length::Lasting(lasting) => (usize::MAX, lasting),
        };
        let left = Arc::new(AtomicUsize::new(requests));
        let mut workers = JoinSet::new();
        let started = Instant::now();
        for worker in 0..self.concurrency {
            let (left, ask) = (left.clone(), ask.clone());
            workers.spawn(async move {
                let mut latencies = Vec::new();
                while started.elapsed() < lasting
                    && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
                {
                    let asked = Instant::now();
                    ask(worker).await?;
                    latencies.push(asked.elapsed());
                }
                Ok::<_, anyhow::Error>(latencies)
            });
        }
        let mut latencies = Vec::new();
        while let Some(done) = workers.join_next().await {
            latencies.extend(done??);
        }
        let took = started.elapsed();
        latencies.sort();
        Ok(Run { took, signatures: latencies.len() * per_request, latencies: Latencies::All(latencies) })
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
