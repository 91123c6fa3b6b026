//! One line per failure and the exit code that goes with it.

use std::{fmt, process::ExitCode};

pub(crate) use policy_file::one_line;

/// A command line or a file named on it that is wrong: found before anything was changed.
#[derive(Debug)]
pub(crate) struct BadInput(pub(crate) String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// A command in a pod that ended with a code of its own, having said why on standard error.
#[derive(Debug)]
pub(crate) struct RemoteExit(pub(crate) u8);

impl fmt::Display for RemoteExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the command in the pod exited with code {}", self.0)
    }
}

impl std::error::Error for RemoteExit {}

/// For a wrong file or argument.
pub(crate) fn bad_input(message: impl Into<String>) -> anyhow::Error {
    BadInput(message.into()).into()
}

/// Prints the failure with all its causes as one line.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("multisig: {}", one_line(&format!("{error:#}")));
    if let Some(RemoteExit(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    ExitCode::from(if error.is::<BadInput>() { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn bad_input_is_told_apart_also_below_a_context() {
        let error = Err::<(), _>(bad_input("no number")).context("plan.yaml").unwrap_err();
        assert!(error.is::<BadInput>());
        assert_eq!(format!("{error:#}"), "plan.yaml: no number");
    }
}
