//! An App that may be killed.

use std::{
    path::Path,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use chain::{ChainClient, Journal};
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

use super::{
    home::{SHOP, SHOP_TOKEN},
    signers::{TestSigners, TestTransport},
};
use crate::{app::App, config::Settings, http, jobs, metrics::Metrics, run, signers::Signers};

const DEADLINE: Duration = Duration::from_secs(60);

pub(super) struct RunningApp {
    runtime: Option<Runtime>,
    base: String,
    /// Of health and metrics.
    health: String,
    http: reqwest::Client,
    app: Weak<App>,
}

impl RunningApp {
    /// On the database that is there; serves.
    pub(super) async fn start(
        settings: Settings,
        connect: impl FnOnce(&Settings, Arc<dyn Journal>) -> anyhow::Result<Arc<dyn ChainClient>>,
        signers: Arc<TestSigners>,
    ) -> Self {
        let running = Self::start_locked(settings, connect, signers).await;
        running.unlocked().await;
        running
    }

    /// Once it has read the signers' records.
    pub(super) async fn unlocked(&self) {
        while self.app.upgrade().unwrap().health.locked().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A copy of the database, while App runs.
    pub(super) async fn copy_to(&self, file: &Path) {
        self.app.upgrade().unwrap().store.copy_to(file).await.unwrap();
    }

    /// On the database that is there; it may be locked.
    pub(super) async fn start_locked(
        settings: Settings,
        connect: impl FnOnce(&Settings, Arc<dyn Journal>) -> anyhow::Result<Arc<dyn ChainClient>>,
        signers: Arc<TestSigners>,
    ) -> Self {
        let transport = Box::new(TestTransport(signers));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (metrics, _) = Metrics::new();
        let app = Arc::new(run::app(settings, connect, Signers::new(transport, metrics.clone()), metrics).unwrap());
        let weak = Arc::downgrade(&app);
        let served = runtime.spawn(async move {
            tokio::spawn(jobs::recover(app.clone()));
            tokio::spawn(jobs::relay(app.clone()));
            let bind = async || {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let base = format!("http://{}", listener.local_addr().unwrap());
                (listener, base)
            };
            let ((listener, base), (probed, health)) = (bind().await, bind().await);
            tokio::spawn(workload::health::serve(probed, app.clone()));
            tokio::spawn(axum::serve(listener, http::router(app)).into_future());
            (base, health)
        });
        let (base, health) = served.await.unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        Self { runtime: Some(runtime), base, health, http, app: weak }
    }

    /// Ends App wherever it is.
    pub(super) async fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
    }

    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {body:?}")))
    }

    /// Of the usual caller.
    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request_by(Some(SHOP_TOKEN), method, path)
    }

    /// Of a caller with this token, or of nobody.
    pub(super) fn request_by(&self, token: Option<&str>, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.base));
        token.into_iter().fold(request, |request, token| request.bearer_auth(token))
    }

    /// From the port of health and metrics, which asks for no token.
    pub(super) fn probe(&self, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("{}{path}", self.health))
    }

    pub(super) async fn post(&self, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
        let mut request = self.request("POST", path).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request).await
    }

    pub(super) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request("GET", path)).await
    }

    pub(super) async fn text(&self, path: &str) -> String {
        self.probe(path).send().await.unwrap().text().await.unwrap()
    }

    /// A payment that is accepted; its id.
    pub(super) async fn pay(&self, key: &str, wallet: &str, to: &str, asset: &str, amount: u128) -> String {
        let body = json!({"wallet": wallet, "to": to, "asset": asset, "amount": amount.to_string()});
        let (status, accepted) = self.post("/payments", Some(key), body).await;
        assert_eq!(status, 202, "{accepted:#}");
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// The payment once it fulfils `condition`.
    pub(super) async fn until(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let (_, payment) = self.get(&format!("/payments/{id}")).await;
            if condition(&payment) {
                return payment;
            }
            assert!(Instant::now() < deadline, "not in time: {payment:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The payment once it has this status.
    pub(super) async fn reaches(&self, id: &str, status: &str) -> Value {
        self.until(id, |payment| payment["status"] == status).await
    }

    /// The payment once it has ended.
    pub(super) async fn ended(&self, id: &str) -> Value {
        let ends = ["confirmed", "refused", "failed", "cancelled"];
        self.until(id, |payment| ends.contains(&payment["status"].as_str().unwrap())).await
    }

    /// A payment, made.
    pub(super) async fn paid(&self, key: &str, wallet: &str, amount: u128) -> Value {
        let payment = self.ended(&self.pay(key, wallet, SHOP, "ETH", amount).await).await;
        assert_eq!(payment["status"], "confirmed", "{payment:#}");
        payment
    }
}

impl Drop for RunningApp {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
