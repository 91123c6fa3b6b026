//! The two controllers of a namespace: what wakes them, and what happens when a pass fails.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, StreamExt, future, stream};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Secret},
    jiff::Timestamp,
};
use kube::{
    Api, Resource, ResourceExt,
    core::{DeserializeGuard, PartialObjectMeta, error_boundary::InvalidObject},
    runtime::{
        controller::{Action, Controller, Error as ControllerError},
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use multisig_api::{
    MemberCluster, MultisigCluster,
    conditions::condition,
    multisig_cluster::nats::{account_secret, app_credentials_map},
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{calls::CallError, context::Context, member_cluster, multisig_cluster, places, schedule};

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

/// A kind that is reconciled.
trait Reconciled: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static {
    const KIND: &'static str;
    const CONDITIONS: &'static [&'static str];
    type Error: std::error::Error + Send + 'static;

    /// One pass over it.
    fn pass(&self, context: &Context, now: Timestamp) -> impl Future<Output = Result<Action, Self::Error>> + Send;

    /// It has been deleted.
    fn forget(context: &Context, namespace: &str, name: &str);
}

impl Reconciled for MultisigCluster {
    const KIND: &'static str = multisig_cluster::pass::KIND;
    const CONDITIONS: &'static [&'static str] = &condition::MULTISIG_CLUSTER;
    type Error = multisig_cluster::pass::Error;

    async fn pass(&self, context: &Context, now: Timestamp) -> Result<Action, Self::Error> {
        Box::pin(multisig_cluster::reconcile(self, context, now)).await
    }

    fn forget(_: &Context, _: &str, _: &str) {}
}

impl Reconciled for MemberCluster {
    const KIND: &'static str = member_cluster::KIND;
    const CONDITIONS: &'static [&'static str] = &condition::MEMBER_CLUSTER;
    type Error = CallError;

    async fn pass(&self, context: &Context, now: Timestamp) -> Result<Action, CallError> {
        Box::pin(member_cluster::reconcile(self, context, now)).await
    }

    fn forget(context: &Context, namespace: &str, name: &str) {
        context.members.forget(namespace, name);
    }
}

async fn clusters(context: Arc<Context>, namespace: &str, stop: CancellationToken) {
    let config = watcher::Config::default();
    let hub = &context.hub;
    let controller = Controller::new(Api::<Cluster>::namespaced(hub.clone(), namespace), config.clone());
    let [by_member, by_secret, by_map, by_signal] = [(); 4].map(|()| controller.store());
    let uses_member = |cluster: &MultisigCluster, name: &str| {
        places::configured(cluster).iter().any(|(_, place)| place.member == name)
    };
    let uses_secret = |cluster: &MultisigCluster, name: &str| {
        let managed = cluster.spec.nats.account.managed.as_ref();
        managed.is_some_and(|managed| managed.secret_ref.name == name) || account_secret(&cluster.name_any()) == name
    };
    let uses_map = |cluster: &MultisigCluster, name: &str| {
        let spec = &cluster.spec;
        spec.custody.manifest_ref.name == name
            || spec.nats.ca_bundle_ref.name == name
            || app_credentials_map(&cluster.name_any()) == name
    };
    let here = namespace.to_owned();
    let signals = context.members.changes().flat_map(move |(namespace, member)| {
        let concerned = if namespace == here { concerned(&by_signal, &member, uses_member) } else { Vec::new() };
        stream::iter(concerned)
    });
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
        .reconcile_on(signals);
    drive(controller, context, stop).await;
}

async fn members(context: Arc<Context>, namespace: &str, stop: CancellationToken) {
    let config = watcher::Config::default();
    let hub = &context.hub;
    let controller = Controller::new(Api::<Member>::namespaced(hub.clone(), namespace), config.clone());
    let by_secret = controller.store();
    let uses_secret = |member: &MemberCluster, name: &str| member.spec.kubeconfig_secret_ref.name == name;
    let here = namespace.to_owned();
    let controller = controller
        .watches(Api::<PartialObjectMeta<Secret>>::namespaced(hub.clone(), namespace), config.clone(), move |secret| {
            concerned(&by_secret, &secret.name_any(), uses_secret)
        })
        .watches(Api::<Cluster>::namespaced(hub.clone(), namespace), config, move |cluster| used_by(&cluster, &here));
    drive(controller, context, stop).await;
}

/// Runs the passes of a controller until `stop`.
async fn drive<K: Reconciled + DeserializeOwned>(
    controller: Controller<DeserializeGuard<K>>,
    context: Arc<Context>,
    stop: CancellationToken,
) {
    let failures = Arc::new(Failures::default());
    let (passes, policy) = (failures.clone(), failures.clone());
    let pass = move |guard: Arc<DeserializeGuard<K>>, context: Arc<Context>| {
        let failures = passes.clone();
        async move {
            let object = match &guard.0 {
                Ok(object) => object,
                Err(invalid) => {
                    unreadable::<K>(invalid);
                    return Ok(Action::await_change());
                }
            };
            let begun = Instant::now();
            let result = object.pass(&context, Timestamp::now()).await;
            failures.record(&context, object, begun.elapsed(), &result);
            result
        }
    };
    let policy = move |guard: Arc<DeserializeGuard<K>>, _: &K::Error, _| policy.policy(&guard.name_any());
    controller
        .trigger_backoff(schedule::Retries::default())
        .with_config(kube::runtime::Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(pass, policy, context.clone())
        .for_each(|passed| {
            match passed {
                // Failures are told where they are counted.
                Ok(_) | Err(ControllerError::ReconcilerFailed(..)) => {}
                // It was due again and is not there any more.
                Err(ControllerError::ObjectNotFound(object)) => {
                    let namespace = object.namespace.as_deref().unwrap_or_default();
                    failures.forget(&object.name);
                    context.metrics.forget(K::KIND, namespace, &object.name, K::CONDITIONS);
                    K::forget(&context, namespace, &object.name);
                }
                Err(error) => tracing::warn!(%error, "a watch on the hub was interrupted"),
            }
            future::ready(())
        })
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
    let places = places::configured(cluster);
    places.iter().map(|(_, place)| ObjectRef::new(place.member).within(namespace)).collect()
}

/// An object that an older or newer version wrote: said once, and left alone until it changes.
fn unreadable<K: Reconciled>(invalid: &InvalidObject) {
    let name = invalid.metadata.name.as_deref().unwrap_or_default();
    let error = &invalid.error;
    tracing::error!(kind = K::KIND, name, error, "this version can't read the object; correct it");
}

/// Failures in a row of each object.
#[derive(Default)]
struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    fn record<K: Reconciled>(&self, context: &Context, object: &K, took: Duration, result: &Result<Action, K::Error>) {
        let (kind, name) = (K::KIND, object.name_any());
        let outcome = match result {
            Ok(_) => {
                self.forget(&name);
                "ok"
            }
            Err(error) => {
                let mut failures = self.lock();
                let count = failures.entry(name.clone()).or_default();
                *count = count.saturating_add(1);
                tracing::warn!(kind, name, %error, failures = *count, "a pass failed and will be retried");
                "error"
            }
        };
        context.metrics.reconciled(kind, outcome, took.as_secs_f64());
    }

    fn policy(&self, name: &str) -> Action {
        Action::requeue(backoff::delay(self.lock().get(name).copied().unwrap_or(1)))
    }

    fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
