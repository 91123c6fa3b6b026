//! Online command line for the admins of each place. As `kubectl-multisig` on the PATH it is also a kubectl
//! plug-in: `kubectl multisig member status`.

mod audit;
mod cluster;
mod cool;
mod evac;
mod exec;
mod failure;
mod input;
mod member;
mod objects;
mod output;
mod policy;

use std::{path::Path, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::output::Output;

const AFTER_HELP: &str = "\
As a kubectl plug-in: put a link to this program named kubectl-multisig on the PATH, then run `kubectl multisig ...`.

Exit codes: 0 done; 1 failed or refused, with one line that says what to do; 2 the command line or a file named on it
is wrong, and nothing was changed. A command that runs in a signer's pod exits with its own code.";

/// For the admins of a custody: prepare a data centre, approve peers, import the cool key, try a policy, audit,
/// evacuate.
#[derive(Parser)]
#[command(name = "multisig", version, after_help = AFTER_HELP)]
struct Cli {
    /// Format of the result on standard output; progress goes to standard error
    #[arg(short, long, global = true, value_enum, default_value = "text")]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Manage a signer in its data centre: set up, approve peers, inspect, freeze, unlock, veto
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Run Cooler's local commands in its pod: import the cool phrase, export wallets, sign an evacuation
    #[command(subcommand)]
    Cool(cool::CoolCommand),
    /// Check exported audit chains: was anything removed or changed, did one signer sign alone?
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Evacuate: plan what two owners, as cool and cold, will sign, and broadcast what they have signed
    #[command(subcommand)]
    Evac(evac::EvacCommand),
    /// Test what a policy says about a payment; needs no cluster
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = parse();
    // Refused only when there is one already, which can't be at this point.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match cli.command {
        Command::Member(command) => command.run(cli.output).await,
        Command::Cool(command) => command.run().await,
        Command::Audit(command) => audit::run(command, cli.output),
        Command::Evac(command) => evac::run(command, cli.output).await,
        Command::Policy(command) => command.run(cli.output),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

/// Help speaks of `kubectl multisig` where kubectl runs us.
fn parse() -> Cli {
    let program = std::env::args_os().next().unwrap_or_default();
    let plugin = Path::new(&program).file_stem().is_some_and(|name| name == "kubectl-multisig");
    let command = Cli::command().bin_name(if plugin { "kubectl multisig" } else { "multisig" });
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}
