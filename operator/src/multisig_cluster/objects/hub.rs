//! What the operator's objects on the hub have in common. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use multisig_api::{MultisigCluster, labels};

/// Metadata of an object that goes with its MultisigCluster.
pub fn metadata(cluster: &MultisigCluster, name: String) -> ObjectMeta {
    let pairs = [(labels::MANAGED_BY, labels::MANAGER), (labels::PART_OF, labels::PART_OF_VALUE)];
    ObjectMeta {
        name: Some(name),
        namespace: cluster.metadata.namespace.clone(),
        labels: Some(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        owner_references: cluster.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}
