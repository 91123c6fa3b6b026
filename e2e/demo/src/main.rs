//! The narrated main job in the lab.

fn main() {}
