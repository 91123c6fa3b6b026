//! The command line that `keeper` and `cooler` share. Results go to standard output, one line of error to standard
//! error.

mod evac;

use std::{
    fmt,
    io::{self, BufWriter, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use chain::hex::Hex;
use clap::{Args, Parser, Subcommand, ValueEnum};
use custody::{Role, WalletId};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use serde_json::Value;
use workload::{place::Place, telemetry};

use crate::{
    admin::{self, AdminError, Of},
    input,
    process::{self, ProcessError},
};

/// Longest reason, bytes: what an audit record holds.
const MAX_REASON: usize = audit::MAX_FIELD_BYTES;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("{path}: {cause}")]
    File { path: String, cause: io::Error },
    #[error("standard input: {0}")]
    Input(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("no runtime: {0}")]
    Runtime(io::Error),
}

/// Where everything is; the pod's places by default.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Volume with the store.
    #[arg(long, global = true, default_value = "/data")]
    data_dir: PathBuf,
    /// Folder with `token` and `ca.crt` for the API server.
    #[arg(long, global = true, default_value = "/var/run/secrets/multisig/kube")]
    kube_dir: PathBuf,
    /// Projected service-account token for the Vault.
    #[arg(long, global = true, default_value = "/var/run/secrets/multisig/vault/token")]
    vault_token_file: PathBuf,
    /// Own namespace; by default the one that the token for the API server names.
    #[arg(long, global = true)]
    namespace: Option<String>,
}

impl From<PlaceArgs> for Place {
    fn from(args: PlaceArgs) -> Self {
        let PlaceArgs { data_dir, kube_dir, vault_token_file, namespace } = args;
        // Without either, the API server can't be asked; local commands then go by what the store has.
        let namespace = namespace.or_else(|| token_namespace(&kube_dir.join("token"))).unwrap_or_default();
        Place { data_dir, kube_dir, vault_token_file, namespace }
    }
}

