//! The hub's CA, which the kubelet replaces in a running pod when it is rotated. A client reads it once; with the former
//! one a standby would wait for the lease for ever.

use std::{fs, path::Path, time::Duration};

/// Where every pod finds the CA of its API server.
const FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// The kubelet takes about a minute to replace it.
const EVERY: Duration = Duration::from_secs(10);

/// Ends when the pod's CA is another than at the call; never where the process does not use it.
pub(crate) async fn replaced(in_pod: bool) {
    if in_pod {
        differs(Path::new(FILE), EVERY).await;
    } else {
        std::future::pending().await
    }
}

/// Ends when the file holds something else. A file that can't be read says nothing.
async fn differs(file: &Path, every: Duration) {
    let mut first = fs::read(file).ok();
    loop {
        tokio::time::sleep(every).await;
        let now = fs::read(file).ok();
        match (&first, now) {
            (Some(first), Some(now)) if *first != now => return,
            (None, now) => first = now,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn another_ca_ends_it_and_a_missing_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        fs::write(&file, "former").unwrap();
        let watched = file.clone();
        let watch = tokio::spawn(async move { differs(&watched, Duration::from_millis(1)).await });
        tokio::task::yield_now().await;
        fs::remove_file(&file).unwrap();
        fs::write(&file, "new").unwrap();
        tokio::time::timeout(Duration::from_secs(30), watch).await.unwrap().unwrap();
    }
}
