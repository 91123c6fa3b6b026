//! One Vault client for two kinds of user: a workload that logs in with its projected service-account token and uses
//! its own Transit key, and a data centre's admin who sets up mount, trust, policy and key ([`setup`]).
//!
//! No static token is ever held by a workload; every call has a deadline; errors say what to do.

mod connection;
mod error;
mod jwks;
mod preflight;
mod session;
pub mod setup;
mod transit;

pub use connection::{Admin, CALL_DEADLINE, Connection};
pub use error::Error;
pub use jwks::{Jwks, PublicKey};
pub use preflight::preflight;
pub use session::{Settings, Vault};
pub use setup::{SetupPlan, SetupReport, setup};
pub use transit::{BATCH_LIMIT, Context, KeyInfo, Opened};
