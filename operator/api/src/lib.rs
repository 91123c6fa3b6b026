//! Types of the Kubernetes API multisig.dev/v1alpha1: resources, conditions, reasons, labels. No client.
#![allow(clippy::duplicated_attributes, reason = "every printer column has a type")]
#![allow(unreachable_pub, reason = "KubeSchema derives a private copy of each struct")]

pub mod conditions;
pub mod labels;
pub mod member_cluster;
pub mod multisig_cluster;
pub mod place;
pub mod refs;

pub use member_cluster::{MemberCluster, MemberClusterSpec, MemberClusterStatus};
pub use multisig_cluster::{MultisigCluster, MultisigClusterSpec, status::MultisigClusterStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// API group of every resource here.
pub const GROUP: &str = "multisig.dev";
/// The only version so far.
pub const VERSION: &str = "v1alpha1";

/// Every custom resource definition, in the order in which `multisig-operator crd` prints them.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![MemberCluster::crd(), MultisigCluster::crd()]
}
