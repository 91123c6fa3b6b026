//! What the tests of several files share, and promises that go through several steps.

pub(crate) mod fixtures;
mod third_place;
