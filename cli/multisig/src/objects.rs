//! Objects that the admin owns, by server-side apply; what is right already is not written.

use std::fmt::Debug;

use kube::{
    Api, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{cluster::Cluster, output::Change};

/// Field manager of everything that this program writes.
pub(crate) const MANAGER: &str = "multisig-admin";

/// Makes the object what is wanted, unless it is. Never forced: what somebody else set stays and is named.
pub(crate) async fn ensure<K>(cluster: &Cluster, api: &Api<K>, name: &str, wanted: &Value) -> anyhow::Result<Change>
where
    K: Resource + Clone + Debug + Serialize + DeserializeOwned,
{
    let explain = |error| cluster.explain(&format!("{} {name}", wanted["kind"].as_str().unwrap_or_default()), error);
    let live = api.get_opt(name).await.map_err(explain)?;
    if let Some(live) = &live
        && covers(&serde_json::to_value(live)?, wanted)
    {
        return Ok(Change::Unchanged);
    }
    api.patch(name, &PatchParams::apply(MANAGER), &Patch::Apply(wanted)).await.map_err(explain)?;
    Ok(if live.is_some() { Change::Updated } else { Change::Created })
}

/// Whether all of `wanted` is in `live`; what the server added besides is not looked at. `apiVersion` and `kind` are
/// not repeated in what typed clients read.
pub(crate) fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, value)| match live.get(key) {
            Some(found) => covers(found, value),
            None => is_empty(value),
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        _ => live == wanted,
    }
}

/// The server drops empty fields.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let live = json!({"metadata": {"name": "a", "uid": "1"}, "spec": {"ports": [{"port": 53, "protocol": "UDP"}]}});
        assert!(covers(&live, &json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 53}]}})));
        assert!(covers(&live, &json!({"metadata": {"labels": {}}})));
    }

    #[test]
    fn what_is_missing_more_or_other_is_a_difference() {
        let live = json!({"rules": [{"verbs": ["get", "delete"]}], "type": "Opaque"});
        for wanted in [
            json!({"rules": [{"verbs": ["get"]}]}),
            json!({"rules": []}),
            json!({"type": "Other"}),
            json!({"metadata": {"labels": {"a": "b"}}}),
        ] {
            assert!(!covers(&live, &wanted), "{wanted}");
        }
    }
}
