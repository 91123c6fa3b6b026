//! Online command line for the administrators of each place.

fn main() {}
