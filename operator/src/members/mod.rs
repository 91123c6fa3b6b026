//! The clusters of the data centres, as the hub calls them: one client per kubeconfig ([`client`]), what a kubeconfig
//! may hold ([`kubeconfig`]), which cluster answers ([`identity`]), and signals for what changes there ([`watch`]).

pub mod client;
pub mod identity;
pub mod kubeconfig;
mod watch;
