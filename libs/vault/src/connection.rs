//! The HTTPS side: one Vault address, only the roots named for it, explicit settings, a deadline on every call.

use std::{future::Future, marker::PhantomData, time::Duration};

use reqwest::{Certificate, Url, redirect::Policy};
use rustify::{
    clients::reqwest::Client as HttpClient,
    endpoint::Endpoint,
    enums::{RequestMethod, RequestType, ResponseType},
    errors::ClientError as Http,
};
use serde::{Serialize, de::DeserializeOwned};
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
        let url = Url::parse(address).map_err(|e| Error::Settings(format!("'{address}' is no address: {e}")))?;
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
        match self.connection.within_deadline(path, get(&self.client, path)).await {
            Ok(data) => Ok(Some(data)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes `path`.
    pub(crate) async fn write(&self, path: &str, body: &impl Serialize) -> Result<(), Error> {
        self.connection.within_deadline(path, post(&self.client, path, body)).await
    }

    /// Writes `path` for the data of the answer.
    pub(crate) async fn exchange<R>(&self, path: &str, body: &impl Serialize) -> Result<R, Error>
    where
        R: DeserializeOwned + Send + Sync,
    {
        self.connection.within_deadline(path, exchange(&self.client, path, body)).await
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.client.middle.token);
    }
}

/// `GET path`, the answer's `data`.
pub(crate) async fn get<R: DeserializeOwned + Send + Sync>(client: &VaultClient, path: &str) -> Result<R, Failure> {
    let call = Call { method: RequestMethod::GET, path, body: None, answer: PhantomData };
    Ok(api::exec_with_result(client, call).await?)
}

/// `POST path`, no answer wanted.
pub(crate) async fn post(client: &VaultClient, path: &str, body: &impl Serialize) -> Result<(), Failure> {
    let call = Call::<()> { method: RequestMethod::POST, path, body: Some(encode(body)?), answer: PhantomData };
    Ok(api::exec_with_empty(client, call).await?)
}

/// `POST path`, the answer's `data`.
pub(crate) async fn exchange<R>(client: &VaultClient, path: &str, body: &impl Serialize) -> Result<R, Failure>
where
    R: DeserializeOwned + Send + Sync,
{
    let call = Call { method: RequestMethod::POST, path, body: Some(encode(body)?), answer: PhantomData };
    Ok(api::exec_with_result(client, call).await?)
}

fn encode(body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    serde_json::to_vec(body).map(Zeroizing::new).map_err(|e| Failure::NoAnswer(format!("unencodable request: {e}")))
}

/// An endpoint that vaultrs does not have (batches, `config/keys`), or has only with part of its fields.
struct Call<'a, R> {
    method: RequestMethod,
    path: &'a str,
    body: Option<Zeroizing<Vec<u8>>>,
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
        self.method.clone()
    }

    fn body(&self) -> Result<Option<Vec<u8>>, Http> {
        Ok(self.body.as_ref().map(|bytes| bytes.to_vec()))
    }
}
