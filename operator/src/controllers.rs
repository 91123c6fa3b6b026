//! The two controllers of a namespace: what wakes them, and what happens when a pass fails.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, Stream, StreamExt, future};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    jiff::Timestamp,
};
use kube::{
    Api, Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{
        controller::{Action, Controller, Error as ControllerError},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use multisig_api::{
    MemberCluster, MultisigCluster,
    multisig_cluster::{account_secret, app_credentials_map},
};
use tokio_util::sync::CancellationToken;

use crate::{context::Context, members, reconcile, schedule};

type Cluster = DeserializeGuard<MultisigCluster>;
type Member = DeserializeGuard<MemberCluster>;

/// Passes of one kind under way at once.
const CONCURRENCY: u16 = 16;

/// Runs both controllers in every namespace until `stop`, and then until the passes under way have ended.
pub async fn run(context: Arc<Context>, namespaces: &[String], stop: CancellationToken) {
    let controllers = namespaces.iter().flat_map(|namespace| {
        let clusters = clusters(context.clone(), namespace, stop.clone()).boxed();
        let members = members(context.clone(), namespace, stop.clone()).boxed();
        [clusters, members]
    });
    future::join_all(controllers).await;
}

async fn clusters(context: Arc<Context>, namespace: &str, stop: CancellationToken) {
    let config = watcher::Config::default();
    let hub = &context.hub;
    let controller = Controller::new(Api::<Cluster>::namespaced(hub.clone(), namespace), config.clone());
    let stores = [(); 4].map(|()| controller.store());
    let [by_member, by_secret, by_map, by_signal] = stores;
    let uses_member = |cluster: &MultisigCluster, name: &str| {
        cluster.spec.keeper.member_ref.name == name || cluster.spec.cooler.member_ref.name == name
    };
    let uses_secret = |cluster: &MultisigCluster, name: &str| {
        let managed = cluster.spec.nats.account.managed.as_ref();
        managed.is_some_and(|managed| managed.secret_ref.name == name) || account_secret(&cluster.name_any()) == name
    };
    let uses_map = |cluster: &MultisigCluster, name: &str| {
        [&cluster.spec.custody.manifest_ref.name, &cluster.spec.nats.ca_bundle_ref.name]
            .into_iter()
            .any(|used| used == name)
            || app_credentials_map(&cluster.name_any()) == name
    };
    let signals = context.members.changes();
    let here = namespace.to_owned();
    let signals = signals.filter_map(move |(namespace, member)| future::ready((namespace == here).then_some(member)));
    let controller = controller
        .watches(
            Api::<PartialObjectMeta<MemberCluster>>::namespaced(hub.clone(), namespace),
            config.clone(),
            move |member| concerned(&by_member, &member.name_any(), uses_member),
        )
        .watches(Api::<PartialObjectMeta<Secret>>::namespaced(hub.clone(), namespace), config.clone(), move |secret| {
            concerned(&by_secret, &secret.name_any(), uses_secret)
        })
        .watches(Api::<PartialObjectMeta<ConfigMap>>::namespaced(hub.clone(), namespace), config, move |map| {
            concerned(&by_map, &map.name_any(), uses_map)
        })
        .reconcile_on(
            signals.flat_map(move |member| futures::stream::iter(concerned(&by_signal, &member, uses_member))),
        )
        .trigger_backoff(schedule::Retries::default())
        .with_config(kube::runtime::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(stop.cancelled_owned());
    let failures = Arc::new(Failures::default());
    let (passes, policy) = (failures.clone(), failures);
    let pass = move |guard: Arc<Cluster>, context: Arc<Context>| {
        let failures = passes.clone();
        async move {
            let DeserializeGuard(object) = &*guard;
            let Ok(cluster) = object else { return unreadable(object, reconcile::KIND) };
            let begun = Instant::now();
            let result = reconcile::reconcile(cluster, &context, Timestamp::now()).await;
            failures.record(&context, reconcile::KIND, cluster, begun.elapsed(), &result);
            result
        }
    };
    drain(controller.run(pass, move |guard, error, _| policy.policy(guard.meta().name.as_deref(), error), context))
        .await;
}

async fn members(context: Arc<Context>, namespace: &str, stop: CancellationToken) {
    let config = watcher::Config::default();
    let hub = &context.hub;
    let controller = Controller::new(Api::<Member>::namespaced(hub.clone(), namespace), config.clone());
    let by_secret = controller.store();
    let here = namespace.to_owned();
    let controller = controller
        .watches(Api::<PartialObjectMeta<Secret>>::namespaced(hub.clone(), namespace), config.clone(), move |secret| {
            concerned(&by_secret, &secret.name_any(), |member: &MemberCluster, name: &str| {
                member.spec.kubeconfig_secret_ref.name == name
            })
        })
        .watches(Api::<Cluster>::namespaced(hub.clone(), namespace), config, move |cluster| used_by(&cluster, &here))
        .trigger_backoff(schedule::Retries::default())
        .with_config(kube::runtime::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(stop.cancelled_owned());
    let failures = Arc::new(Failures::default());
    let (passes, policy) = (failures.clone(), failures);
    let pass = move |guard: Arc<Member>, context: Arc<Context>| {
        let failures = passes.clone();
        async move {
            let DeserializeGuard(object) = &*guard;
            let Ok(member) = object else { return unreadable(object, members::KIND) };
            let begun = Instant::now();
            let result = members::reconcile(member, &context, Timestamp::now()).await;
            failures.record(&context, members::KIND, member, begun.elapsed(), &result);
            result
        }
    };
    drain(controller.run(pass, move |guard, error, _| policy.policy(guard.meta().name.as_deref(), error), context))
        .await;
}

/// The objects of a store that use `name`.
fn concerned<K>(
    store: &Store<DeserializeGuard<K>>,
    name: &str,
    uses: impl Fn(&K, &str) -> bool,
) -> Vec<ObjectRef<DeserializeGuard<K>>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + 'static,
{
    let readable = |guard: &DeserializeGuard<K>| guard.0.as_ref().is_ok_and(|object| uses(object, name));
    store.state().iter().filter(|guard| readable(guard)).map(|guard| ObjectRef::from_obj(&**guard)).collect()
}

/// The members that a MultisigCluster names. One that it no longer names finds out at its next probe.
fn used_by(cluster: &Cluster, namespace: &str) -> Vec<ObjectRef<Member>> {
    let DeserializeGuard(Ok(cluster)) = cluster else { return Vec::new() };
    let names = [&cluster.spec.keeper.member_ref.name, &cluster.spec.cooler.member_ref.name];
    names.map(|name| ObjectRef::new(name).within(namespace)).into()
}

/// An object that an older or newer version wrote: said once, and left alone until it changes.
fn unreadable<K, E>(object: &Result<K, kube::core::error_boundary::InvalidObject>, kind: &str) -> Result<Action, E> {
    if let Err(invalid) = object {
        let name = invalid.metadata.name.as_deref().unwrap_or_default();
        tracing::error!(kind, name, error = invalid.error, "this object can't be read by this version; correct it");
    }
    Ok(Action::await_change())
}

async fn drain<K, E>(passes: impl Stream<Item = Result<(ObjectRef<K>, Action), ControllerError<E, watcher::Error>>>)
where
    K: Resource<DynamicType = ()>,
    E: std::error::Error + 'static,
{
    passes
        .for_each(|pass| {
            match pass {
                Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
                // The object was deleted in the meantime.
                Err(ControllerError::ObjectNotFound(_)) => {}
                Err(error) => tracing::warn!(%error, "a watch on the hub was interrupted"),
            }
            future::ready(())
        })
        .await;
}

/// Failures in a row of each object.
#[derive(Default)]
struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    fn record<K, E>(
        &self,
        context: &Context,
        kind: &'static str,
        object: &K,
        took: Duration,
        result: &Result<Action, E>,
    ) where
        K: Resource,
        E: std::error::Error,
    {
        let name = object.name_any();
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match result {
            Ok(_) => {
                failures.remove(&name);
                "ok"
            }
            Err(error) => {
                let count = failures.entry(name.clone()).or_default();
                *count = count.saturating_add(1);
                tracing::warn!(kind, name, %error, failures = *count, "a pass failed and is tried again");
                "error"
            }
        };
        context.metrics.reconciled(kind, outcome, took.as_secs_f64());
    }

    fn policy<E>(&self, name: Option<&str>, _: &E) -> Action {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Action::requeue(backoff::delay(failures.get(name.unwrap_or_default()).copied().unwrap_or(1)))
    }
}
