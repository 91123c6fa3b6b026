//! What all objects of a place have in common: names and labels. Pure.

use std::collections::BTreeMap;

use custody::CustodyId;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use multisig_api::{labels, multisig_cluster::place::ResourcesSpec, place::Place};

/// Where the workload serves health and metrics.
pub const PORT: i32 = 8080;

/// What distinguishes one place's objects from another's.
pub struct Shape<'a> {
    /// The place: the name of everything.
    pub place: Place,
    /// The custody.
    pub custody: CustodyId,
    /// Namespace on the member.
    pub namespace: &'a str,
    /// Image by digest.
    pub image: &'a str,
    /// Audience of the token with which the workload logs in to its Vault.
    pub vault_audience: &'a str,
    /// CPU and memory.
    pub resources: Option<&'a ResourcesSpec>,
}

impl Shape<'_> {
    /// What every object is called and labelled.
    pub fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.place.to_string()),
            namespace: Some(self.namespace.to_owned()),
            labels: Some(self.labels()),
            ..ObjectMeta::default()
        }
    }

    /// Labels of every object and of the pod.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let pairs = [
            (labels::NAME, self.place.to_string()),
            (labels::PART_OF, labels::PART_OF_VALUE.to_owned()),
            (labels::MANAGED_BY, labels::MANAGER.to_owned()),
            (labels::ROLE, self.place.to_string()),
            (labels::CUSTODY, self.custody.to_string()),
        ];
        pairs.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Selects the pod. Immutable once created: nothing that may ever change is in it.
    pub fn selector(&self) -> LabelSelector {
        let label = (labels::ROLE.to_owned(), self.place.to_string());
        LabelSelector { match_labels: Some(BTreeMap::from([label])), match_expressions: None }
    }
}
