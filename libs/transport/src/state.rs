//! How the connection is, in words for people.

use std::fmt;

use async_nats::{ClientError, Event, ServerError};

/// State of the connection to the broker. Only [`State::Connected`] is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Logged in, and nothing that is needed has been refused since.
    Connected,
    /// Not there; it is tried again for ever.
    Disconnected {
        /// The last reason known.
        why: String,
    },
    /// The broker does not accept the user JWT: not valid, expired or revoked. Tried again for ever, with the newest JWT.
    AuthorizationViolation,
    /// Logged in, but the broker refuses a subject that this role needs. Logged in anew from time to time.
    PermissionsViolation {
        /// What the broker said.
        what: String,
    },
    /// Closed from this side, for good.
    Closed,
}

impl State {
    /// Whether messages can pass.
    pub fn is_healthy(&self) -> bool {
        *self == State::Connected
    }

    /// Whether the broker has taken the user JWT, and no more is known to be wrong than a refused subject.
    pub(crate) fn is_logged_in(&self) -> bool {
        matches!(self, State::Connected | State::PermissionsViolation { .. })
    }

    /// Whether the broker refuses a subject.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, State::PermissionsViolation { .. })
    }

    pub(crate) fn starting() -> Self {
        State::Disconnected { why: "connecting for the first time".to_owned() }
    }

    /// The state after an event; `None` if it changes nothing.
    pub(crate) fn after(&self, event: &Event) -> Option<Self> {
        match event {
            _ if *self == State::Closed => None,
            Event::Connected => Some(State::Connected),
            // The server gives its reason first, then the line goes dead.
            Event::Disconnected if *self == State::AuthorizationViolation => None,
            Event::Disconnected => Some(State::Disconnected { why: "the connection was lost".to_owned() }),
            Event::ServerError(ServerError::AuthorizationViolation) => Some(State::AuthorizationViolation),
            Event::ServerError(ServerError::Other(said)) => after_complaint(said),
            Event::ClientError(ClientError::Other(said)) if said == "authorization violation" => {
                Some(State::AuthorizationViolation)
            }
            Event::ClientError(ClientError::Other(said)) => Some(State::Disconnected { why: said.clone() }),
            _ => None,
        }
    }
}

fn after_complaint(said: &str) -> Option<State> {
    let lower = said.to_lowercase();
    let about_the_user = ["authentication expired", "authentication revoked", "authentication timeout"];
    if about_the_user.iter().any(|text| lower.contains(text)) {
        return Some(State::AuthorizationViolation);
    }
    // A late or second answer is refused by the broker too (one response a request, gone with its connection). That
    // says nothing about the role's permissions, and must not let whoever asked mark this side as unhealthy.
    let refused_answer = lower.contains("permissions violation for publish to \"_inbox.");
    (lower.contains("permissions violation") && !refused_answer)
        .then(|| State::PermissionsViolation { what: said.to_owned() })
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Connected => f.write_str("connected to the broker"),
            State::Disconnected { why } => {
                write!(f, "not connected to the broker ({why}); it is retried automatically; check its address and CA")
            }
            State::AuthorizationViolation => {
                f.write_str("the broker does not accept the user JWT; a new one must be issued for this NKey")
            }
            State::PermissionsViolation { what } => write!(
                f,
                "the broker refuses what this role needs ({what}); the account's signing keys need this role's template"
            ),
            State::Closed => f.write_str("the connection to the broker is closed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(said: &str) -> Event {
        Event::ServerError(ServerError::Other(said.to_owned()))
    }

    fn client(said: &str) -> Event {
        Event::ClientError(ClientError::Other(said.to_owned()))
    }

    #[test]
    fn only_connected_is_healthy() {
        assert!(State::starting().after(&Event::Connected).unwrap().is_healthy());
        for event in [
            Event::Disconnected,
            Event::ServerError(ServerError::AuthorizationViolation),
            client("authorization violation"),
            client("IO error"),
            server("Permissions Violation for Subscription to \"ms.x.keeper.op\" using queue \"keeper\""),
            server("Permissions Violation for Publish to \"ms.x.cooler.peer\""),
            server("User Authentication Expired"),
            server("User Authentication Revoked"),
        ] {
            let next = State::Connected.after(&event).unwrap();
            assert!(!next.is_healthy(), "{event}");
            assert!(!next.to_string().is_empty());
        }
    }

    #[test]
    fn a_refused_answer_does_not_make_the_connection_unhealthy() {
        assert_eq!(State::Connected.after(&server("Permissions Violation for Publish to \"_INBOX.app.x.1\"")), None);
    }

    #[test]
    fn a_lost_connection_does_not_hide_why_it_was_lost() {
        let refused = State::Connected.after(&server("User Authentication Expired")).unwrap();
        assert_eq!(refused.after(&Event::Disconnected), None);
        assert!(matches!(refused.after(&client("IO error")), Some(State::Disconnected { .. })));
        assert_eq!(refused.after(&Event::Connected), Some(State::Connected));
    }

    #[test]
    fn closed_stays_closed() {
        assert_eq!(State::Closed.after(&Event::Connected), None);
    }
}
