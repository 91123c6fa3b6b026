//! Real servers on loopback for tests: Kubernetes API servers, NATS, Vault, an EVM node, and a stand-in for the kubelet.
