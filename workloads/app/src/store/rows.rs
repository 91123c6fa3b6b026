//! Lists.

/// Rows of a list, each with its sequence.
pub(crate) type Rows<T> = Vec<(i64, T)>;
