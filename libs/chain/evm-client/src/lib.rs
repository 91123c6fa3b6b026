//! The networked half of the EVM adapter: JSON-RPC, relaying, receipts.
