//! NATS JWTs (operator, account, user) and the permissions of each role. Pure: keys and times are passed in.
//!
//! The broker's permissions are the second line only: every message is signed and sealed end to end (`protocol`).
//! They keep a stolen connection key from listening, and a noisy party from flooding others.

mod claims;
mod jwt;
mod permissions;

pub use claims::{
    Account, AccountLimits, Claims, Kind, Operator, Scope, ScopeKind, User, account_claims, operator_claims,
    tombstone_claims, user_claims,
};
pub use jwt::{JwtError, decode_unverified, encode, verify};
pub use permissions::{
    MAX_PAYLOAD_BYTES, NO_LIMIT, NameError, Permissions, RESPONSE_TTL_NANOS, Response, Subjects, Template, UserName,
    push_permissions, role_permissions,
};
