//! Who may call the API: the callers' file, and how a caller is known by a token or a certificate.

mod file;
mod known;
mod token;

pub(crate) use file::CallersError;
pub(crate) use known::{Caller, Callers};
pub(crate) use token::Token;
