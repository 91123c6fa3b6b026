//! The NATS connection of a workload: request, reply and queue groups for sealed envelopes. The only crate of the
//! workloads that knows the NATS client.
//!
//! [`Link`] is the way to the broker and says how it is. [`Caller`] asks and [`Server`] answers over it, and there is no other
//! way to use it: they seal, open and verify, and nothing that fails a check gets past them. Keys and peers come through
//! a `watch` channel of [`Party`](protocol::envelope::Party), so that they can be replaced while everything runs. A
//! workload holds all of it as one [`Session`].

mod admission;
mod bounds;
mod caller;
mod clocks;
mod connection;
mod inbox;
mod link;
mod metrics;
mod options;
mod quota;
mod serve;
mod server;
mod session;
mod state;

pub use bounds::{Allowance, Bounds, Capacity};
pub use caller::{CallError, Caller, TRY_TIMEOUT};
pub use link::{Link, RequestError};
pub use metrics::Metrics;
pub use options::{ConnectError, Options};
pub use serve::Serving;
pub use server::{Call, Server};
pub use session::{Endpoint, Session, SessionState};
pub use state::State;
