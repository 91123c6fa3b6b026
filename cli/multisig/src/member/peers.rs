//! Whom this member trusts: its own fingerprint to read out, the approval of a peer, the list of approved peers.

use std::{fmt, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use custody::{
    Role,
    identity::{Identity, PeerKeys, fingerprint},
};
use serde::Serialize;

use super::{configmaps, trust};
use crate::{
    cluster::{Cluster, MemberArgs},
    failure::bad_input,
    output::{Change, Output},
};

/// Print the fingerprint of the signer that runs here; read it out to the other admins (out of band)
#[derive(Debug, Args)]
pub(crate) struct Fingerprint {
    /// keeper or cooler [default: the one that runs here]
    role: Option<Role>,
    #[command(flatten)]
    member: MemberArgs,
}

#[derive(Debug, Serialize)]
struct Told {
    role: Role,
    fingerprint: String,
    identity: Identity,
}

impl Fingerprint {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let cluster = self.member.connect().await?;
        let role = configmaps::own_role(&cluster, self.role).await?;
        let report = configmaps::find_report(&cluster, role).await?.with_context(|| {
            format!("{role} has not reported yet; it reports once the hub has placed it and its Vault answers")
        })?;
        let identity = report.identity.with_context(|| {
            format!("{role} has no keys yet ({:?}: {}); fix that first", report.state, report.message)
        })?;
        trust::check_identity(&identity)?;
        output.print(&Told { role, fingerprint: fingerprint(role, &identity.keys), identity })
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}", self.role, self.fingerprint)?;
        if self.role == Role::Cooler {
            writeln!(f, "\nAt the cool station: multisig-paper cool seal --to {}", self.identity.keys.xkey)?;
        }
        Ok(())
    }
}

/// Approve a peer's keys, with the fingerprint that its admin told you out of band
#[derive(Debug, Args)]
#[command(after_help = "\
The keys are those that the hub proposes, or those in --identity (the output of `app identity`). The hub could propose
other keys, so get the fingerprint from the other admin over a channel that the hub cannot change.")]
pub(crate) struct Approve {
    /// Whose keys: keeper, cooler, app or sentinel
    role: Role,
    #[command(flatten)]
    member: MemberArgs,
    /// Ten groups of four hex digits, as `member fingerprint` prints them there
    #[arg(long, value_name = "F", value_parser = trust::parse_fingerprint)]
    fingerprint: String,
    /// The peer's public identity (JSON) instead of the hub's proposal
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Withdraw the peer's other keys
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Serialize)]
struct Approved {
    role: Role,
    fingerprint: String,
    change: Change,
    /// Approved keys of this peer after the change.
    keys: usize,
}

impl Approve {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let given = self.identity.as_ref().map(read_identity).transpose()?;
        let cluster = self.member.connect().await?;
        let stored = configmaps::read_trust(&cluster).await?;
        let identity = match given {
            Some(identity) => identity,
            None => proposed(&cluster, stored.trust.role, self.role).await?,
        };
        let trust = trust::approve(&stored.trust, self.role, &identity, &self.fingerprint, self.replace)?;
        let change = configmaps::write_trust(&cluster, Some(&stored), &trust).await?;
        output.print(&Approved {
            role: self.role,
            fingerprint: fingerprint(self.role, &identity.keys),
            change,
            keys: trust.peers.get(&self.role).map_or(0, Vec::len),
        })
    }
}

impl fmt::Display for Approved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.change {
            Change::Unchanged => "was already approved",
            _ => "is approved",
        };
        writeln!(f, "{} {} {how} ({} of 2 keys)", self.role, self.fingerprint, self.keys)
    }
}

fn read_identity(path: &PathBuf) -> Result<Identity> {
    let read = text_file::read(path).map_err(|error| error.to_string());
    let parsed = read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    parsed.map_err(|error| bad_input(format!("--identity {}: {error}", path.display())))
}

async fn proposed(cluster: &Cluster, own: Role, peer: Role) -> Result<Identity> {
    let config = configmaps::find_config(cluster, own).await?.with_context(|| {
        format!("the hub has not configured {own} yet; apply its resources on the hub, or give --identity FILE")
    })?;
    config.proposed_peers.get(&peer).cloned().with_context(|| {
        format!("the hub proposes no keys for {peer} yet: wait until {peer} has reported, or give --identity FILE")
    })
}

/// List the approved peers with their fingerprints
#[derive(Debug, Args)]
pub(crate) struct Peers {
    #[command(flatten)]
    member: MemberArgs,
}

#[derive(Debug, Serialize)]
struct PeerList {
    peers: Vec<Peer>,
}

#[derive(Debug, Serialize)]
struct Peer {
    role: Role,
    fingerprint: String,
    keys: PeerKeys,
}

impl Peers {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let cluster = self.member.connect().await?;
        let trust = configmaps::read_trust(&cluster).await?.trust;
        let peer = |role: Role, keys: PeerKeys| Peer { role, fingerprint: fingerprint(role, &keys), keys };
        let peers = trust.peers.into_iter().flat_map(|(role, keys)| keys.into_iter().map(move |keys| peer(role, keys)));
        output.print(&PeerList { peers: peers.collect() })
    }
}

impl fmt::Display for PeerList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.peers.is_empty() {
            return writeln!(f, "no peer is approved");
        }
        self.peers.iter().try_for_each(|peer| writeln!(f, "{:<8} {}", peer.role.as_str(), peer.fingerprint))
    }
}
