//! What App does without being asked: one file a job.

mod pay;
mod relay;
mod resume;
mod watch_node;

pub(crate) use pay::wake;
pub(crate) use relay::relay;
pub(crate) use resume::resume;
pub(crate) use watch_node::watch_node;
