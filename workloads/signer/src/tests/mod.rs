//! What the tests of several modules share.

use custody::Role;
use test_custody::Custody;
use workload::documents::Documents;

/// What a signer of this custody whose connection key is `nats_user` finds in its ConfigMaps.
pub(crate) fn documents(custody: &Custody, role: Role, nats_user: &str) -> Documents {
    let test_custody::Documents { trust, config, manifest, credentials } = custody.documents(role, nats_user);
    Documents {
        trust: Some(trust.to_json()),
        config: Some(serde_json::to_string(&config).unwrap()),
        manifest: Some(manifest.to_json()),
        credentials: Some(serde_json::to_string(&credentials).unwrap()),
    }
}
