//! EVM chains: the 2-of-3 Safe 1.4.1, decoded and signed without a node.