/// The namespace in the claims of a service-account token. The API server, which verifies the token, decides.
fn token_namespace(token: &Path) -> Option<String> {
    let token = std::fs::read_to_string(token).ok()?;
    let claims = BASE64URL_NOPAD.decode(token.split('.').nth(1)?.as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["kubernetes.io"]["namespace"].as_str().map(str::to_owned)
}

#[derive(Debug, Subcommand)]
enum Common {
    /// Serve until SIGTERM.
    Run {
        /// Where /livez, /readyz and /metrics are.
        #[arg(long, default_value = "0.0.0.0:8080")]
        listen: SocketAddr,
    },
    /// Wallet records.
    Wallets {
        #[command(subcommand)]
        command: Wallets,
    },
    /// Evacuation.
    Evac {
        #[command(subcommand)]
        command: evac::Evac,
    },
    #[command(flatten)]
    Admin(Admin),
}

/// Commands of the data centre's admin; they work beside the process and without it.
#[derive(Debug, Subcommand)]
enum Admin {
    /// Sign nothing more of a wallet, or nothing at all, from now on and over restarts.
    Freeze {
        /// Only this wallet; without it everything.
        #[arg(long, value_name = "ID")]
        wallet: Option<WalletId>,
        /// For people and the audit chain, up to 256 bytes.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
    /// Take a freeze away: the wallet's, or the one of everything. Other freezes stay.
    Thaw {
        /// The wallet; without it the freeze of everything.
        #[arg(long, value_name = "ID")]
        wallet: Option<WalletId>,
        /// For the audit chain, up to 256 bytes.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: Option<String>,
    },
    /// List what is frozen.
    Freezes,
    /// Accept this volume's chain although the others know more of it, or nothing: opens the present start. What is
    /// not in this store is forgotten here and may be signed again. Needs the Vault: the signer's own key attests it.
    Unlock {
        /// For the audit chain, up to 256 bytes.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
    },
    /// List payments that wait for their time lock.
    Pending,
    /// Refuse payments: one or all that wait, for good; all of a wallet or to a destination, until that is lifted.
    Veto {
        #[command(flatten)]
        what: What,
        /// The end of the veto of a wallet or destination.
        #[arg(long, conflicts_with_all = ["digest", "all"])]
        lift: bool,
    },
    /// Attest settlements in place of a sentinel that is lost or not used, or correct and revoke them: all of the file or
    /// nothing.
    Settle {
        /// JSON `[{"wallet", "chain", "nonce", "digest"}]`, in the order of the nonces; with `"correct": true`, this
        /// digest used the nonce and not the one attested; with `"revoke": true`, this one did not. `-` is standard input.
        file: PathBuf,
    },
    /// The audit chain.
    Audit {
        #[command(subcommand)]
        command: Chain,
    },
    /// What was signed, as a file for a signer whose volume is lost.
    History {
        #[command(subcommand)]
        command: Past,
    },
}

/// What is vetoed.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// As `pending` lists it, 64 hex digits.
    digest: Option<Hex<32>>,
    /// All payments of this wallet.
    #[arg(long, value_name = "ID")]
    wallet: Option<WalletId>,
    /// All payments to this address, on every chain.
    #[arg(long, value_name = "ADDRESS")]
    destination: Option<String>,
    /// All payments that wait now.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Subcommand)]
enum Chain {
    /// Print the chain as JSON lines, for `multisig audit verify`.
    Export,
}

#[derive(Debug, Subcommand)]
enum Past {
    /// Print the signing history as JSON.
    Export,
    /// Add a history to this store; what would forget something signed is refused whole.
    Import {
        /// The message key that signed it, if it is not this signer's present one, 64 hex digits; may be repeated.
        #[arg(long = "key", value_name = "HEX", value_parser = message_key)]
        keys: Vec<VerifyingKey>,
        /// Import a file that nobody has signed, as earlier versions wrote them.
        #[arg(long)]
        accept_unsigned: bool,
        /// `-` is standard input.
        file: PathBuf,
    },
}

/// An ed25519 public key.
fn message_key(text: &str) -> Result<VerifyingKey, &'static str> {
    let key = text.parse::<Hex<32>>().ok().and_then(|key| VerifyingKey::from_bytes(&key.0).ok());
    key.ok_or("expected the 64 hex digits of an ed25519 public key")
}

/// One line that says something.
fn reason(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("say why"),
        text if text.len() > MAX_REASON => Err("at most 256 bytes"),
        text if text.chars().any(char::is_control) => Err("one line without control characters"),
        text => Ok(text.to_owned()),
    }
}

/// Form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Text,
    /// One JSON document, stable names.
    Json,
}

impl Form {
    fn print(self, result: &(impl Serialize + fmt::Display)) -> Result<(), CommandError> {
        let text = match self {
            Form::Text => result.to_string(),
            Form::Json => {
                serde_json::to_string_pretty(result).map_err(io::Error::from).map_err(CommandError::Output)?
            }
        };
        print(&format!("{}\n", text.trim_end()))
    }
}

#[derive(Debug, Subcommand)]
enum Wallets {
    /// Print all wallet records as JSON, for `multisig evac plan`.
    Export,
}

#[derive(Debug, Subcommand)]
enum Cooler {
    #[command(flatten)]
    Common(Common),
    /// Import the cool phrase that `multisig-paper cool seal` sealed to this signer, from standard input.
    Import,
}

/// Keeper: holds the hot keys, signs first.
#[derive(Debug, Parser)]
#[command(name = "keeper", version)]
struct KeeperLine {
    #[command(flatten)]
    place: PlaceArgs,
    /// Form of a command's result.
    #[arg(short, long, global = true, value_enum, default_value = "text")]
    output: Form,
    #[command(subcommand)]
    command: Common,
}

/// Cooler: holds the cool key, signs second.
#[derive(Debug, Parser)]
#[command(name = "cooler", version)]
struct CoolerLine {
    #[command(flatten)]
    place: PlaceArgs,
    /// Form of a command's result.
    #[arg(short, long, global = true, value_enum, default_value = "text")]
    output: Form,
    #[command(subcommand)]
    command: Cooler,
}

