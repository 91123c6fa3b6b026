//! Promises of App.
