//! Commands of the data centre's admin, run beside the process (`kubectl exec`): they open the same store and log in to
//! the Vault themselves where they need it, and need neither hub nor broker. On the worst day the API server is not
//! needed either: the last good member trust and manifest are in the store. What a command changes is in the audit chain
//! in the same commit; the process sees it with its next request.

mod audit_export;
mod cool;
mod evac;
mod freeze;
mod history;
mod session;
mod settle;
#[cfg(test)]
mod tests;
mod unlock;
mod veto;
mod wallets;

pub(crate) use audit_export::export as export_audit;
pub(crate) use cool::import;
pub(crate) use evac::{Out, sign_evacuation};
pub(crate) use freeze::{freeze, freezes, thaw};
pub(crate) use history::{Accepted, export as export_history, import as import_history};
pub(crate) use session::{AdminError, Done};
pub(crate) use settle::settle;
pub(crate) use unlock::unlock;
pub(crate) use veto::{Of, pending, veto, veto_all, veto_of};
pub(crate) use wallets::export;
