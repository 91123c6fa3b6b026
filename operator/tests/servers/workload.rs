//! What the hub sees of a signer: a report with public keys, a StatefulSet's status, and somebody at the broker.

use std::collections::BTreeMap;

use custody::{
    CustodyId, Role,
    config::{Credentials, MemberConfig},
    identity::{Identity, PeerKeys},
    report::{Digests, Report, WorkloadState},
};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use harness::{cluster::Cluster, nats::Nats};
use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::ConfigMap};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use nkeys::{KeyPair, KeyPairType, XKey};
use serde_json::json;

use crate::{ground::MEMBER, wait::until};

/// Keys of a workload.
pub(crate) struct Workload {
    pub(crate) role: Role,
    custody: CustodyId,
    message: SigningKey,
    user: KeyPair,
    xkey: XKey,
}

impl Workload {
    /// With keys of its own; another seed, other keys.
    pub(crate) fn new(role: Role, custody: CustodyId, seed: u8) -> Self {
        let seed = [seed + 10 * role as u8; 32];
        Self {
            role,
            custody,
            message: SigningKey::from_bytes(&seed),
            user: KeyPair::new_from_raw(KeyPairType::User, seed).unwrap(),
            xkey: XKey::new_from_raw(seed),
        }
    }

    pub(crate) fn user(&self) -> String {
        self.user.public_key()
    }

    pub(crate) fn identity(&self) -> Identity {
        let keys = PeerKeys {
            message_key: HEXLOWER.encode(self.message.verifying_key().as_bytes()),
            xkey: self.xkey.public_key(),
        };
        let statement = custody::identity::statement(self.role, Some(self.custody), &self.user(), &keys);
        Identity {
            role: self.role,
            custody_id: Some(self.custody),
            nats_user: self.user(),
            message_proof: custody::identity::prove(&self.message, &statement),
            nats_proof: HEXLOWER.encode(&self.user.sign(&statement).unwrap()),
            keys,
        }
    }

    /// Writes the report, as the workload does.
    pub(crate) async fn report(&self, member: &Cluster, state: WorkloadState, generation: Option<u64>) {
        let report = Report {
            state,
            message: format!("{state:?}"),
            identity: Some(self.identity()),
            credentials_generation: generation,
            vault_key_version: Some(1),
            rewrap_left: None,
            audit_head: None,
            digests: Digests::default(),
            version: "test".to_owned(),
        };
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "data": {custody::report::REPORT_KEY: serde_json::to_string(&report).unwrap()},
        });
        let maps: Api<ConfigMap> = Api::namespaced(member.client(), MEMBER);
        let parameters = PatchParams::apply("workload").force();
        maps.patch(&custody::report::report_map(self.role), &parameters, &Patch::Apply(body)).await.unwrap();
    }

    /// Sets the StatefulSet's status, as its controller does.
    pub(crate) async fn ready(&self, member: &Cluster) {
        let sets: Api<StatefulSet> = Api::namespaced(member.client(), MEMBER);
        let set = until("the StatefulSet", || async {
            sets.get(self.role.as_str()).await.map_err(|error| error.to_string())
        })
        .await;
        let status = json!({"replicas": 1, "readyReplicas": 1, "observedGeneration": set.metadata.generation});
        let parameters = PatchParams::default();
        sets.patch_status(self.role.as_str(), &parameters, &Patch::Merge(json!({"status": status}))).await.unwrap();
    }

    /// What the hub has delivered to it.
    pub(crate) async fn config(&self, member: &Cluster) -> MemberConfig {
        let text = value(member, &custody::config::config_map(self.role), custody::config::CONFIG_KEY).await;
        serde_json::from_str(&text.unwrap()).unwrap()
    }

    /// Waits for credentials of this generation for its present key.
    pub(crate) async fn await_credentials(&self, member: &Cluster, generation: u64) -> Credentials {
        until(&format!("credentials {generation} of {}", self.role), || async {
            let text =
                value(member, &custody::config::credentials_map(self.role), custody::config::CREDENTIALS_KEY).await;
            let credentials: Credentials =
                serde_json::from_str(&text.ok_or("none")?).map_err(|error| error.to_string())?;
            if credentials.generation == generation { Ok(credentials) } else { Err(format!("{credentials:?}")) }
        })
        .await
    }

    /// Connects to the broker with these credentials and its own key.
    pub(crate) async fn connect(&self, nats: &Nats, credentials: &Credentials) -> Result<async_nats::Client, String> {
        let user = KeyPair::from_seed(&self.user.seed().unwrap()).unwrap();
        let user = std::sync::Arc::new(user);
        async_nats::ConnectOptions::with_jwt(credentials.user_jwt.clone(), move |nonce| {
            let user = user.clone();
            async move { user.sign(&nonce).map_err(async_nats::AuthError::new) }
        })
        .add_root_certificates(nats.ca_file())
        .require_tls(true)
        .tls_first()
        .ignore_discovered_servers()
        .custom_inbox_prefix(format!("_INBOX.{}", self.role))
        .connection_timeout(std::time::Duration::from_secs(5))
        .connect(nats.url())
        .await
        .map_err(|error| error.to_string())
    }
}

/// A value in a ConfigMap.
pub(crate) async fn value(cluster: &Cluster, name: &str, key: &str) -> Option<String> {
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client(), MEMBER);
    maps.get(name).await.ok()?.data.unwrap_or_else(BTreeMap::new).remove(key)
}
