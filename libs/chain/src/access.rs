//! How a chain is reached, and when what it says is final.

use std::time::Duration;

/// The nodes of one chain, and how far they are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// URLs of nodes, in the order in which they are asked; may hold a provider's API key, so they are never shown.
    pub nodes: Vec<String>,
    /// URLs of endpoints that show a transaction to nobody before it is in a block. Where there are any, what the relayer
    /// sends goes to them alone, and to the nodes too once they have left it out for some blocks. Nothing is read there.
    pub private: Vec<String>,
    /// So many of them must say the same before it ends a payment; 1 to the number of nodes.
    pub agree: usize,
    /// When a block is taken to stay.
    pub finality: Finality,
    /// A node whose newest block is older than this is behind, and can't say. `None` where blocks are made only when
    /// there is something to put into them, as development nodes do.
    pub head_age: Option<Duration>,
    /// The least tip that a transaction offers, in the fee's smallest unit (EVM: wei per gas). Chains refuse less.
    pub least_tip: u128,
}

/// The least tip where none is configured, wei per gas: 0.001 gwei, the least that geth's block builders take.
pub const LEAST_TIP: u128 = 1_000_000;

impl Access {
    /// One node, believed at its word: whatever it has in a block is taken to stay.
    pub fn one(node: &str) -> Self {
        let finality = Finality::Depth(0);
        let nodes = vec![node.to_owned()];
        Self { nodes, private: Vec::new(), agree: 1, finality, head_age: None, least_tip: LEAST_TIP }
    }
}

/// When a block is taken to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// So many blocks follow it; 0: at once.
    Depth(u64),
    /// The chain itself calls it final (EVM: the tag `finalized`).
    Tagged,
}

/// Where something stands in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of its block.
    pub block: u64,
    /// Blocks that follow it.
    pub depth: u64,
    /// Whether its block is final by [`Access::finality`]. Before, a reorganisation may take it back.
    pub settled: bool,
}
