//! The main job, step by step, through the real command lines: what the tests and the demo both play. Each role has
//! a room (folder) and credentials of its own; what crosses from one room to another is a file that may be public.

pub mod app;
pub mod command;
pub mod evacuation;
pub mod hub;
pub mod member;
pub mod rooms;

pub use command::{Commands, Output};
