//! ConfigMap `<name>-app-credentials` on the hub: App's NATS user JWT. Pure.

use std::collections::BTreeMap;

use custody::{
    CustodyId,
    config::{CREDENTIALS_KEY, Credentials},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use multisig_api::{MultisigCluster, labels, multisig_cluster::nats::app_credentials_map};

use super::{hub, placeholder::json};

/// With what was minted for App.
pub fn app_credentials(cluster: &MultisigCluster, custody: CustodyId, minted: &Credentials) -> ConfigMap {
    let mut metadata = hub::metadata(cluster, app_credentials_map(&cluster.name_any()));
    metadata.labels.get_or_insert_default().insert(labels::CUSTODY.to_owned(), custody.to_string());
    ConfigMap {
        metadata,
        data: Some(BTreeMap::from([(CREDENTIALS_KEY.to_owned(), json(minted))])),
        ..ConfigMap::default()
    }
}
