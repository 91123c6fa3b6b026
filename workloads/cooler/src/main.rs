//! The Cooler workload. Everything is in the shared signer.

use std::process::ExitCode;

fn main() -> ExitCode {
    signer::cli::cooler()
}
