//! The Cooler workload. Everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    signer_workload::cli::cooler()
}
