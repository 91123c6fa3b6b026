//! The member's API server, reached with the admin's own kubeconfig and nothing else.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::Status,
};

use crate::failure::{bad_input, one_line};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Which cluster, and with whose rights.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterArgs {
    /// Your own kubeconfig for the member cluster [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context in that kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// Which cluster and which member in it.
#[derive(Debug, Clone, Args)]
pub(crate) struct MemberArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// The member's namespace [default: the context's]
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
}

impl MemberArgs {
    /// Reads the kubeconfig; connects to nothing yet.
    pub(crate) async fn connect(&self) -> Result<Cluster> {
        self.cluster.connect(self.namespace.as_deref()).await
    }
}

/// A cluster and the namespace that is meant in it.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
    pub(crate) config: Config,
}

impl ClusterArgs {
    /// Reads the kubeconfig; connects to nothing yet. Without a namespace, the context's is meant.
    pub(crate) async fn connect(&self, namespace: Option<&str>) -> Result<Cluster> {
        let config = self.config().await.map_err(|error| {
            let from = self
                .kubeconfig
                .as_ref()
                .map_or("$KUBECONFIG or ~/.kube/config".to_owned(), |file| file.display().to_string());
            bad_input(format!("kubeconfig ({from}): {error:#}; choose one with --kubeconfig and --context"))
        })?;
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        let client = Client::try_from(config.clone()).context("the kubeconfig's credentials can't be used")?;
        Ok(Cluster { client, namespace, config })
    }

    async fn config(&self) -> Result<Config> {
        let kubeconfig = match &self.kubeconfig {
            Some(file) => Kubeconfig::read_from(file)?,
            None => Kubeconfig::read()?,
        };
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        if config.accept_invalid_certs {
            return Err(anyhow!("it skips TLS verification; give the cluster's CA instead"));
        }
        if config.cluster_url.scheme_str() != Some("https") {
            return Err(anyhow!("its server {} is not https", config.cluster_url));
        }
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        Ok(config)
    }
}

impl Cluster {
    /// A client for a session that may be silent for long (exec).
    pub(crate) fn session_client(&self) -> Result<Client> {
        let mut config = self.config.clone();
        config.read_timeout = None;
        Client::try_from(config).context("the kubeconfig's credentials can't be used")
    }

    /// Puts an error of the API server into words that say what to do.
    pub(crate) fn explain(&self, what: &str, error: kube::Error) -> anyhow::Error {
        let server = &self.config.cluster_url;
        match error {
            kube::Error::Api(status) => anyhow!("{what}: {}", explain_status(&server.to_string(), &status)),
            kube::Error::Service(_) | kube::Error::HyperError(_) => anyhow!(
                "{what}: the API server {server} does not answer ({}); check the address and CA in the kubeconfig, \
                 and the network",
                innermost(&error)
            ),
            other => anyhow!("{what}: {}", one_line(&other.to_string())),
        }
    }
}

fn explain_status(server: &str, status: &Status) -> String {
    let message = one_line(&status.message);
    match status.code {
        401 => format!("{server} does not accept the kubeconfig's credentials; renew them"),
        403 => format!("not allowed ({message}); use the kubeconfig of this data centre's admin"),
        409 => format!("conflict ({message}); find out who else writes it, then run this again"),
        _ => message,
    }
}

/// The last cause of a chain: hyper and rustls keep what matters there.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    one_line(&last.to_string())
}

/// Whether the API server says that there is no such object.
pub(crate) fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(kubeconfig: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), kubeconfig).unwrap();
        let args = ClusterArgs { kubeconfig: Some(file.path().to_owned()), context: None };
        let error = args.connect(None).await.err().unwrap();
        assert!(error.is::<crate::failure::BadInput>());
        format!("{error:#}")
    }

    fn kubeconfig(cluster: &str) -> String {
        format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{token: t}}}}]\n"
        )
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_missing_or_unsafe_is_refused_with_one_line() {
        let args = ClusterArgs { kubeconfig: Some("/nowhere/kubeconfig".into()), context: None };
        let missing = format!("{:#}", args.connect(None).await.err().unwrap());
        assert!(missing.contains("/nowhere/kubeconfig") && missing.contains("--kubeconfig"), "{missing}");
        assert!(refused("current-context: none").await.contains("none"));
        let insecure = kubeconfig("server: 'https://a', insecure-skip-tls-verify: true");
        assert!(refused(&insecure).await.contains("skips TLS verification"));
        assert!(refused(&kubeconfig("server: 'http://a'")).await.contains("not https"));
    }
}
