//! The lab on the command line.

fn main() {}
