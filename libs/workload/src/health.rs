//! `/livez`, `/readyz`, `/metrics`: for the kubelet and Prometheus of this cluster. Nothing here changes anything.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde::Serialize;
use tokio::net::TcpListener;

/// What `/readyz` answers: 200 while it serves, else 503.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// A name that stays.
    pub state: String,
    /// What is missing and what to do.
    pub message: String,
    /// Whether it serves.
    #[serde(skip)]
    pub serves: bool,
}

/// A workload, as kubelet and Prometheus ask it.
pub trait Probed: Send + Sync + 'static {
    /// Why there are no figures at the moment.
    type Failure: IntoResponse;

    /// Whether it serves, and if not, why.
    fn readiness(&self) -> Readiness;

    /// The present figures, see [`text`].
    fn figures(&self) -> impl Future<Output = Result<String, Self::Failure>> + Send;
}

/// The three routes, to be merged with others where there are any.
pub fn routes<P: Probed, S: Clone + Send + Sync + 'static>(probed: Arc<P>) -> Router<S> {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready::<P>))
        .route("/metrics", get(figures::<P>))
        .with_state(probed)
}

/// Serves these routes alone until the task is dropped.
pub async fn serve<P: Probed>(listener: TcpListener, probed: Arc<P>) -> std::io::Result<()> {
    axum::serve(listener, routes::<P, ()>(probed)).await
}

/// All figures of a registry, in the OpenMetrics text format.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, registry);
    text
}

async fn ready<P: Probed>(State(probed): State<Arc<P>>) -> Response {
    let readiness = probed.readiness();
    let code = if readiness.serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

async fn figures<P: Probed>(State(probed): State<Arc<P>>) -> Response {
    match probed.figures().await {
        Ok(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use prometheus_client::metrics::counter::Counter;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    struct Workload(bool);

    impl Probed for Workload {
        type Failure = Infallible;

        fn readiness(&self) -> Readiness {
            let state = if self.0 { "Serving" } else { "Disconnected" };
            Readiness { state: state.to_owned(), message: "why".to_owned(), serves: self.0 }
        }

        async fn figures(&self) -> Result<String, Infallible> {
            let mut registry = Registry::with_prefix("some");
            registry.register("things", "Things", Counter::<u64>::default());
            Ok(text(&registry))
        }
    }

    /// The whole answer, head and body.
    async fn get(serves: bool, path: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, Arc::new(Workload(serves))));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        server.abort();
        answer
    }

    #[tokio::test]
    async fn it_is_alive_anyway_and_ready_only_while_it_serves() {
        assert!(get(false, "/livez").await.starts_with("HTTP/1.1 200 "));
        let waiting = get(false, "/readyz").await;
        assert!(waiting.starts_with("HTTP/1.1 503 "), "{waiting}");
        assert!(waiting.ends_with(r#"{"state":"Disconnected","message":"why"}"#), "{waiting}");
        let serving = get(true, "/readyz").await;
        assert!(serving.starts_with("HTTP/1.1 200 "), "{serving}");
        assert!(serving.ends_with(r#"{"state":"Serving","message":"why"}"#), "{serving}");
    }

    #[tokio::test]
    async fn figures_are_openmetrics() {
        let answer = get(true, "/metrics").await;
        assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
        assert!(answer.contains("some_things_total 0") && answer.ends_with("# EOF\n"), "{answer}");
    }
}
