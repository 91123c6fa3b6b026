//! App's owner at work, and users talking to App over HTTP.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use custody::identity::Identity;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Commands, hub::NatsAccess};

/// The owner's folder: identity, trust file, relayer key.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The folder.
    pub folder: PathBuf,
    /// What App says of its keys, with proof.
    pub identity: Identity,
    /// What its owner reads out to the admins.
    pub fingerprint: String,
}

impl Owner {
    /// `app identity`: makes App's keys once.
    pub async fn create(commands: &Commands, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let said = commands.command("app").words("identity --dir").arg(folder.join("identity")).succeed().await?;
        let identity: Identity = serde_json::from_str(&said.stdout).context("app identity prints an identity")?;
        fs::write(folder.join("identity.json"), &said.stdout)?;
        let fingerprint = custody::identity::fingerprint(identity.role, &identity.keys);
        Ok(Self { folder: folder.to_owned(), identity, fingerprint })
    }

    /// `app token`: a caller's token, and its line for the callers' file.
    pub async fn token(&self, commands: &Commands, name: &str) -> Result<Token> {
        let made = commands.command("app").words("token --scope read,wallets,pay --name").arg(name).succeed().await?;
        serde_json::from_str(&made.stdout).context("app token prints a token and its line")
    }

    /// The file that App's owner sends to both admins.
    pub fn identity_file(&self) -> PathBuf {
        self.folder.join("identity.json")
    }
}

/// What `app token` prints.
#[derive(Debug, Clone, Deserialize)]
pub struct Token {
    /// For the caller.
    pub token: String,
    /// For the callers' file.
    pub line: String,
}

/// What App's own trust file names.
#[derive(Debug, Clone)]
pub struct TrustFile<'a> {
    /// Where App keeps its database.
    pub data_dir: &'a str,
    /// Where its API listens.
    pub listen: &'a str,
    /// Where health and metrics are.
    pub health_listen: &'a str,
    /// File or mount of the callers' file.
    pub callers_file: &'a str,
    /// Folder or mount with its identity.
    pub identity_dir: &'a str,
    /// The manifest's file or mount.
    pub manifest_file: &'a str,
    /// Its pinned digest.
    pub manifest_digest: &'a str,
    /// The custody.
    pub custody_id: &'a str,
    /// Keeper's and Cooler's identities, as their admins told them.
    pub keeper: &'a Identity,
    /// Cooler's.
    pub cooler: &'a Identity,
    /// The broker.
    pub nats: &'a NatsAccess,
    /// File or mount of the broker's roots.
    pub nats_ca_file: &'a str,
    /// File or mount of the JWT that the hub minted.
    pub credentials_file: &'a str,
    /// EVM chain id.
    pub chain_id: u64,
    /// The node, as App reaches it.
    pub rpc: &'a str,
    /// `chain.assets`.
    pub assets: Value,
    /// File or mount of the relayer's key.
    pub relayer_key_file: &'a str,
    /// Whether Keeper seals by client keys.
    pub client_keys: bool,
}

impl TrustFile<'_> {
    /// The configuration of `app run`.
    pub fn json(&self) -> Value {
        json!({
            "listen": self.listen,
            "healthListen": self.health_listen,
            "callersFile": self.callers_file,
            "dataDir": self.data_dir,
            "identityDir": self.identity_dir,
            "custodyId": self.custody_id,
            "manifestFile": self.manifest_file,
            "manifestDigest": self.manifest_digest,
            "signers": {"keeper": [self.keeper.keys], "cooler": [self.cooler.keys]},
            "nats": {"urls": [self.nats.url], "caFile": self.nats_ca_file},
            "credentialsFile": self.credentials_file,
            "chain": {"id": format!("eip155:{}", self.chain_id), "nodes": [self.rpc], "finality": {"depth": 0}, "assets": self.assets},
            "relayerKeyFile": self.relayer_key_file,
            "clientKeys": self.client_keys,
        })
    }
}

/// App's HTTP API, as a user's frontend calls it.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    health: String,
    token: String,
    http: reqwest::Client,
}

impl Api {
    /// `base` of the API and `health` of health and metrics are `http://HOST:PORT`; the token is the caller's.
    pub fn new(base: impl Into<String>, health: impl Into<String>, token: impl Into<String>) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy().build()?;
        Ok(Self { base: base.into(), health: health.into(), token: token.into(), http })
    }

    /// Waits until App is ready; the last answer is in the error.
    pub async fn await_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let said = match self.http.get(format!("{}/readyz", self.health)).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            if Instant::now() > deadline {
                bail!("App did not become ready in 120 s: {said}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// POST; status code and body.
    pub async fn post(&self, path: &str, key: Option<&str>, body: Value) -> Result<(u16, Value)> {
        let mut request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// GET; status code and body.
    pub async fn get(&self, path: &str) -> Result<(u16, Value)> {
        let answer = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token).send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// A new wallet.
    pub async fn create_wallet(&self, id: &str) -> Result<Value> {
        let (status, body) = self.post("/wallets", None, json!({"id": id})).await?;
        anyhow::ensure!(status == 201, "POST /wallets answered {status}: {body}");
        Ok(body)
    }

    /// A payment, accepted; returns its id.
    pub async fn pay(&self, key: &str, wallet: &str, to: &str, asset: &str, amount: &str) -> Result<String> {
        let body = json!({"wallet": wallet, "to": to, "asset": asset, "amount": amount});
        let (status, body) = self.post("/payments", Some(key), body).await?;
        anyhow::ensure!(status == 202 || status == 200, "POST /payments answered {status}: {body}");
        Ok(body["id"].as_str().context("a payment has an id")?.to_owned())
    }

    /// Waits until a payment has ended, however; returns it.
    pub async fn await_end(&self, id: &str) -> Result<Value> {
        self.await_status(id, &["confirmed", "refused", "failed", "cancelled"]).await
    }

    /// Waits until a payment has one of these statuses; returns it.
    pub async fn await_status(&self, id: &str, statuses: &[&str]) -> Result<Value> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let (_, payment) = self.get(&format!("/payments/{id}")).await?;
            let status = payment["status"].as_str().unwrap_or_default();
            if statuses.contains(&status) {
                return Ok(payment);
            }
            if Instant::now() > deadline {
                bail!("payment {id} is not {} after 120 s: {payment:#}", statuses.join(" or "));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
