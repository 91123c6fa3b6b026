//! The lab: three kind clusters, two Vaults, NATS and an EVM node, up and down.
