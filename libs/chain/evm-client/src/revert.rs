//! The reason that a contract gives for reverting.

use std::fmt;

use alloy_primitives::Bytes;
use alloy_sol_types::{Panic, Revert as ErrorString, SolError};

/// The reason that a contract gave for reverting.
pub(crate) struct Revert {
    /// Text of a Solidity `Error(string)` (`GS013`), of a panic, or the node's words; absent when there was none.
    reason: Option<String>,
    /// What the call returned.
    data: Bytes,
}

impl Revert {
    /// From what a call returned and, where that says nothing, from the node's message.
    pub(crate) fn new(data: Bytes, message: &str) -> Self {
        let words = message.trim_start_matches("execution reverted").trim_start_matches([':', ' ']).trim();
        let reason = ErrorString::abi_decode(&data)
            .map(|error| error.reason)
            .or_else(|_| Panic::abi_decode(&data).map(|panic| panic.to_string()))
            .ok()
            .or_else(|| (!words.is_empty()).then(|| words.to_owned()));
        Self { reason: reason.map(|text| text.chars().filter(|c| !c.is_control()).take(200).collect()), data }
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.data.len()) {
            (Some(reason), _) => f.write_str(reason),
            (None, 0) => f.write_str("no reason given"),
            (None, length) => write!(f, "{} ({length} bytes)", Bytes::copy_from_slice(&self.data[..length.min(36)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_shows_the_contracts_own_reason() {
        let data = Bytes::from(ErrorString { reason: "GS013".into() }.abi_encode());
        assert_eq!(Revert::new(data, "execution reverted").reason.as_deref(), Some("GS013"));
    }

    #[test]
    fn a_revert_without_data_shows_the_nodes_words() {
        assert_eq!(Revert::new(Bytes::new(), "execution reverted: GS026").reason.as_deref(), Some("GS026"));
        assert_eq!(Revert::new(Bytes::new(), "execution reverted").to_string(), "no reason given");
    }

    #[test]
    fn a_custom_error_shows_its_selector() {
        let data = Bytes::from(vec![0xab; 64]);
        assert!(Revert::new(data, "execution reverted").to_string().starts_with("0xabababab"));
    }

    #[test]
    fn a_hostile_reason_is_cut_and_has_no_control_characters() {
        let reason = format!("\u{1b}[2J{}", "x".repeat(10_000));
        let data = Bytes::from(ErrorString { reason }.abi_encode());
        let shown = Revert::new(data, "").to_string();
        assert!(shown.len() <= 200 && !shown.contains('\u{1b}'));
    }
}
