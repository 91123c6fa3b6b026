//! Certificates for the test servers.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

/// A certificate authority of its own for one server.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its private key, PEM.
pub struct ServerCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its PKCS#8 key.
    pub key: String,
}

impl Authority {
    /// A new authority called `name`.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a server that is reached by these names and addresses.
    pub fn issue(&self, names: &[&str], ips: &[IpAddr]) -> Result<ServerCertificate> {
        self.certify(names, ips, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client of this name.
    pub fn issue_client(&self, name: &str) -> Result<ServerCertificate> {
        self.certify(&[name], &[], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn certify(&self, names: &[&str], ips: &[IpAddr], usage: ExtendedKeyUsagePurpose) -> Result<ServerCertificate> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, *names.first().unwrap_or(&"server"));
        params.subject_alt_names.extend(ips.iter().map(|ip| SanType::IpAddress(*ip)));
        params.extended_key_usages.push(usage);
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(ServerCertificate { certificate: params.signed_by(&key, &self.issuer)?.pem(), key: key.serialize_pem() })
    }
}

/// An HTTP client that believes this authority alone and gives up after 10 s.
pub fn http_client(ca_pem: &str) -> Result<reqwest::Client> {
    let ca = reqwest::Certificate::from_pem(ca_pem.as_bytes()).context("the authority's certificate is no PEM")?;
    Ok(plain_builder().tls_certs_only([ca]).build()?)
}

/// An HTTP client for servers without TLS.
pub fn plain_client() -> Result<reqwest::Client> {
    Ok(plain_builder().tls_certs_only([]).build()?)
}

fn plain_builder() -> reqwest::ClientBuilder {
    crate::install_crypto();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10))
}
