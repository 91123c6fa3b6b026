//! What the tests of several modules share.

use custodies::Custody;
use custody::{Role, config::Credentials};
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use workload::documents::Documents;

/// What a signer of this custody whose connection key is `nats_user` finds in its ConfigMaps. No sentinel is named.
pub(crate) fn documents(custody: &Custody, role: Role, nats_user: &str) -> Documents {
    let mut trust = custody.trust(role);
    trust.peers.remove(&Role::Sentinel);
    let credentials = Credentials { generation: 1, user_jwt: user_jwt(nats_user) };
    Documents {
        trust: Some(trust.to_json()),
        config: Some(serde_json::to_string(&custody.config()).unwrap()),
        manifest: Some(custody.signed.to_json()),
        credentials: Some(serde_json::to_string(&credentials).unwrap()),
    }
}

/// A JWT for this user that no broker would take.
pub(crate) fn user_jwt(nats_user: &str) -> String {
    let claims = json!({"sub": nats_user}).to_string();
    format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()))
}
