//! The HTTPS side: one Vault address, only the roots named for it, explicit settings, a deadline on every call.

use std::{future::Future, marker::PhantomData, time::Duration};

use reqwest::{Certificate, Url, redirect::Policy};
use rustify::{
    clients::reqwest::Client as HttpClient,
    endpoint::Endpoint,
    enums::{RequestMethod, RequestType, ResponseType},
    errors::ClientError as Http,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use vaultrs::{
    api::{self, EndpointMiddleware},
    client::{VaultClient, VaultClientSettingsBuilder},
};
use zeroize::Zeroizing;

use crate::error::{Error, Failure, classify};

/// Longest time that one call to a Vault takes, login included.
pub const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// One HTTP exchange; shorter, so that a login that hangs is seen as failed before its callers give up.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(4);

/// A Vault's address with the roots accepted there; holds no token.
pub struct Connection {
    address: String,
    http: reqwest::Client,
}

impl Connection {
    /// For `https://host:port` and the PEM bundle of the only roots accepted. Environment variables, proxies, the
    /// system's roots and redirects (which would carry the token elsewhere) are all ignored.
    pub fn new(address: &str, ca_bundle: &str) -> Result<Self, Error> {
        let url = Url::parse(address).map_err(|e| Error::Settings(format!("'{address}' is not an address: {e}")))?;
        if url.scheme() != "https" || url.host_str().is_none() || url.path() != "/" || url.query().is_some() {
            return Err(Error::Settings(format!("'{address}' is no Vault address: expected https://host:port")));
        }
        let roots = Certificate::from_pem_bundle(ca_bundle.as_bytes())
            .map_err(|e| Error::Settings(format!("the Vault's CA bundle is no PEM: {e}")))?;
        if roots.is_empty() {
            return Err(Error::Settings("the Vault's CA bundle holds no certificate".to_owned()));
        }
        let http = reqwest::Client::builder()
            .tls_backend_rustls()
            .tls_certs_only(roots)
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .timeout(EXCHANGE_TIMEOUT)
            .build()
            .map_err(|e| Error::Settings(format!("no HTTPS client for '{address}': {e}")))?;
        Ok(Self { address: address.to_owned(), http })
    }

    /// The address as given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A client with this token; empty for calls without one.
    pub(crate) fn client(&self, token: &str) -> Result<VaultClient, Error> {
        // Every setting by name: vaultrs takes what is missing from the environment. The settings get no token, as
        // their `Debug` would print it.
        let settings = VaultClientSettingsBuilder::default()
            .address(&self.address)
            .ca_certs(Vec::new())
            .identity(None)
            .timeout(Some(EXCHANGE_TIMEOUT))
            .token("")
            .verify(true)
            .build()
            .map_err(|e| Error::Settings(e.to_string()))?;
        let middle =
            EndpointMiddleware { token: token.to_owned(), version: "v1".to_owned(), wrap: None, namespace: None };
        Ok(VaultClient { http: HttpClient::new(&self.address, self.http.clone()), middle, settings })
    }

    /// Gives any exchange with this Vault its deadline and its errors their meaning.
    pub(crate) async fn within_deadline<T>(
        &self,
        path: &str,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Error> {
        let failure = match tokio::time::timeout(CALL_DEADLINE, exchange).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::NoAnswer(format!("no answer within {} s", CALL_DEADLINE.as_secs())),
        };
        Err(classify(&self.address, path, failure))
    }
}

/// An admin's client: a connection with the token that the admin typed.
pub struct Admin {
    connection: Connection,
    client: VaultClient,
}

impl Admin {
    /// For the Vault behind `connection`, with a token that may write `sys/mounts`, `sys/auth`, `sys/policies/acl` and
    /// below the two mounts.
    pub fn new(connection: Connection, token: &Zeroizing<String>) -> Result<Self, Error> {
        let client = connection.client(token.trim())?;
        Ok(Self { connection, client })
    }

    /// The data of `path`; `None` where there is nothing.
    pub(crate) async fn read<R: DeserializeOwned + Send + Sync>(&self, path: &str) -> Result<Option<R>, Error> {
        match self.connection.within_deadline(path, Request::get(path).send(&self.client)).await {
            Ok(data) => Ok(Some(data)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes `path`.
    pub(crate) async fn write(&self, path: &str, body: &impl Serialize) -> Result<(), Error> {
        let request = Request::post(path, body)?;
        self.connection.within_deadline(path, request.send_only(&self.client)).await
    }

    /// Writes `path` for the data of the answer.
    pub(crate) async fn exchange<R>(&self, path: &str, body: &impl Serialize) -> Result<R, Error>
    where
        R: DeserializeOwned + Send + Sync,
    {
        let request = Request::post(path, body)?;
        self.connection.within_deadline(path, request.send(&self.client)).await
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.client.middle.token);
    }
}

/// One request; owns its body, so that it can be sent again after a new login.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a str,
    body: Option<Zeroizing<Vec<u8>>>,
    partial: bool,
}

impl<'a> Request<'a> {
    /// `GET path`.
    pub(crate) fn get(path: &'a str) -> Self {
        Self { path, body: None, partial: false }
    }

    /// `POST path`.
    pub(crate) fn post(path: &'a str, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|e| Error::Settings(format!("unencodable request: {e}")))?;
        Ok(Self { path, body: Some(Zeroizing::new(body)), partial: false })
    }

    /// `POST path` with a Transit batch: one with a bad item is answered 400 with all results in it, which is an answer
    /// and not a failure.
    pub(crate) fn batch(path: &'a str, body: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { partial: true, ..Self::post(path, body)? })
    }

    /// Sends it for the `data` of the answer.
    pub(crate) async fn send<R: DeserializeOwned + Send + Sync>(&self, client: &VaultClient) -> Result<R, Failure> {
        let outcome = api::exec_with_result(client, self.call()).await.map_err(Failure::from);
        if self.partial { partial(outcome) } else { outcome }
    }

    /// Sends it; the answer is empty.
    pub(crate) async fn send_only(&self, client: &VaultClient) -> Result<(), Failure> {
        Ok(api::exec_with_empty(client, self.call::<()>()).await?)
    }

    fn call<R>(&self) -> Call<'_, R> {
        Call { path: self.path, body: self.body.as_ref(), answer: PhantomData }
    }
}

fn partial<R: DeserializeOwned>(outcome: Result<R, Failure>) -> Result<R, Failure> {
    #[derive(Deserialize)]
    struct Answer<R> {
        data: R,
    }
    match outcome {
        Err(Failure::Status { code: 400, body: Some(body), errors }) => {
            let body = Zeroizing::new(body);
            match serde_json::from_str::<Answer<R>>(&body) {
                Ok(answer) => Ok(answer.data),
                Err(_) => Err(Failure::Status { code: 400, errors, body: None }),
            }
        }
        other => other,
    }
}

/// An endpoint that vaultrs does not have (batches, `config/keys`), or has only with part of its fields.
struct Call<'a, R> {
    path: &'a str,
    body: Option<&'a Zeroizing<Vec<u8>>>,
    answer: PhantomData<fn() -> R>,
}

