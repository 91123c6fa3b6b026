//! JSON-RPC over HTTP to one node: one POST a packet, repeated with patience where the node could not take it. alloy's
//! own HTTP transport reads answers of any length, so this one stands in its place.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::{RequestPacket, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};
use rand_core::{OsRng, RngCore};
use reqwest::header::RETRY_AFTER;
use tokio::sync::Semaphore;
use tower::{
    Service, ServiceExt,
    retry::{Policy, Retry},
};

use crate::fault;

/// Time for one request, with its answer.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests at a time to one node.
const CONCURRENCY: usize = 64;
/// Largest answer that is read, bytes.
const LONGEST_ANSWER: usize = 16 << 20;

/// A transport to one node that asks again where the node says "later".
#[derive(Clone)]
pub(crate) struct Patient(Retry<Patience, Post>);

impl Patient {
    /// Asks at most `tries` times before an error is told.
    pub(crate) fn new(url: reqwest::Url, tries: u32) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let permits = Arc::new(Semaphore::new(CONCURRENCY));
        Ok(Self(Retry::new(Patience { left: tries.saturating_sub(1), failures: 0 }, Post { http, url, permits })))
    }
}

impl Service<RequestPacket> for Patient {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.0.clone().oneshot(packet))
    }
}

/// How often a request is repeated, and after how long.
#[derive(Clone)]
struct Patience {
    left: u32,
    failures: u32,
}

impl Policy<RequestPacket, ResponsePacket, TransportError> for Patience {
    type Future = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn retry(
        &mut self,
        packet: &mut RequestPacket,
        result: &mut Result<ResponsePacket, TransportError>,
    ) -> Option<Self::Future> {
        let asked = fault::later(result)?;
        // A provider that counts what is in a batch may never take all of it at once.
        if self.failures > 0 && matches!(packet, RequestPacket::Batch(_)) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.failures += 1;
        Some(Box::pin(tokio::time::sleep(pause(self.failures, asked, OsRng.next_u32()))))
    }

    fn clone_request(&mut self, packet: &RequestPacket) -> Option<RequestPacket> {
        Some(packet.clone())
    }
}

/// As long as the schedule says, or as the node asks for if that is longer, but not for ever.
fn pause(failures: u32, asked: Option<Duration>, random: u32) -> Duration {
    backoff::jittered(failures, random).max(asked.unwrap_or_default()).min(backoff::MAX_DELAY)
}

/// One POST.
#[derive(Clone)]
struct Post {
    http: reqwest::Client,
    url: reqwest::Url,
    permits: Arc<Semaphore>,
}

impl Service<RequestPacket> for Post {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let post = self.clone();
        Box::pin(async move { post.send(packet).await })
    }
}

impl Post {
    async fn send(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let _permit = self.permits.acquire().await.map_err(TransportErrorKind::custom)?;
        let body = serde_json::to_vec(&packet).map_err(TransportError::ser_err)?;
        let request = self.http.post(self.url.clone()).header("content-type", "application/json").body(body);
        let mut response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(unanswered)? {
            if body.len() + part.len() > LONGEST_ANSWER {
                let message = format!("the answer is longer than {} MiB", LONGEST_ANSWER >> 20);
                return Err(TransportErrorKind::non_retryable_str(&message));
            }
            body.extend_from_slice(&part);
        }
        let text = String::from_utf8_lossy(&body);
        // Whatever the body says, such a status is about the request and not about the chain.
        if status.as_u16() == 429 || status.is_server_error() {
            let wait = wait.map(Duration::from_secs);
            return Err(TransportErrorKind::http_error_with_retry_after(status.as_u16(), text.into(), wait));
        }
        match serde_json::from_str(&text) {
            // Some nodes put a JSON-RPC error into another 4xx: the body says more than the status.
            Ok::<ResponsePacket, _>(answer) if status.is_success() || answer.is_error() => paired(&packet, answer),
            Err(error) if status.is_success() => Err(TransportError::deser_err(error, "")),
            _ => Err(TransportErrorKind::http_error(status.as_u16(), text.into())),
        }
    }
}

/// The answer belongs to the request. A node that refuses a whole batch answers with one error.
fn paired(request: &RequestPacket, answer: ResponsePacket) -> Result<ResponsePacket, TransportError> {
    match (request, answer) {
        (RequestPacket::Batch(_), ResponsePacket::Single(single)) => match single.payload.try_into_success() {
            Err(refused) => Err(TransportError::ErrorResp(refused)),
            Ok(_) => Err(TransportErrorKind::non_retryable_str("one answer to a batch")),
        },
        (RequestPacket::Single(_), ResponsePacket::Batch(_)) => {
            Err(TransportErrorKind::non_retryable_str("a batch of answers to one request"))
        }
        (RequestPacket::Single(asked), ResponsePacket::Single(answer))
            if answer.is_success() && answer.id != *asked.id() =>
        {
            Err(TransportErrorKind::non_retryable_str("an answer to another request"))
        }
        (_, answer) => Ok(answer),
    }
}

/// The URL may hold a provider's key: no error shows it.
fn unanswered(error: reqwest::Error) -> TransportError {
    let waited = error.is_timeout() && !error.is_connect();
    let error = error.without_url();
    let text = words(&error);
    match waited {
        // The node has had its time.
        true => TransportErrorKind::non_retryable_str(&text),
        false => TransportErrorKind::custom_str(&text),
    }
}

/// An error with its causes, in one line.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_given_the_time_that_it_asks_for_up_to_a_limit() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(2, None, 0), Duration::from_millis(500));
        assert_eq!(pause(2, None, u32::MAX), Duration::from_millis(250));
        assert_eq!(pause(1, Some(seconds(3)), u32::MAX), seconds(3));
        assert_eq!(pause(1, Some(seconds(3_600)), 0), backoff::MAX_DELAY);
        assert_eq!(pause(9, Some(seconds(1)), 0), backoff::MAX_DELAY);
    }
}
