//! A Vault server as in production, but for its single unseal key: file storage, TLS, initialised, unsealed.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Options, files, ports,
    process::{Server, Spec},
    run::Folder,
    servers,
    tls::{self, Authority},
};

const READY: Duration = Duration::from_secs(120);
const GRACE: Duration = Duration::from_secs(10);

/// A Vault. It ends when this is dropped, unless it is detached.
pub struct Vault {
    state: State,
    keys: Keys,
    ca_pem: String,
    http: reqwest::Client,
    server: Server,
    folder: Folder,
}

/// Kept in the folder, so that the Vault is the same when found again.
#[derive(Serialize, Deserialize)]
struct State {
    bind: IpAddr,
    port: u16,
    detached: bool,
}

/// What initialising gave; in a file of its own, since it comes later than the first start.
#[derive(Serialize, Deserialize)]
struct Keys {
    root_token: String,
    unseal_key: String,
}

impl Vault {
    /// Starts a Vault, or the one that lives in the folder given, and waits until it is unsealed.
    pub async fn start(options: Options) -> Result<Self> {
        let folder = Folder::new("vault", options.folder.clone())?;
        if files::load_state::<State>(folder.path())?.is_none() {
            found(folder.path(), &options)?;
        }
        let (state, ca_pem, http, server) = parts(folder.path()).await?;
        ensure!(state.bind == options.bind, "{} was made for {}: remove it", folder.path().display(), state.bind);
        server.start()?;
        let keys = initialised(folder.path(), &http, &address(&state), &server).await?;
        let vault = Self { state, keys, ca_pem, http, server, folder };
        vault.unseal().await?;
        Ok(vault)
    }

    /// The Vault that lives in `folder`, running or not, sealed or not.
    pub async fn open(folder: &Path) -> Result<Self> {
        let folder = Folder::new("vault", Some(folder.to_owned()))?;
        let (state, ca_pem, http, server) = parts(folder.path()).await?;
        let keys = serde_json::from_str(&files::read(&keys_file(folder.path()))?)?;
        Ok(Self { state, keys, ca_pem, http, server, folder })
    }

    /// `https://host:port`.
    pub fn address(&self) -> String {
        address(&self.state)
    }

    /// The authority of the Vault's certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The same as a file.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The admin's token, with all rights.
    pub fn root_token(&self) -> &str {
        &self.keys.root_token
    }

    /// One call of the HTTP API with the root token; `path` without `/v1/`. The answer's JSON, null where it has none.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let token = Some(self.root_token());
        call(&self.http, &self.address(), token, method, path, body).await
    }

    /// Seals it: every call but unsealing is refused with 503.
    pub async fn seal(&self) -> Result<()> {
        self.call(Method::PUT, "sys/seal", None).await.map(drop)
    }

    /// Unseals it, and waits until it serves.
    pub async fn unseal(&self) -> Result<()> {
        let key = json!({"key": self.keys.unseal_key});
        let serving = || async {
            let status = self.call(Method::GET, "sys/seal-status", None).await?;
            if status["sealed"] != json!(false) {
                self.call(Method::PUT, "sys/unseal", Some(&key)).await?;
            }
            // 200 only when initialised, unsealed and active.
            self.call(Method::GET, "sys/health", None).await.map(drop)
        };
        self.server.ready(READY, serving).await
    }

    /// Whether the process runs.
    pub fn runs(&self) -> bool {
        self.server.runs()
    }

    /// Ends the process; data and port stay.
    pub async fn stop(&self) {
        self.server.stop(GRACE).await;
    }

    /// Starts it unless it runs, and unseals it.
    pub async fn start_again(&self) -> Result<()> {
        self.server.start()?;
        self.unseal().await
    }

    /// Starts it unless it runs and leaves it sealed, as a restarted Vault is.
    pub async fn start_sealed(&self) -> Result<()> {
        self.server.start()?;
        let answers = || async { self.call(Method::GET, "sys/seal-status", None).await.map(drop) };
        self.server.ready(READY, answers).await
    }

    /// A blackhole: accepts and never answers.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// The end of the blackhole.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// The server's output.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

async fn parts(folder: &Path) -> Result<(State, String, reqwest::Client, Server)> {
    let state = files::load_state::<State>(folder)?;
    let state = state.with_context(|| format!("no Vault lives in {}", folder.display()))?;
    let ca_pem = files::read(&folder.join("ca.crt"))?;
    let http = tls::http_client(&ca_pem)?;
    let binary = servers::built("vault").await?.join("vault");
    let config = format!("-config={}", folder.join("vault.json").display());
    let spec = Spec::new("vault", binary, folder).args(["server".to_owned(), config]);
    let server = Server::new(spec.detached(state.detached));
    Ok((state, ca_pem, http, server))
}

fn address(state: &State) -> String {
    format!("https://{}:{}", state.bind, state.port)
}

fn keys_file(folder: &Path) -> PathBuf {
    folder.join("keys.json")
}

/// Makes certificate and configuration of a new Vault.
fn found(folder: &Path, options: &Options) -> Result<()> {
    let authority = Authority::new("harness Vault")?;
    let certificate = authority.issue(&["localhost"], &options.certificate_ips())?;
    files::write_private(&folder.join("ca.crt"), authority.pem())?;
    files::write_private(&folder.join("server.crt"), certificate.certificate)?;
    files::write_private(&folder.join("server.key"), certificate.key)?;
    let state = State { bind: options.bind, port: ports::free(options.bind)?, detached: options.detached };
    let config = json!({
        "storage": {"file": {"path": folder.join("data")}},
        "listener": [{"tcp": {
            "address": format!("{}:{}", state.bind, state.port),
            "tls_cert_file": folder.join("server.crt"),
            "tls_key_file": folder.join("server.key"),
        }}],
        "api_addr": address(&state),
        // A container's root may not lock memory, and these keys are worth nothing.
        "disable_mlock": true,
        "ui": false,
    });
    files::write_private(&folder.join("vault.json"), serde_json::to_vec_pretty(&config)?)?;
    files::save_state(folder, &state)
}

/// Root token and unseal key: those of the folder, or new ones of a Vault that has none yet.
async fn initialised(folder: &Path, http: &reqwest::Client, address: &str, server: &Server) -> Result<Keys> {
    #[derive(Deserialize)]
    struct Answer {
        keys_base64: [String; 1],
        root_token: String,
    }
    let status = || call(http, address, None, Method::GET, "sys/init", None);
    if server.ready(READY, status).await?["initialized"] == json!(true) {
        let lost = || format!("this Vault was initialised, but its keys were not kept: remove {}", folder.display());
        return Ok(serde_json::from_str(&files::read(&keys_file(folder)).with_context(lost)?)?);
    }
    let shares = json!({"secret_shares": 1, "secret_threshold": 1});
    let answer = call(http, address, None, Method::PUT, "sys/init", Some(&shares)).await?;
    let Answer { keys_base64: [unseal_key], root_token } = serde_json::from_value(answer)?;
    let keys = Keys { root_token, unseal_key };
    files::write_private(&keys_file(folder), serde_json::to_vec_pretty(&keys)?)?;
    Ok(keys)
}

async fn call(
    http: &reqwest::Client,
    address: &str,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value> {
    let mut request = http.request(method.clone(), format!("{address}/v1/{path}"));
    if let Some(token) = token {
        request = request.header("X-Vault-Token", token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "Vault answers {status} to {method} {path}: {text}");
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
}
