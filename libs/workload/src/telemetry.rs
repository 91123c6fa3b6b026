//! Logs: one JSON object a line on standard error for commands, on standard output for the process.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

/// The HTTP clients below log requests and their own view of errors; ours say the same with what to do.
const DEFAULT: &str = "info,vaultrs=off,rustify=off,async_nats=warn";

/// For the process itself. `RUST_LOG` overrides the filter.
pub fn for_process() {
    fmt().json().with_env_filter(filter()).with_writer(io::stdout).init();
}

/// For commands whose standard output is their result.
pub fn for_command() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,vaultrs=off,rustify=off"));
    fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT))
}
