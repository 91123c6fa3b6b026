//! How SQLite goes about every statement that a test runs: none may go through, or sort, all rows of a table that grows.

use database::plans::Plans;

/// Tables with a handful of rows, however many payments there are: `lost` grows by restores alone, and is gone through
/// once at a start.
pub(super) static PLANS: Plans = Plans::new(&["lost", "payment_counts"], &[]);
