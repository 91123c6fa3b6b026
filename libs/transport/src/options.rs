//! What a connection needs, and its translation into the client's options.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Auth, AuthError, ConnectOptions, ServerAddr};
use custody::{CustodyId, Role};
use nkeys::KeyPair;
use protocol::subject::inbox_prefix;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::sync::watch;

/// One connection attempt, name resolution and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent server is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// Messages that wait in a subscription; beyond, the client drops them. Whoever takes them out does nothing else.
const SUBSCRIPTION_CAPACITY: usize = 1024;
/// Messages that wait to be written. One may have a mebibyte, and a broker that reads nothing must not fill the memory.
const SENDER_CAPACITY: usize = 32;

/// How to reach the broker, and as whom.
#[derive(Clone)]
pub struct Options {
    /// `tls://host:port`, all of them; none is learnt from the broker.
    pub urls: Vec<String>,
    /// PEM of the only roots accepted for the broker.
    pub ca_pem: String,
    /// The custody whose subjects are spoken on.
    pub custody: CustodyId,
    /// Who speaks: also the NATS user's name, so the inbox is `_INBOX.<role>`.
    pub role: Role,
    /// The user's NKey, with its seed.
    pub nkey: KeyPair,
    /// The newest user JWT for that NKey. Another value makes the connection log in anew with it.
    pub jwt: watch::Receiver<String>,
}

/// Why no connection can ever be made with these options.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// None, without TLS, or not an address.
    #[error("'{0}' is not an address of the broker; expected tls://host:port")]
    Url(String),
    /// Not PEM, no certificate in it, or not one that can be a root.
    #[error("the broker's CA bundle is not usable: {0}; expected one or more PEM certificates")]
    Ca(String),
    /// The client refused its options.
    #[error("the NATS client refused its options: {0}")]
    Client(String),
}

pub(crate) fn servers(urls: &[String]) -> Result<Vec<ServerAddr>, ConnectError> {
    if urls.is_empty() {
        return Err(ConnectError::Url(String::new()));
    }
    let server = |url: &String| match url.parse::<ServerAddr>() {
        Ok(server) if server.tls_required() && !server.has_user_pass() => Ok(server),
        _ => Err(ConnectError::Url(url.clone())),
    };
    urls.iter().map(server).collect()
}

/// Everything but servers and event callback. Once `closed` is set, no further attempt to connect is made: the client
/// itself would go on for ever.
pub(crate) fn client_options(options: &Options, closed: Arc<AtomicBool>) -> Result<ConnectOptions, ConnectError> {
    let (jwt, nkey) = (options.jwt.clone(), Arc::new(options.nkey.clone()));
    let login = move |nonce: Vec<u8>| {
        let (jwt, nkey) = (jwt.clone(), nkey.clone());
        async move {
            let mut auth = Auth::new();
            auth.signature = Some(nkey.sign(&nonce).map_err(AuthError::new)?);
            auth.jwt = Some(jwt.borrow().clone());
            Ok(auth)
        }
    };
    let reconnect_delay = move |attempts| {
        let failures = u32::try_from(attempts).unwrap_or(u32::MAX);
        if closed.load(Ordering::Relaxed) { Duration::MAX } else { backoff::delay(failures) }
    };
    Ok(ConnectOptions::with_auth_callback(login)
        .name(options.role)
        .tls_client_config(tls(&options.ca_pem)?)
        .require_tls(true)
        .tls_first()
        .ignore_discovered_servers()
        .custom_inbox_prefix(inbox_prefix(options.role))
        .subscription_capacity(SUBSCRIPTION_CAPACITY)
        .client_capacity(SENDER_CAPACITY)
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .reconnect_delay_callback(reconnect_delay)
        .retry_on_initial_connect())
}

/// TLS with the given roots and no others.
fn tls(ca_pem: &str) -> Result<ClientConfig, ConnectError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        let certificate = certificate.map_err(|error| ConnectError::Ca(error.to_string()))?;
        roots.add(certificate).map_err(|error| ConnectError::Ca(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(ConnectError::Ca("it holds no certificate".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Client(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_addresses_are_taken() {
        let parsed = |urls: &[&str]| servers(&urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>());
        assert_eq!(parsed(&["tls://a:4222", "tls://b:443"]).unwrap().len(), 2);
        for bad in [&[][..], &["nats://a:4222"], &["a:4222"], &["tls://a:4222", "ws://b"], &["tls://user:word@a"]] {
            assert!(matches!(parsed(bad), Err(ConnectError::Url(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_bundle_without_certificates_is_refused() {
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for bad in ["", "rubbish", damaged] {
            assert!(matches!(tls(bad), Err(ConnectError::Ca(_))), "{bad:?}");
        }
    }
}
