//! What the tests of several modules share.

use custodies::{Custody, user_jwt};
use custody::{Role, config::Credentials};
use workload::documents::Documents;

/// What a signer of this custody whose connection key is `nats_user` finds in its ConfigMaps.
pub(crate) fn documents(custody: &Custody, role: Role, nats_user: &str) -> Documents {
    let credentials = Credentials { generation: 1, user_jwt: user_jwt(nats_user) };
    Documents {
        trust: Some(custody.trust(role).to_json()),
        config: Some(serde_json::to_string(&custody.config()).unwrap()),
        manifest: Some(custody.signed.to_json()),
        credentials: Some(serde_json::to_string(&credentials).unwrap()),
    }
}