/// All of `keeper`.
pub fn keeper() -> ExitCode {
    let KeeperLine { place, output, command } = KeeperLine::parse();
    ended("keeper", common(Role::Keeper, place.into(), output, command))
}

/// All of `cooler`.
pub fn cooler() -> ExitCode {
    let CoolerLine { place, output, command } = CoolerLine::parse();
    let place = place.into();
    ended(
        "cooler",
        match command {
            Cooler::Common(command) => common(Role::Cooler, place, output, command),
            Cooler::Import => import(&place),
        },
    )
}

fn common(role: Role, place: Place, form: Form, command: Common) -> Result<(), CommandError> {
    match command {
        Common::Run { listen } => Ok(block_on(process::run(role, place, listen))??),
        Common::Wallets { command: Wallets::Export } => {
            telemetry::for_command();
            Ok(block_on(admin::export(&place, role, BufWriter::new(io::stdout())))??)
        }
        Common::Evac { command } => evac::run(role, &place, form, command),
        Common::Admin(command) => {
            telemetry::for_command();
            administer(role, &place, form, command)
        }
    }
}

fn administer(role: Role, place: &Place, form: Form, command: Admin) -> Result<(), CommandError> {
    match command {
        Admin::Freeze { wallet, reason } => form.print(&block_on(admin::freeze(place, role, wallet, reason))??),
        Admin::Thaw { wallet, reason } => {
            form.print(&block_on(admin::thaw(place, role, wallet, reason.unwrap_or_default()))??)
        }
        Admin::Freezes => form.print(&block_on(admin::freezes(place, role))??),
        Admin::Unlock { reason } => form.print(&block_on(admin::unlock(place, role, reason))??),
        Admin::Pending => form.print(&block_on(admin::pending(place, role))??),
        Admin::Veto { what, lift } => form.print(&block_on(veto(place, role, what, lift))??),
        Admin::Settle { file } => form.print(&block_on(admin::settle(place, role, &file_or_input(&file)?))??),
        Admin::Audit { command: Chain::Export } => {
            Ok(block_on(admin::export_audit(place, role, BufWriter::new(io::stdout())))??)
        }
        Admin::History { command: Past::Export } => {
            Ok(block_on(admin::export_history(place, role, BufWriter::new(io::stdout())))??)
        }
        Admin::History { command: Past::Import { keys, accept_unsigned, file } } => {
            let accepted = admin::Accepted { keys, unsigned: accept_unsigned };
            form.print(&block_on(admin::import_history(place, role, &file_or_input(&file)?, accepted))??)
        }
    }
}

async fn veto(place: &Place, role: Role, what: What, lift: bool) -> Result<admin::Done, AdminError> {
    match what {
        What { digest: Some(digest), .. } => admin::veto(place, role, digest).await,
        What { wallet: Some(wallet), .. } => admin::veto_of(place, role, Of::Wallet(wallet), lift).await,
        What { destination: Some(address), .. } => admin::veto_of(place, role, Of::Destination(address), lift).await,
        What { .. } => admin::veto_all(place, role).await,
    }
}

fn import(place: &Place) -> Result<(), CommandError> {
    telemetry::for_command();
    let sealed = input()?;
    let manifest = block_on(admin::import(place, &sealed))??;
    print(&format!("the cool key of custody {} is stored\n", manifest.custody_id()))
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CommandError> {
    // Refused only when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::Runtime)?;
    Ok(runtime.block_on(work))
}

fn input() -> Result<Vec<u8>, CommandError> {
    input::whole(io::stdin(), input::LARGEST).map_err(CommandError::Input)
}

fn file_or_input(file: &Path) -> Result<Vec<u8>, CommandError> {
    if file == Path::new("-") {
        return input();
    }
    text_file::read(file).map_err(|cause| CommandError::File { path: file.display().to_string(), cause })
}

fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CommandError::Output)
}

