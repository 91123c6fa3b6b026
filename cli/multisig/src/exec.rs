//! A local command in a signer's pod, as `kubectl exec -i` does it: input in, output through, exit code honoured.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{Api, api::AttachParams};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy};
use zeroize::Zeroizing;

use crate::{
    cluster::{Cluster, is_missing},
    failure::{RemoteExit, one_line},
};

const START: Duration = Duration::from_secs(30);

/// The signers; their pods, containers and binaries bear their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Signer {
    /// Holds the hot keys
    Keeper,
    /// Holds the cool key
    Cooler,
}

impl Signer {
    fn name(self) -> &'static str {
        match self {
            Signer::Keeper => "keeper",
            Signer::Cooler => "cooler",
        }
    }

    fn pod(self) -> String {
        format!("{}-0", self.name())
    }
}

/// Runs `/SIGNER WORDS...` there. Its output is ours.
pub(crate) async fn run(
    cluster: &Cluster,
    signer: Signer,
    words: &[&str],
    input: Option<Zeroizing<Vec<u8>>>,
) -> Result<()> {
    let (pod, binary) = (signer.pod(), format!("/{}", signer.name()));
    let pods: Api<Pod> = Api::namespaced(cluster.session_client()?, &cluster.namespace);
    let params = AttachParams::default().container(signer.name()).stdin(input.is_some()).stdout(true).stderr(true);
    let command = [binary.as_str()].into_iter().chain(words.iter().copied());
    let starting = tokio::time::timeout(START, pods.exec(&pod, command, &params));
    let mut process = starting
        .await
        .map_err(|_| anyhow!("pod {pod}: its node did not start the command within {} s", START.as_secs()))?
        .map_err(|error| explain(cluster, &pod, error))?;

    let ended = process.take_status().context("the API server gives no exit status")?;
    // On its own: a command may end without reading all of its input.
    let sending = tokio::spawn(send(process.stdin(), input.unwrap_or_default()));
    let finished = tokio::try_join!(
        async { ended.await.context("the connection to the pod was lost before the command ended; run it again") },
        pass(process.stdout(), tokio::io::stdout()),
        pass(process.stderr(), tokio::io::stderr()),
    );
    sending.abort();
    outcome(&pod, &finished?.0)
}

async fn send(stdin: Option<impl AsyncWrite + Unpin>, input: Zeroizing<Vec<u8>>) -> std::io::Result<()> {
    let Some(mut stdin) = stdin else { return Ok(()) };
    stdin.write_all(&input).await?;
    stdin.shutdown().await
}

async fn pass(from: Option<impl AsyncRead + Unpin>, mut to: impl AsyncWrite + Unpin) -> Result<()> {
    let mut from = from.context("the command's output cannot be read")?;
    copy(&mut from, &mut to).await.context("the command's output cannot be written")?;
    to.flush().await.context("the command's output cannot be written")
}

fn explain(cluster: &Cluster, pod: &str, error: kube::Error) -> anyhow::Error {
    if is_missing(&error) {
        return anyhow!(
            "namespace {} has no pod {pod}; give the signer's namespace with -n, or see `multisig member status`",
            cluster.namespace
        );
    }
    cluster.explain(&format!("pod {pod}"), error)
}

/// The kubelet's words for the end of a command.
fn outcome(pod: &str, status: &Status) -> Result<()> {
    if status.status.as_deref() == Some("Success") {
        return Ok(());
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let code = causes
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_deref()?.parse::<u8>().ok());
    match code {
        Some(code) => Err(RemoteExit(code).into()),
        None => bail!("pod {pod}: {}", one_line(status.message.as_deref().unwrap_or("the command failed"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(status: serde_json::Value) -> Result<()> {
        outcome("cooler-0", &serde_json::from_value(status).unwrap())
    }

    #[test]
    fn the_exit_code_of_the_command_is_ours() {
        ended(json!({"status": "Success"})).unwrap();
        let error = ended(json!({
            "status": "Failure",
            "reason": "NonZeroExitCode",
            "message": "command terminated with exit code 3",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
        }))
        .unwrap_err();
        assert_eq!(error.downcast_ref::<RemoteExit>().unwrap().0, 3);
    }

    #[test]
    fn a_command_that_never_ran_is_said_in_the_servers_words() {
        let error = ended(json!({"status": "Failure", "message": "container not found\n(\"cooler\")"})).unwrap_err();
        assert_eq!(error.to_string(), "pod cooler-0: container not found; (\"cooler\")");
    }
}
