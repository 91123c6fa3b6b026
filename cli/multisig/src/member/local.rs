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
    /// Refuse payments: one or all that are waiting, or all of a wallet or to a destination
    #[command(after_help = "\
What is waiting is refused permanently, by its digest. The veto of a wallet or destination also refuses what is asked for
later, with or without a time lock, until it is lifted. Cancels are still signed.")]
    Veto {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        what: Vetoed,
        /// End the veto of a wallet or destination
        #[arg(long, conflicts_with_all = ["digest", "all"])]
        lift: bool,
    },
    /// Attest settlements in place of a lost or unused sentinel: all of the file or nothing
    #[command(after_help = "\
The file is a JSON array of {\"wallet\", \"chain\", \"nonce\", \"digest\"}: which digest used a nonce, as seen on the
chain, in the order of the nonces, from the first that is not attested. With a wrong entry, the next nonce can be signed too
early, or an amount can leave its window too early. An entry with \"correct\": true says that another digest was attested by
mistake, and one with \"revoke\": true that this one was: amounts count as outstanding again, later nonces wait again, and
what was signed stays signed.")]
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
        /// The message key that signed the file, where it is not the signer's present one: as the other data centre had
        /// approved it, 64 hex digits; may be repeated
        #[arg(long = "key", value_name = "HEX")]
        keys: Vec<String>,
        /// Import a file that nobody has signed, as earlier versions wrote them
        #[arg(long)]
        accept_unsigned: bool,
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

/// What is vetoed; stated, never assumed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Vetoed {
    /// As `member pending` lists it, 64 hex digits
    digest: Option<String>,
    /// All payments of this wallet
    #[arg(long, value_name = "ID")]
    wallet: Option<String>,
    /// All payments to this address, on every chain
    #[arg(long, value_name = "ADDRESS")]
    destination: Option<String>,
    /// All payments that are waiting now
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
            Local::Veto { at, what, lift } => {
                Remote::new(at, ["veto"]).and(Some(what.word())).and(lift.then(|| "--lift".to_owned()))
            }
            Local::Settle { at, file } => Remote::new(at, ["settle", "-"]).reading(file),
            Local::Audit(Audit::Export { at }) => Remote::new(at, ["audit", "export"]),
            Local::History(History::Export { at }) => Remote::new(at, ["history", "export"]),
            Local::History(History::Import { at, keys, accept_unsigned, file }) => {
                let keys = keys.into_iter().map(|key| format!("--key={key}"));
                let words = keys.chain(accept_unsigned.then(|| "--accept-unsigned".to_owned()));
                Remote::new(at, ["history", "import", "-"]).and(words).reading(file)
            }
        }
    }
}

impl Vetoed {
    fn word(self) -> String {
        let wallet = self.wallet.map(|wallet| format!("--wallet={wallet}"));
        let destination = self.destination.map(|address| format!("--destination={address}"));
        self.digest.or(wallet).or(destination).unwrap_or_else(|| "--all".to_owned())
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

    fn and(mut self, words: impl IntoIterator<Item = String>) -> Self {
        self.words.extend(words);
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
            ("veto keeper --all", Some("veto --all")),
            ("veto cooler --wallet alice", Some("veto --wallet=alice")),
            ("veto keeper --destination 0x1 --lift", Some("veto --destination=0x1 --lift")),
            ("veto keeper", None),
            ("veto keeper 0f --lift", None),
            ("veto keeper --all --wallet alice", None),
            ("settle keeper -", Some("settle -")),
            ("audit export keeper", Some("audit export")),
            ("history export keeper", Some("history export")),
            ("history import keeper file.json", Some("history import -")),
            (
                "history import keeper --key 0f --key aa --accept-unsigned -",
                Some("history import - --key=0f --key=aa --accept-unsigned"),
            ),
            ("history import keeper", None),
        ];
        for (line, expected) in table {
            let expected = expected.map(|words| words.split(' ').map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
