//! NATS JWT claims and the permissions of each role. Pure.
