//! The Keeper workload: configuration and wiring of the shared signer.

fn main() {}
