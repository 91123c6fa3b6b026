//! What each NATS user may do: allow lists only, written from `protocol::subject`. They reach the broker as templates
//! of scoped signing keys, so a user JWT says nothing but its name, and the holder of a role's key can make no other
//! role's user.

use std::{fmt, str::FromStr};

use custody::{CustodyId, Role};
use protocol::subject::{inbox_prefix, listens, queue, speaks, subject};
use serde::{Deserialize, Serialize};

/// Largest message, bytes: the broker's `max_payload` and every template say the same. The broker cuts the connection
/// of whoever exceeds the template's, so senders check before.
pub const MAX_PAYLOAD_BYTES: i64 = protocol::envelope::MAX_BYTES as i64;
/// How long one answer may be published after its request was received, nanoseconds: the longest life of an envelope.
pub const RESPONSE_TTL_NANOS: i64 = protocol::envelope::MAX_LIFETIME_MS as i64 * 1_000_000;
/// "Unlimited" in claims. An absent limit is 0: nothing allowed.
pub const NO_LIMIT: i64 = -1;

/// The private inbox of whichever user the template is applied to. The broker fills `{{name()}}` only where it is a
/// whole token of the subject, and silently drops every `SUBJECT QUEUE` of a list with a `{{name()}}` in it: so this
/// is for lists without queues.
const OWN_INBOX: &str = "_INBOX.{{name()}}.>";

/// Why a user name was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{0}' is not a NATS user name: expected 1 to 64 characters of a-z, 0-9 and '-'")]
pub struct NameError(String);

/// Name of a NATS user, unique in its account: `[a-z0-9-]{1,64}`. It becomes a token of the user's inbox, so a `*` or
/// a `.` in it would open the inboxes of others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserName(String);

impl UserName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Role> for UserName {
    fn from(role: Role) -> Self {
        Self(role.as_str().to_owned())
    }
}

impl FromStr for UserName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=64).contains(&text.len()) && text.chars().all(known) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for UserName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<UserName> for String {
    fn from(name: UserName) -> Self {
        name.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Publish, subscribe and answer permissions, as in the `nats` part of claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permissions {
    /// Subjects to publish to.
    #[serde(rename = "pub")]
    pub publish: Subjects,
    /// Subjects to subscribe; `SUBJECT QUEUE` allows it in that queue group only.
    #[serde(rename = "sub")]
    pub subscribe: Subjects,
    /// Answers to received requests, to whatever reply subject they named.
    #[serde(rename = "resp", default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
}

/// Subjects. An empty allow list allows everything, so none of ours is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subjects {
    /// Allowed; all others are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// Refused although an allowed wildcard covers it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// How a received request may be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Messages per request.
    pub max: i64,
    /// Nanoseconds.
    pub ttl: i64,
}

/// What a scoped signing key gives to the users that it signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Subjects.
    #[serde(flatten)]
    pub permissions: Permissions,
    /// Most subscriptions.
    pub subs: i64,
    /// Most bytes pending, [`NO_LIMIT`]: the broker no longer looks at it, but 0 would mean none.
    pub data: i64,
    /// Largest message, bytes.
    pub payload: i64,
    /// `STANDARD`, `WEBSOCKET`; never a leaf node or MQTT, which would bring subscriptions of their own kind.
    pub allowed_connection_types: Vec<String>,
}

impl From<Permissions> for Template {
    fn from(permissions: Permissions) -> Self {
        Self {
            permissions,
            subs: NO_LIMIT,
            data: NO_LIMIT,
            payload: MAX_PAYLOAD_BYTES,
            allowed_connection_types: vec!["STANDARD".to_owned(), "WEBSOCKET".to_owned()],
        }
    }
}

/// What the users of a role may do. A plain subscription of an own lane is refused, only the role's queue group is
/// allowed, so that a stolen connection key can take requests away (which shows) but not tap them.
///
/// The user's name is the role's ([`UserName`] from [`Role`]), since its inbox is.
pub fn role_permissions(custody: CustodyId, role: Role) -> Permissions {
    let lanes = listens(role);
    let own = lanes.iter().map(|lane| format!("{} {}", subject(custody, role, *lane), queue(role)));
    Permissions {
        publish: allow(speaks(role).iter().map(|(to, lane)| subject(custody, *to, *lane))),
        subscribe: allow(own.chain([format!("{}.>", inbox_prefix(role))])),
        response: (!lanes.is_empty()).then_some(Response { max: 1, ttl: RESPONSE_TTL_NANOS }),
    }
}

/// What the user may do that pushes account JWTs, in the system account `system_account` (`A...`).
///
/// Not `$SYS.REQ.CLAIMS.UPDATE`: that takes any account's claims, the system account's among them, and a wrongly
/// signed one is stored and locks the account out, or keeps the server from starting, at the next restart. The
/// per-account subject must match the claim, so the system account can be left out.
pub fn push_permissions(system_account: &str) -> Permissions {
    Permissions {
        publish: Subjects {
            allow: ["$SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", "$SYS.REQ.SERVER.PING.IDZ"]
                .map(str::to_owned)
                .to_vec(),
            deny: vec![format!("$SYS.REQ.ACCOUNT.{system_account}.CLAIMS.UPDATE")],
        },
        subscribe: allow([OWN_INBOX.to_owned()]),
        response: None,
    }
}

