//! Signals for what changes on a member, so that nobody has to wait for the next poll. Only metadata is read, and a
//! signal says no more than "look again": a lost one costs time, nothing else.

use futures::{StreamExt, future, stream};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::ConfigMap};
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use multisig_api::labels;

use crate::schedule::Retries;

/// Watches reports and StatefulSets in `namespace` until it is dropped.
pub(super) async fn watch(client: Client, namespace: String, signal: impl Fn()) {
    let reports = format!("{}={}", labels::DELEGATED, labels::DELEGATED_WORKLOAD);
    let reports = watcher(
        Api::<PartialObjectMeta<ConfigMap>>::namespaced(client.clone(), &namespace),
        watcher::Config::default().labels(&reports),
    );
    let workloads =
        watcher(Api::<PartialObjectMeta<StatefulSet>>::namespaced(client, &namespace), watcher::Config::default());
    let reports = reports.backoff(Retries::default()).touched_objects().map(|change| change.map(drop)).boxed();
    let workloads = workloads.backoff(Retries::default()).touched_objects().map(|change| change.map(drop)).boxed();
    stream::select(reports, workloads)
        .for_each(|change| {
            match change {
                Ok(()) => signal(),
                Err(error) => tracing::debug!(%error, namespace, "a watch on a member was interrupted"),
            }
            future::ready(())
        })
        .await;
}
