//! Vault Transit's ed25519 signature over HTTPS: no policy, no history, nothing durable. Bare: the root token, one key, no
//! audit device. Audited: as a company would run it, with an audit file, a token that may only sign, and a derived key for
//! each user.

use acceptance::load::{Load, Run};
use anyhow::{Context, Result, ensure};
use data_encoding::BASE64;
use harness::vault::Vault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::ours::{BATCH, unsigned};

/// Where the keys are.
const MOUNT: &str = "bench";
/// The audit device.
const AUDIT: &str = "sys/audit/bench";

#[derive(Clone)]
pub(crate) struct Transit {
    http: reqwest::Client,
    url: String,
    token: String,
    input: Value,
    /// Derived keys: the context of a worker's user.
    derived: bool,
}

impl Transit {
    pub(crate) async fn bare(vault: &Vault) -> Result<Self> {
        let body = json!({"type": "transit"});
        vault.call(Method::POST, &format!("sys/mounts/{MOUNT}"), Some(&body)).await?;
        let key = json!({"type": "ed25519"});
        vault.call(Method::POST, &format!("{MOUNT}/keys/bare"), Some(&key)).await?;
        Self::of(vault, "bare", vault.root_token().to_owned(), false)
    }

    /// After [`Transit::bare`], which mounts the engine.
    pub(crate) async fn scoped(vault: &Vault) -> Result<Self> {
        let key = json!({"type": "ed25519", "derived": true});
        vault.call(Method::POST, &format!("{MOUNT}/keys/derived"), Some(&key)).await?;
        let rule = format!("path \"{MOUNT}/sign/derived\" {{ capabilities = [\"update\"] }}");
        vault.call(Method::PUT, "sys/policies/acl/bench", Some(&json!({"policy": rule}))).await?;
        let asked = json!({"policies": ["bench"], "no_parent": true, "ttl": "12h"});
        let made = vault.call(Method::POST, "auth/token/create", Some(&asked)).await?;
        let token = made["auth"]["client_token"].as_str().context("a token")?.to_owned();
        Self::of(vault, "derived", token, true)
    }

    fn of(vault: &Vault, key: &str, token: String, derived: bool) -> Result<Self> {
        Ok(Self {
            http: harness::tls::http_client(vault.ca_pem())?,
            url: format!("{}/v1/{MOUNT}/sign/{key}", vault.address()),
            token,
            input: json!(BASE64.encode(&unsigned(0)?)),
            derived,
        })
    }

    pub(crate) async fn run(&self, load: Load, batched: bool) -> Result<Run> {
        let transit = self.clone();
        load.run(if batched { BATCH } else { 1 }, move |worker| {
            let transit = transit.clone();
            async move { transit.sign(worker, batched).await }
        })
        .await
    }

    /// With the audit file on for as long as it runs: Keeper, which takes turns with it, opens its keys by the same Vault.
    pub(crate) async fn audited(&self, vault: &Vault, load: Load, batched: bool) -> Result<Run> {
        let file = vault.ca_file().with_file_name("audit.log");
        let device = json!({"type": "file", "options": {"file_path": file}});
        vault.call(Method::PUT, AUDIT, Some(&device)).await?;
        let run = self.run(load, batched).await;
        vault.call(Method::DELETE, AUDIT, None).await?;
        ensure!(std::fs::metadata(&file)?.len() > 0, "nothing was audited");
        std::fs::remove_file(file)?;
        run
    }

    async fn sign(&self, worker: usize, batched: bool) -> Result<()> {
        let one = |place: usize| {
            let mut item = json!({"input": self.input});
            if self.derived {
                item["context"] = json!(BASE64.encode(format!("user {worker} {place}").as_bytes()));
            }
            item
        };
        let body = match batched {
            true => json!({"batch_input": (0..BATCH).map(one).collect::<Vec<_>>()}),
            false => one(0),
        };
        let answer = self.http.post(&self.url).header("X-Vault-Token", &self.token).json(&body).send().await?;
        ensure!(answer.status().is_success(), "Transit answers {}", answer.status());
        let answer: Value = answer.json().await?;
        let data = &answer["data"];
        ensure!(data["signature"].is_string() || data["batch_results"].is_array(), "Transit signs");
        Ok(())
    }
}
