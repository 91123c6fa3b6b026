//! The Keeper workload. Everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    signer_workload::cli::keeper()
}