fn allow(subjects: impl IntoIterator<Item = String>) -> Subjects {
    Subjects { allow: subjects.into_iter().collect(), deny: Vec::new() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::subject::Lane;

    use super::*;

    const CUSTODY: [u8; 16] = [0x7b; 16];

    fn custody(bytes: [u8; 16]) -> CustodyId {
        CustodyId::from_slice(&bytes).unwrap()
    }

    fn any_role() -> impl Strategy<Value = Role> {
        prop::sample::select(&Role::ALL)
    }

    fn any_lane() -> impl Strategy<Value = Lane> {
        prop::sample::select(&Lane::ALL)
    }

    /// NATS' own matching: tokens by dots, `*` for one, a final `>` for one or more.
    fn matches(pattern: &str, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for part in pattern.split('.') {
            match (part, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (part, Some(token)) if part == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    fn may(subjects: &Subjects, name: &str, subject: &str) -> bool {
        let covers = |pattern: &String| {
            let pattern = pattern.split(' ').next().unwrap_or_default().replace("{{name()}}", name);
            matches(&pattern, subject)
        };
        subjects.allow.iter().any(covers) && !subjects.deny.iter().any(covers)
    }

    /// The table of the design, written out a second time.
    fn listed(from: Role, to: Role, lane: Lane) -> bool {
        matches!(
            (from, to, lane),
            (Role::App, Role::Keeper | Role::Cooler, Lane::Op | Lane::Freeze | Lane::Records)
                | (Role::Keeper, Role::Cooler, Lane::Peer)
                | (Role::Cooler, Role::Keeper, Lane::Peer)
                | (Role::Sentinel, Role::Keeper | Role::Cooler, Lane::Sentinel)
                | (Role::Keeper | Role::Cooler | Role::App, Role::Sentinel, Lane::In)
        )
    }

    #[test]
    fn each_role_has_these_permissions() {
        for role in Role::ALL {
            let template = Template::from(role_permissions(custody(CUSTODY), role));
            insta::assert_json_snapshot!(format!("role_{role}"), template);
        }
    }

    #[test]
    fn the_pushing_user_has_these_permissions() {
        insta::assert_json_snapshot!("push", push_permissions("ASYSTEM"));
    }

    #[test]
    fn the_pushing_user_may_push_any_account_but_the_system_account() {
        let publish = push_permissions("ASYSTEM").publish;
        assert!(may(&publish, "push", "$SYS.REQ.ACCOUNT.AOTHER.CLAIMS.UPDATE"));
        assert!(!may(&publish, "push", "$SYS.REQ.ACCOUNT.ASYSTEM.CLAIMS.UPDATE"));
        assert!(may(&publish, "push", "$SYS.REQ.ACCOUNT.ASYSTEM.CLAIMS.LOOKUP"));
        assert!(!may(&publish, "push", "$SYS.REQ.CLAIMS.UPDATE"));
        assert!(!may(&publish, "push", "$SYS.REQ.CLAIMS.DELETE"));
    }

    #[test]
    fn user_names_are_one_plain_token() {
        for good in ["keeper", "push-2", "0"] {
            assert_eq!(good.parse::<UserName>().unwrap().as_str(), good);
        }
        for bad in ["", "*", ">", "a.b", "Keeper", "a b", "a_b", "é", &"a".repeat(65)] {
            assert_eq!(bad.parse::<UserName>(), Err(NameError(bad.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn a_role_speaks_where_the_design_lists_it_and_nowhere_else(
            own in any::<[u8; 16]>(), other in any::<[u8; 16]>(), from in any_role(), to in any_role(), lane in any_lane(),
        ) {
            let publish = role_permissions(custody(own), from).publish;
            prop_assert_eq!(may(&publish, from.as_str(), &subject(custody(own), to, lane)), listed(from, to, lane));
            prop_assume!(own != other);
            prop_assert!(!may(&publish, from.as_str(), &subject(custody(other), to, lane)));
        }

        #[test]
        fn a_role_hears_its_own_lanes_in_its_queue_and_its_own_inbox_only(
            own in any::<[u8; 16]>(), role in any_role(), other in any_role(), lane in any_lane(), token in "[a-zA-Z0-9]{1,8}",
        ) {
            let permissions = role_permissions(custody(own), role);
            let spoken_to = Role::ALL.into_iter().any(|from| listed(from, other, lane));
            let subject = subject(custody(own), other, lane);
            prop_assert_eq!(may(&permissions.subscribe, role.as_str(), &subject), role == other && spoken_to);
            let in_queue = format!("{subject} {role}");
            prop_assert_eq!(permissions.subscribe.allow.contains(&in_queue), role == other && spoken_to);
            prop_assert!(!permissions.subscribe.allow.contains(&subject));
            let inbox = format!("{}.{token}", protocol::subject::inbox_prefix(other));
            prop_assert_eq!(may(&permissions.subscribe, role.as_str(), &inbox), role == other);
            prop_assert!(!may(&permissions.publish, role.as_str(), &inbox), "only allow_responses reaches an inbox");
        }

        #[test]
        fn no_allow_list_is_empty_or_holds_a_wildcard_but_at_the_end_of_the_own_inbox(
            own in any::<[u8; 16]>(), role in any_role(),
        ) {
            let permissions = role_permissions(custody(own), role);
            prop_assert!(!permissions.publish.allow.is_empty() && !permissions.subscribe.allow.is_empty());
            let all = permissions.publish.allow.iter().chain(&permissions.subscribe.allow);
            let inbox = format!("{}.>", inbox_prefix(role));
            for pattern in all.filter(|pattern| **pattern != inbox) {
                prop_assert!(!pattern.contains(['*', '>', '{']), "{}", pattern);
            }
        }

        #[test]
        fn no_other_text_becomes_a_user_name(text in "\\PC{0,12}") {
            let plain = !text.is_empty() && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
            prop_assert_eq!(text.parse::<UserName>().is_ok(), plain);
        }
    }
}
