//! `multisig member freeze` and other local commands of a signer, run in its pod with the rights of the data centre admin.
//! The hub has no such rights; neither hub nor broker nor App is needed.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{
    cluster::MemberArgs,
    exec::{self, Signer},
    input,
    output::Output,
};

/// Local commands of a signer.
#[derive(Debug, Subcommand)]
pub(crate) enum Local {
    /// Stop signing for one wallet, or altogether, until `member thaw`; survives restarts
    #[command(after_help = "Only `member thaw` ends it. Evacuations are still signed.")]
    Freeze {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        what: What,
        /// For people and the audit chain, up to 256 bytes
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Remove a freeze; other freezes stay
    Thaw {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        what: What,
        /// For the audit chain, up to 256 bytes
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List what is frozen, by whom and why
    Freezes {
        #[command(flatten)]
        at: At,
    },
    /// Unlock a signer whose peers know a newer audit chain of it, or none
    #[command(after_help = "\
Whatever was signed but is not on this volume is forgotten and may be signed again. Read docs/runbooks/locked.md first:
restore the newest volume or import the newest history, compare with the chain, then unlock. This unlocks the present
start only, and the audit chain records it permanently.")]
    Unlock {
        #[command(flatten)]
        at: At,
        /// For the audit chain, up to 256 bytes
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// List payments that are waiting for their time lock
    Pending {
        #[command(flatten)]
        at: At,
    },
    /// Refuse a waiting payment permanently
    Veto {
        #[command(flatten)]
        at: At,
        /// As `member pending` lists it, 64 hex digits
        digest: String,
    },
    /// Attest settlements in place of a lost or unused sentinel: all of the file or nothing
    #[command(after_help = "\
The file is a JSON array of {\"wallet\", \"chain\", \"nonce\", \"digest\"}: which digest used a nonce, as seen on the
chain. With a wrong entry, the next nonce can be signed too early, or an amount can leave its window too early.")]
    Settle {
        #[command(flatten)]
        at: At,
        /// The file; `-` is standard input
        file: PathBuf,
    },
    /// Export the signer's audit chain
    #[command(subcommand)]
    Audit(Audit),
    /// Export or import what the signer has signed, for the case that its volume is lost (docs/history.md)
    #[command(subcommand)]
    History(History),
}

/// The signer's audit chain.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print it as JSON lines, for `multisig audit verify`
    Export {
        #[command(flatten)]
        at: At,
    },
}

/// The signer's signing history.
#[derive(Debug, Subcommand)]
pub(crate) enum History {
    /// Print it as JSON
    Export {
        #[command(flatten)]
        at: At,
    },
    /// Add a history to the signer's store; refused as a whole if it is older than the store
    Import {
        #[command(flatten)]
        at: At,
        /// The file; `-` is standard input
        file: PathBuf,
    },
}

/// Which signer.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The signer
    #[arg(value_name = "ROLE")]
    signer: Signer,
    #[command(flatten)]
    member: MemberArgs,
}

/// One wallet or everything; stated, never assumed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// The wallet
    #[arg(long, value_name = "ID")]
    wallet: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

/// A command as it runs in the pod.
struct Remote {
    at: At,
    words: Vec<String>,
    file: Option<PathBuf>,
}

impl Local {
    pub(crate) async fn run(self, output: Output) -> Result<()> {
        let Remote { at, mut words, file } = self.remote();
        if output == Output::Json {
            words.push("--output=json".to_owned());
        }
        let input = file.map(|file| input::read_for_pod(&file)).transpose()?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        exec::run(&at.member.connect().await?, at.signer, &words, input).await
    }

    fn remote(self) -> Remote {
        match self {
            Local::Freeze { at, what, reason } => Remote::new(at, ["freeze"]).and(what.word()).and(said(&reason)),
            Local::Thaw { at, what, reason } => Remote::new(at, ["thaw"]).and(what.word()).and(said(&reason)),
            Local::Freezes { at } => Remote::new(at, ["freezes"]),
            Local::Unlock { at, reason } => Remote::new(at, ["unlock"]).and(said(&reason)),
            Local::Pending { at } => Remote::new(at, ["pending"]),
            Local::Veto { at, digest } => Remote::new(at, ["veto"]).and(Some(digest)),
            Local::Settle { at, file } => Remote::new(at, ["settle", "-"]).reading(file),
            Local::Audit(Audit::Export { at }) => Remote::new(at, ["audit", "export"]),
            Local::History(History::Export { at }) => Remote::new(at, ["history", "export"]),
            Local::History(History::Import { at, file }) => Remote::new(at, ["history", "import", "-"]).reading(file),
        }
    }
}

impl What {
    fn word(self) -> Option<String> {
        self.wallet.map(|wallet| format!("--wallet={wallet}"))
    }
}

fn said(reason: &str) -> Option<String> {
    Some(format!("--reason={reason}"))
}

impl Remote {
    fn new<const N: usize>(at: At, words: [&str; N]) -> Self {
        Self { at, words: words.map(str::to_owned).into(), file: None }
    }

    fn and(mut self, word: Option<String>) -> Self {
        self.words.extend(word);
        self
    }

    fn reading(mut self, file: PathBuf) -> Self {
        self.file = Some(file);
        self
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        local: Local,
    }

    fn words(line: &str) -> Option<Vec<String>> {
        let line = ["member"].into_iter().chain(line.split(' '));
        Line::try_parse_from(line).ok().map(|line| line.local.remote().words)
    }

    #[test]
    fn each_command_is_the_signers_own_and_what_is_dangerous_says_what_and_why() {
        let table = [
            ("freeze keeper --all --reason theft", Some("freeze --reason=theft")),
            ("freeze cooler --wallet alice --reason theft", Some("freeze --wallet=alice --reason=theft")),
            ("freeze keeper --all", None),
            ("freeze keeper --reason theft", None),
            ("freeze keeper --all --wallet alice --reason theft", None),
            ("thaw keeper --all --reason over", Some("thaw --reason=over")),
            ("thaw keeper --reason over", None),
            ("thaw keeper --all", None),
            ("unlock keeper --reason restored", Some("unlock --reason=restored")),
            ("unlock keeper", None),
            ("unlock app --reason restored", None),
            ("freezes cooler", Some("freezes")),
            ("pending cooler", Some("pending")),
            ("veto keeper 0f", Some("veto 0f")),
            ("settle keeper -", Some("settle -")),
            ("audit export keeper", Some("audit export")),
            ("history export keeper", Some("history export")),
            ("history import keeper file.json", Some("history import -")),
            ("history import keeper", None),
        ];
        for (line, expected) in table {
            let expected = expected.map(|words| words.split(' ').map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
