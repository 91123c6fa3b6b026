//! `multisig evac ...`: the online half of an evacuation. It holds no owner's key; it needs wallet records, a node and a
//! float for gas, and neither hub, App, Keeper, broker nor Vault.

mod broadcast;
mod plan;
mod predeploy;
mod sending;
mod status;

use std::{fs::File, io::IsTerminal, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chain::{Access, ChainClient, ChainId, ClientError, Journal, RelayLimits, Relaying};
use clap::Subcommand;
use custody::manifest::{ManifestError, SignedManifest, VerifiedManifest};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{failure::bad_input, output::Output};

/// Wei.
const GWEI: u128 = 1_000_000_000;
/// Gas: what EIP-7825 allows one transaction.
const MAX_GAS: u64 = 1 << 24;
/// How often a node that is away is asked again before the command gives up: about a minute.
const ATTEMPTS: u32 = 9;

/// The online half of an evacuation.
#[derive(Debug, Subcommand)]
pub(crate) enum EvacCommand {
    /// Read what every wallet holds, and write the unsigned transactions that move it to the safe destination
    Plan(plan::PlanArgs),
    /// Tell how much could be moved now, for how much gas and in how many hours; writes nothing
    Status(status::StatusArgs),
    /// Create the most valuable wallets that don't exist yet, while gas is cheap; may be stopped and started again
    Predeploy(predeploy::PredeployArgs),
    /// Broadcast what two owners, as cool and cold, have signed; may be stopped and started again
    Broadcast(broadcast::BroadcastArgs),
}

/// Runs the command; the result is printed in the form of `output`.
pub(crate) async fn run(command: EvacCommand, output: Output) -> Result<()> {
    match command {
        EvacCommand::Plan(args) => plan::run(args, output).await,
        EvacCommand::Status(args) => status::run(args, output).await,
        EvacCommand::Predeploy(args) => predeploy::run(args, output).await,
        EvacCommand::Broadcast(args) => broadcast::run(args, output).await,
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    text_file::read(path).map_err(|error| bad_input(format!("cannot read {}: {error}", path.display())))
}

/// All or nothing: a half-written plan must not be mistaken for a small one. `fill` writes the file and may read it again.
fn write(path: &Path, fill: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = || format!("cannot write {}", path.display());
    let mut part = tempfile::NamedTempFile::new_in(folder).with_context(place)?;
    fill(part.as_file_mut())?;
    part.as_file().sync_all().with_context(place)?;
    part.persist(path).with_context(place)?;
    Ok(())
}

/// The manifest in a file, and what both stations have signed in it.
fn manifest(path: &Path) -> Result<(SignedManifest, VerifiedManifest)> {
    let wrong = |error: ManifestError| bad_input(format!("{}: {error}", path.display()));
    let signed = SignedManifest::parse(&read(path)?).map_err(wrong)?;
    let verified = signed.verify().map_err(wrong)?;
    Ok((signed, verified))
}

/// How many of these nodes must say the same before a plan is made by it.
fn agreeing(nodes: &[String]) -> usize {
    nodes.len().min(2)
}

/// Nodes that serve `chain`, of which so many must say the same, and whoever pays there.
async fn connect(
    chain: &ChainId,
    nodes: &[String],
    agree: usize,
    payer: Option<Payer<'_>>,
) -> Result<Arc<dyn ChainClient>> {
    let twice = nodes.iter().enumerate().find(|(place, node)| nodes[..*place].contains(node));
    if let Some((place, _)) = twice {
        return Err(bad_input(format!("--rpc: node {} is one of those before it; name another", place + 1)));
    }
    let private = payer.as_ref().map(|payer| payer.private.to_vec()).unwrap_or_default();
    let access = Access { nodes: nodes.to_vec(), private, agree, ..Access::one("") };
    // What its keys have pending and no journal knows is of a run before this one: it is taken over.
    let relaying = payer.as_ref().map(|payer| Relaying {
        keys: &payer.keys,
        limits: RelayLimits { takes_over: true, ..payer.limits },
        journal: payer.journal.clone(),
    });
    let client = chain_clients::connect(chain, &access, relaying.as_ref()).map_err(wrong_url)?;
    patiently(|| client.verify_chain()).await?;
    Ok(client)
}

/// Who pays, and how far they go.
struct Payer<'a> {
    /// What is in the files of their keys.
    keys: Vec<&'a str>,
    limits: RelayLimits,
    /// Where they keep what they are about to send.
    journal: Arc<dyn Journal>,
    /// Endpoints that show what they send to nobody; none: the nodes take it.
    private: &'a [String],
}

fn wrong_url(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::Url => bad_input(format!("--rpc or --private: {error}")),
        other => other.into(),
    }
}

/// Asks a node again while it is away, at growing intervals.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    for failures in 1..ATTEMPTS {
        match ask().await {
            Err(error) if error.is_away() => tokio::time::sleep(backoff::delay(failures)).await,
            other => return other,
        }
    }
    ask().await
}

/// Progress on standard error: a bar for people, a line now and then for logs.
struct Progress(ProgressBar);

impl Progress {
    fn new(what: &'static str, total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
        let style = "{msg}: {pos} of {len} [{wide_bar}] {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what);
        bar.enable_steady_tick(Duration::from_millis(500));
        if !std::io::stderr().is_terminal() {
            eprintln!("{what}: 0 of {total}");
        }
        Self(bar)
    }

    /// So many more are done; of each twentieth part logs have a line.
    fn more(&self, count: usize) {
        const PARTS: u64 = 20;
        let (before, total) = (self.0.position(), self.0.length().unwrap_or_default().max(1));
        self.0.inc(count as u64);
        let part = |done: u64| done * PARTS / total;
        if !std::io::stderr().is_terminal() && part(before) < part(self.0.position()) {
            eprintln!("[{}/{total}] {} left", self.0.position(), indicatif::HumanDuration(self.0.eta()));
        }
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
