//! Integration tests over the harness: promises of the whole, against real servers.
