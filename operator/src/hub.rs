//! Writes to the hub: status, finalizers, events. Each happens only when something changes.

use k8s_openapi::{NamespaceResourceScope, api::core::v1::ObjectReference};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType},
};
use multisig_api::labels;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    calls::{CallError, within},
    conditions::{Finding, Status, Transition},
    context::Context,
};

/// Writes the status by server-side apply, unless it is `before` already.
pub async fn write_status<K, S>(context: &Context, object: &K, before: Option<&S>, after: &S) -> Result<bool, CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug,
    S: Serialize + PartialEq,
{
    if before == Some(after) {
        return Ok(false);
    }
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any()},
        "status": after,
    });
    let parameters = PatchParams::apply(labels::STATUS_MANAGER).force();
    within(api::<K>(context, object).patch_status(&object.name_any(), &parameters, &Patch::Apply(body))).await?;
    Ok(true)
}

/// Adds or removes a finalizer. Not by server-side apply: the list as it was read is part of the condition under which
/// it is written.
pub async fn set_finalizer<K>(context: &Context, object: &K, finalizer: &str, wanted: bool) -> Result<(), CallError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + std::fmt::Debug,
{
    let present = object.finalizers().iter().any(|present| present == finalizer);
    if present == wanted {
        return Ok(());
    }
    let mut finalizers: Vec<_> = object.finalizers().iter().filter(|present| *present != finalizer).cloned().collect();
    if wanted {
        finalizers.push(finalizer.to_owned());
    }
    let body = json!({"metadata": {"resourceVersion": object.resource_version(), "finalizers": finalizers}});
    let patch = Patch::Merge(&body);
    within(api::<K>(context, object).patch(&object.name_any(), &PatchParams::default(), &patch)).await?;
    Ok(())
}

/// Publishes what has changed. Events are for people who look later: losing one loses nothing else.
pub async fn publish_transitions(context: &Context, object: &ObjectReference, transitions: &[Transition]) {
    for Transition { condition, from, to } in transitions {
        // The first status of a new object is news only where it does not hold.
        if from.is_some() || to.status == Status::False {
            let good = to.is_good();
            publish(context, object, good, to.reason, &format!("{condition}: {}", to.message)).await;
        }
    }
}

/// Publishes one Event.
pub async fn publish(context: &Context, object: &ObjectReference, good: bool, reason: &str, note: &str) {
    let event = Event {
        type_: if good { EventType::Normal } else { EventType::Warning },
        reason: reason.to_owned(),
        // The API server takes 1 KiB.
        note: Some(note.chars().take(1000).collect()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    if let Err(error) = within(context.recorder.publish(&event, object)).await {
        tracing::warn!(%error, reason, "an Event could not be published");
    }
}

/// A finding as one line of the log.
pub fn log_transitions(kind: &str, namespace: &str, name: &str, transitions: &[Transition]) {
    for Transition { condition, to: Finding { status, reason, message }, .. } in transitions {
        tracing::info!(kind, namespace, name, condition, status = status.as_str(), reason, message, "condition");
    }
}

/// The API of an object's kind in its own namespace.
pub fn api<K>(context: &Context, object: &K) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(context.hub.clone(), &object.namespace().unwrap_or_default())
}
