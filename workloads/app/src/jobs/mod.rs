//! What App does without being asked: one file a job.

mod follow;
mod pay;
mod recover;
mod relay;
mod resume;
mod watch_access;
mod watch_node;

pub(crate) use pay::wake;
pub(crate) use recover::recover;
pub(crate) use relay::relay;
pub(crate) use watch_access::watch_access;
pub(crate) use watch_node::watch_node;
