//! Kubeconfigs come from Secrets that others write. Whatever could run a program, read a file, weaken TLS or act as
//! somebody else in the operator's own pod is refused, and so is everything that is not known.

use data_encoding::BASE64URL_NOPAD;
use k8s_openapi::jiff::Timestamp;
use kube::config::{AuthInfo, Cluster, Kubeconfig};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Why a kubeconfig is not used.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum KubeconfigError {
    /// Not YAML of the right shape. The parser's words are left out: they may quote a credential.
    #[error("it is not a valid kubeconfig; store the one that `multisig member prepare` printed in the Secret")]
    Malformed,
    /// Not UTF-8.
    #[error(transparent)]
    Encoding(#[from] text_file::Encoding),
    /// It names several clusters, users or contexts, or none.
    #[error("it must contain exactly one {0}, but contains {1}")]
    NotOne(&'static str, usize),
    /// It holds something that is never used.
    #[error("{0} is refused; use the kubeconfig that `multisig member prepare` printed")]
    Refused(String),
    /// It lacks something.
    #[error("{0} is missing; use the kubeconfig that `multisig member prepare` printed")]
    Missing(&'static str),
}

/// When a credential was issued and when it expires, as far as it says so itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Credential {
    /// `iat` of the token.
    pub issued_at: Option<Timestamp>,
    /// `exp` of the token.
    pub expires_at: Option<Timestamp>,
}

impl Credential {
    /// Whether it has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether less than a fifth of its life is left.
    pub fn expires_soon(&self, now: Timestamp) -> bool {
        let (Some(start), Some(end)) = (self.issued_at, self.expires_at) else { return false };
        let (life, left) = (end.as_second() - start.as_second(), end.as_second() - now.as_second());
        left * 5 < life
    }
}

/// A kubeconfig that holds an address, roots, a credential and nothing else.
pub struct SafeKubeconfig {
    /// For `kube`.
    pub kubeconfig: Kubeconfig,
    /// SHA-256 of the bytes it was read from: a change means a new client.
    pub digest: [u8; 32],
    /// Its credential.
    pub credential: Credential,
}

/// Reads a kubeconfig and refuses what must not be used.
pub fn sanitise(bytes: &[u8]) -> Result<SafeKubeconfig, KubeconfigError> {
    let text = text_file::text(bytes)?;
    let kubeconfig = Kubeconfig::from_yaml(text).map_err(|_| KubeconfigError::Malformed)?;
    let cluster = only("cluster", &kubeconfig.clusters)?.cluster.as_ref().ok_or(KubeconfigError::Missing("cluster"))?;
    let user = only("user", &kubeconfig.auth_infos)?.auth_info.as_ref().ok_or(KubeconfigError::Missing("user"))?;
    only("context", &kubeconfig.contexts)?;
    check_cluster(cluster)?;
    check_user(user)?;
    let credential = credential(user);
    Ok(SafeKubeconfig { kubeconfig, digest: Sha256::digest(bytes).into(), credential })
}

fn only<'a, T>(what: &'static str, items: &'a [T]) -> Result<&'a T, KubeconfigError> {
    match items {
        [item] => Ok(item),
        items => Err(KubeconfigError::NotOne(what, items.len())),
    }
}

fn check_cluster(cluster: &Cluster) -> Result<(), KubeconfigError> {
    let Cluster {
        server,
        insecure_skip_tls_verify,
        certificate_authority,
        certificate_authority_data,
        proxy_url,
        disable_compression: _,
        tls_server_name: _,
        extensions: _,
        other,
    } = cluster;
    let server = server.as_deref().ok_or(KubeconfigError::Missing("server"))?;
    if !server.starts_with("https://") {
        return refused("a server address without https://");
    }
    if insecure_skip_tls_verify.unwrap_or(false) {
        return refused("insecure-skip-tls-verify");
    }
    if certificate_authority.is_some() {
        return refused("certificate-authority (a file)");
    }
    if proxy_url.is_some() {
        return refused("proxy-url");
    }
    if certificate_authority_data.as_deref().is_none_or(str::is_empty) {
        return Err(KubeconfigError::Missing("certificate-authority-data"));
    }
    nothing_else(other.keys())
}

fn check_user(user: &AuthInfo) -> Result<(), KubeconfigError> {
    let AuthInfo {
        username,
        password,
        token,
        token_file,
        client_certificate,
        client_certificate_data,
        client_key,
        client_key_data,
        impersonate,
        impersonate_uid,
        impersonate_groups,
        impersonate_user_extra,
        extensions: _,
        auth_provider,
        exec,
        other,
    } = user;
    let found = [
        ("exec (a program)", exec.is_some()),
        ("auth-provider (a program)", auth_provider.is_some()),
        ("username and password", username.is_some() || password.is_some()),
        ("tokenFile (a file)", token_file.is_some()),
        ("client-certificate (a file)", client_certificate.is_some()),
        ("client-key (a file)", client_key.is_some()),
        (
            "impersonation (as, as-uid, as-groups, as-user-extra)",
            impersonate.is_some()
                || impersonate_uid.is_some()
                || impersonate_groups.is_some()
                || impersonate_user_extra.is_some(),
        ),
    ];
    if let Some((what, _)) = found.iter().find(|(_, found)| *found) {
        return refused(what);
    }
    if token.is_none() && (client_certificate_data.is_none() || client_key_data.is_none()) {
        return Err(KubeconfigError::Missing("token"));
    }
    nothing_else(other.keys())
}

fn nothing_else<'a>(mut unknown: impl Iterator<Item = &'a String>) -> Result<(), KubeconfigError> {
    unknown.next().map_or(Ok(()), |key| refused(&format!("the unknown field {key}")))
}

fn refused<T>(what: &str) -> Result<T, KubeconfigError> {
    Err(KubeconfigError::Refused(what.to_owned()))
}

/// Reads the times in a JWT without believing anything else in it. Other tokens say nothing.
fn credential(user: &AuthInfo) -> Credential {
    #[derive(Deserialize)]
    struct Times {
        iat: Option<i64>,
        exp: Option<i64>,
    }
    let times = user.token.as_ref().and_then(|token| {
        let body = secrecy::ExposeSecret::expose_secret(token).split('.').nth(1)?.as_bytes();
        serde_json::from_slice::<Times>(&BASE64URL_NOPAD.decode(body).ok()?).ok()
    });
    let at = |second: Option<i64>| second.and_then(|second| Timestamp::from_second(second).ok());
    times.map_or_else(Credential::default, |times| Credential { issued_at: at(times.iat), expires_at: at(times.exp) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{{cluster}}}}}]\n\
             users: [{{name: u, user: {{{user}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        )
    }

    const CLUSTER: &str = "server: 'https://10.0.0.1:6443', certificate-authority-data: Y2E=";
    const USER: &str = "token: t";

    fn check(cluster: &str, user: &str) -> Result<(), KubeconfigError> {
        sanitise(kubeconfig(cluster, user).as_bytes()).map(drop)
    }

    #[test]
    fn address_roots_and_credential_are_accepted() {
        assert_eq!(check(CLUSTER, USER), Ok(()));
        assert_eq!(check(&format!("{CLUSTER}, tls-server-name: kubernetes"), USER), Ok(()));
        assert_eq!(check(CLUSTER, "client-certificate-data: YQ==, client-key-data: Yg=="), Ok(()));
    }

    #[test]
    fn a_byte_order_mark_is_skipped_and_utf_16_is_named() {
        let text = kubeconfig(CLUSTER, USER);
        assert!(sanitise(format!("\u{feff}{text}").as_bytes()).is_ok());
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(sanitise(&wide).err(), Some(KubeconfigError::Encoding(text_file::Encoding::Utf16)));
    }

    #[test]
    fn whatever_runs_reads_weakens_or_impersonates_is_refused() {
        let clusters = [
            "server: 'http://10.0.0.1', certificate-authority-data: Y2E=",
            "server: 'https://10.0.0.1', certificate-authority: /etc/ca.crt",
            "server: 'https://10.0.0.1', certificate-authority-data: Y2E=, insecure-skip-tls-verify: true",
            "server: 'https://10.0.0.1', certificate-authority-data: Y2E=, proxy-url: 'http://proxy'",
            "server: 'https://10.0.0.1', certificate-authority-data: Y2E=, something-new: true",
        ];
        for cluster in clusters {
            assert!(matches!(check(cluster, USER), Err(KubeconfigError::Refused(_))), "{cluster}");
        }
        let users = [
            "token: t, exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}",
            "token: t, auth-provider: {name: gcp}",
            "username: a, password: b",
            "tokenFile: /var/run/secrets/token",
            "client-certificate: /a.crt, client-key: /a.key",
            "token: t, as: system:admin",
            "token: t, as-groups: ['system:masters']",
            "token: t, something-new: true",
        ];
        for user in users {
            assert!(matches!(check(CLUSTER, user), Err(KubeconfigError::Refused(_))), "{user}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = |result: Result<(), KubeconfigError>, what| {
            assert_eq!(result, Err(KubeconfigError::Missing(what)));
        };
        missing(check("server: 'https://10.0.0.1'", USER), "certificate-authority-data");
        missing(check("certificate-authority-data: Y2E=", USER), "server");
        missing(check(CLUSTER, "client-key-data: Yg=="), "token");
    }

    #[test]
    fn one_cluster_one_user_one_context() {
        let two =
            kubeconfig(CLUSTER, USER).replace("clusters: [", "clusters: [{name: x, cluster: {server: 'https://x'}}, ");
        assert_eq!(sanitise(two.as_bytes()).err(), Some(KubeconfigError::NotOne("cluster", 2)));
        assert_eq!(sanitise(b"{}").err(), Some(KubeconfigError::NotOne("cluster", 0)));
    }

    #[test]
    fn an_error_never_quotes_the_content() {
        for bytes in [&b"users: SUPERSECRET"[..], b"\xff\xfe", b"- a\n- SUPERSECRET"] {
            let error = sanitise(bytes).err().unwrap();
            assert!(!error.to_string().contains("SUPERSECRET"));
        }
    }

    #[test]
    fn the_credential_says_when_it_expires() {
        let body = BASE64URL_NOPAD.encode(br#"{"iat":1000,"exp":2000,"aud":["x"]}"#);
        let safe = sanitise(kubeconfig(CLUSTER, &format!("token: h.{body}.s")).as_bytes()).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(safe.credential.expires_at, Some(at(2000)));
        let truth = [1000, 1800, 1801, 1999, 2000]
            .map(|now| (safe.credential.expires_soon(at(now)), safe.credential.is_expired(at(now))));
        assert_eq!(truth, [(false, false), (false, false), (true, false), (true, false), (true, true)]);
        let opaque = sanitise(kubeconfig(CLUSTER, USER).as_bytes()).unwrap();
        assert_eq!(opaque.credential, Credential::default());
        assert!(!opaque.credential.expires_soon(at(5)) && !opaque.credential.is_expired(at(5)));
    }
}
