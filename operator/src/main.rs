//! The operator: reconciles MultisigCluster over a hub and its member clusters.

fn main() {}