fn ended(name: &str, outcome: Result<(), CommandError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_lines_are_consistent() {
        KeeperLine::command().debug_assert();
        CoolerLine::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_the_pod_are_understood() {
        let args = [
            "keeper",
            "run",
            "--data-dir=/data",
            "--kube-dir=/var/run/secrets/multisig/kube",
            "--vault-token-file=/var/run/secrets/multisig/vault/token",
            "--namespace=custody-keeper",
            "--listen=0.0.0.0:8080",
        ];
        let line = KeeperLine::try_parse_from(args).unwrap();
        assert_eq!(Place::from(line.place).namespace, "custody-keeper");
    }

    #[test]
    fn only_cooler_imports_and_both_sign_evacuations() {
        assert!(CoolerLine::try_parse_from(["cooler", "import"]).is_ok());
        for words in
            [&["--data-dir=/data"][..], &["plan", "--manifest=m.json", "--out", "hot.sig", "-o", "json"], &["-"]]
        {
            assert!(CoolerLine::try_parse_from([&["cooler", "evac", "sign"], words].concat()).is_ok());
            assert!(KeeperLine::try_parse_from([&["keeper", "evac", "sign"], words].concat()).is_ok());
        }
        assert!(KeeperLine::try_parse_from(["keeper", "evac", "sign", "one", "other"]).is_err());
        assert!(KeeperLine::try_parse_from(["keeper", "import"]).is_err());
        assert!(KeeperLine::try_parse_from(["keeper", "wallets", "export"]).is_ok());
    }

    #[test]
    fn both_signers_take_the_admins_commands_and_what_is_dangerous_says_why() {
        let digest = "0f".repeat(32);
        let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let good: [&[&str]; 19] = [
            &["freeze", "--reason=theft"],
            &["freeze", "--wallet=alice", "--reason=theft"],
            &["thaw"],
            &["thaw", "--wallet", "alice", "--reason", "over"],
            &["freezes", "-o", "json"],
            &["unlock", "--reason=restored"],
            &["pending", "-o=json"],
            &["veto", &digest],
            &["veto", "--all"],
            &["veto", "--wallet", "alice"],
            &["veto", "--wallet=alice", "--lift"],
            &["veto", "--destination", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
            &["veto", "--lift", "--destination=0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
            &["settle", "-"],
            &["audit", "export"],
            &["history", "export"],
            &["history", "import", "-"],
            &["history", "import", "--accept-unsigned", "-"],
            &["history", "import", "--key", key, "--key", key, "-"],
        ];
        let bad: [&[&str]; 14] = [
            &["history", "import", "--key", "0f", "-"],
            &["history", "import", "--accept-unsigned"],
            &["freeze"],
            &["freeze", "--reason", ""],
            &["freeze", "--wallet", "../alice", "--reason=theft"],
            &["unlock"],
            &["unlock", "--reason=two\nlines"],
            &["veto", "0f"],
            &["veto"],
            &["veto", "--lift"],
            &["veto", "--all", "--lift"],
            &["veto", &digest, "--lift"],
            &["veto", &digest, "--all"],
            &["veto", "--wallet=alice", "--destination=0x1"],
        ];
        for words in good {
            let line = |name: &'static str| [&[name], words].concat();
            assert!(KeeperLine::try_parse_from(line("keeper")).is_ok(), "{words:?}");
            assert!(CoolerLine::try_parse_from(line("cooler")).is_ok(), "{words:?}");
        }
        for words in bad {
            assert!(KeeperLine::try_parse_from([&["keeper"], words].concat()).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_namespace_is_in_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        assert_eq!(token_namespace(&token), None);
        let claims = BASE64URL_NOPAD.encode(br#"{"kubernetes.io":{"namespace":"custody-cooler"}}"#);
        std::fs::write(&token, format!("e30.{claims}.c2ln")).unwrap();
        assert_eq!(token_namespace(&token).as_deref(), Some("custody-cooler"));
    }
}
