//! The core that Keeper and Cooler share. A request walks through the [`pipeline`]; what must survive is in the
//! [`store`]; what may be signed is the crate `policy`'s to judge. It knows neither Kubernetes nor a broker, serves no
//! HTTP and counts no metrics: the crate `signer-workload` brings documents, keys, Vault and broker to it.

pub mod fault;
pub mod history;
pub mod identity;
pub mod pipeline;
pub mod store;
#[cfg(test)]
mod tests;
pub mod veto;
