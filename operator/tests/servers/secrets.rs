//! What is secret never gets out.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use crate::ground::{Ground, HUB};

/// Everything secret that the operator has in its hands.
async fn canaries(ground: &Ground) -> Vec<String> {
    let secrets: Api<Secret> = Api::namespaced(ground.hub.client(), HUB);
    let mut canaries = vec![ground.nats.operator_signing_seed().to_owned(), ground.nats.push_user_seed().to_owned()];
    for (name, keys) in [("main-nats-account", ".seed"), ("dc-a", "value"), ("dc-b", "value")] {
        let data = secrets.get(name).await.unwrap().data.unwrap();
        for (_, value) in data.into_iter().filter(|(key, _)| key.ends_with(keys)) {
            let text = String::from_utf8(value.0).unwrap();
            let token = text.lines().find_map(|line| line.trim().strip_prefix("token: ").map(str::to_owned));
            canaries.push(token.unwrap_or(text));
        }
    }
    assert_eq!(canaries.len(), 9, "two of the hub admin, five of the account, two tokens");
    canaries
}

pub(crate) async fn no_secret_in(text: &str, ground: &Ground) {
    for canary in canaries(ground).await {
        assert!(!text.contains(&canary), "a secret beginning with {} has got out", &canary[..4]);
    }
}

/// Status, events, ConfigMaps and metrics are read by many.
pub(crate) async fn no_secret_on_the_hub(ground: &Ground) {
    for kind in ["multisigclusters", "memberclusters", "configmaps", "events.events.k8s.io", "leases"] {
        let text = ground.kubectl(&ground.hub, &["get", kind, "-n", HUB, "-o", "yaml", "--show-managed-fields"], b"");
        no_secret_in(&text, ground).await;
    }
    for member in [&ground.dc_a, &ground.dc_b] {
        let sent: Vec<String> = ground.requests(member).iter().map(ToString::to_string).collect();
        no_secret_in(&sent.join("\n"), ground).await;
    }
}
