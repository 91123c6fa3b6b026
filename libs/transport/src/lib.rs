//! The NATS connection of a workload: request, reply and queue groups for sealed envelopes. The only crate of the
//! workloads that knows the NATS client.
//!
//! [`Link`] is the connection and says how it is. [`Caller`] asks and [`Server`] answers over it, and there is no other
//! way to use it: they seal, open and verify, and nothing that fails a check gets past them. Keys and peers come through
//! a `watch` channel of [`Party`](protocol::envelope::Party), so that they can be replaced while everything runs. A
//! workload holds all of it as one [`Session`].

mod caller;
mod clocks;
mod connection;
mod inbox;
mod metrics;
mod options;
mod serve;
mod server;
mod session;
mod state;

pub use caller::{CallError, Caller, TRY_TIMEOUT};
pub use connection::{Link, RequestError};
pub use metrics::Metrics;
pub use options::{ConnectError, Options};
pub use serve::{Bounds, Serving};
pub use server::{Call, Server};
pub use session::{Endpoint, Session, SessionState};
pub use state::State;
