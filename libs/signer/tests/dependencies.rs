//! The line between the signer's core and its workload.

use std::process::Command;

/// What only the workload knows: Kubernetes, the broker, the command line, HTTP served, metrics, the host.
const ABOVE: [&str; 13] = [
    "async-nats",
    "axum",
    "clap",
    "k8s-openapi",
    "kube",
    "multisig-api",
    "natsauth",
    "prometheus-client",
    "rustix",
    "signer-workload",
    "tracing-subscriber",
    "transport",
    "workload",
];

#[test]
fn the_core_links_nothing_of_the_workload() {
    let tree = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["tree", "--package", "signer", "--edges", "normal", "--prefix", "none", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let linked: Vec<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(linked.contains(&"rusqlite") && linked.contains(&"policy"), "{tree}");
    assert_eq!(linked.iter().filter(|name| ABOVE.contains(name)).collect::<Vec<_>>(), [&""; 0]);
}
