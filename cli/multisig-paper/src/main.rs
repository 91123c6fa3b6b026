//! Offline command line for the cold and cool rooms. Links no network crate.

fn main() {}
