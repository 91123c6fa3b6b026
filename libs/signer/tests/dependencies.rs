//! The line between the signer's core and its workload.

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
    let linked = harness::crates::linked("signer").unwrap();
    let links = |name: &str| linked.iter().any(|linked| linked == name);
    assert!(links("rusqlite") && links("policy"), "{linked:?}");
    assert_eq!(ABOVE.into_iter().filter(|name| links(name)).collect::<Vec<_>>(), [""; 0]);
}
