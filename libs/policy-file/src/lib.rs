//! Files that people write, as values: YAML whose errors are one line, and the two files of `multisig policy test`.
//! Pure, and without the network that the command line has, so that every reader of text from outside can be fuzzed.

pub mod policy;

use serde::de::DeserializeOwned;

/// YAML, and so JSON too. An error is one line: the parser's words, and the line of the file that it means.
pub fn parse_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().and_then(|at| text.lines().nth((at.line() as usize).checked_sub(1)?));
        let line = line.map(|line| format!(" (`{}`)", line.trim())).unwrap_or_default();
        format!("{}{line}", one_line(&error.to_string()))
    })
}

/// Folds line breaks and the blanks around them.
pub fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_and_blanks_are_folded() {
        assert_eq!(one_line("Error: x\n\n  because y\n"), "Error: x; because y");
    }
}
