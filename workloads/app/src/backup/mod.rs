//! Backups of all that App alone has: its database, with the client keys in it, its own keys and the relayer's. Each is
//! one file, sealed to a key whose private half is on paper, so that it may be kept anywhere.
//!
//! Inside the seal: the length of the contents' list (u32, big endian), the list as JSON, then the files, one after the
//! other.

mod admin;
mod contents;
mod error;
mod make;
mod restore;
mod schedule;

pub(crate) use admin::{ask, serve};
pub(crate) use make::{Secrets, make};
pub(crate) use restore::{restore, verify};
pub(crate) use schedule::keep;