impl<R: DeserializeOwned + Send + Sync> Endpoint for Call<'_, R> {
    type Response = R;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.to_owned()
    }

    fn method(&self) -> RequestMethod {
        if self.body.is_some() { RequestMethod::POST } else { RequestMethod::GET }
    }

    fn body(&self) -> Result<Option<Vec<u8>>, Http> {
        Ok(self.body.map(|bytes| bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn bad_request(body: &str) -> Result<Value, Failure> {
        partial(Err(Failure::Status { code: 400, errors: Vec::new(), body: Some(body.to_owned()) }))
    }

    #[test]
    fn a_batch_with_a_bad_item_is_an_answer_and_any_other_bad_request_a_failure() {
        let answer = bad_request(r#"{"data":{"batch_results":[{"plaintext":"YQ=="},{"error":"no"}]}}"#).unwrap();
        assert_eq!(answer["batch_results"].as_array().map(Vec::len), Some(2));
        assert!(bad_request("{}").is_err());
        assert!(bad_request("<html>").is_err());
    }

    #[test]
    fn only_https_to_a_host_is_an_address() {
        for bad in ["http://vault:8200", "vault:8200", "https://vault:8200/v1", "https://vault:8200?x", ""] {
            assert!(matches!(Connection::new(bad, ""), Err(Error::Settings(_))), "{bad}");
        }
        assert!(matches!(Connection::new("https://vault:8200", ""), Err(Error::Settings(_))));
    }
}
