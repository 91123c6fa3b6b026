//! Secret `<name>-nats-account` on the hub: the account's keys and the record of what was minted. Pure.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use multisig_api::{MultisigCluster, multisig_cluster::nats::account_secret as name};

use super::hub;
use crate::nats::{account::Record, keys::AccountKeys};

/// Key of the record.
pub const RECORD_KEY: &str = "record.json";

/// For an account that is made now. Whoever has sent it wipes it.
pub fn account_secret(cluster: &MultisigCluster, keys: &AccountKeys, record: &Record) -> Secret {
    let seeds = keys.values().into_iter().map(|(name, value)| (name, ByteString(value.to_vec())));
    let record = (RECORD_KEY.to_owned(), ByteString(record_bytes(record)));
    Secret {
        metadata: hub::metadata(cluster, name(&cluster.name_any())),
        data: Some(seeds.chain([record]).collect()),
        ..Secret::default()
    }
}

/// The record as it is stored.
pub fn record_bytes(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).expect("the record has string keys only")
}
