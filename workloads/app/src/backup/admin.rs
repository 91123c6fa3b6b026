//! `app backup` beside a running App: the database is that process's alone, so it is asked, over a socket in the data
//! folder, which only their common user can open.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

use super::{
    error::BackupError,
    make::{Secrets, make},
};
use crate::app::App;

const SOCKET: &str = "admin.sock";
/// Longest line, bytes.
const LONGEST: u64 = 16 << 10;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    to: String,
    out: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Answer {
    Epoch(u64),
    Refused(String),
}

/// Answers `app backup`; for ever.
pub(crate) async fn serve(app: Arc<App>, secrets: Secrets, data_dir: PathBuf) {
    let listener = match listen(&data_dir.join(SOCKET)) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "`app backup` can't reach this process"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = answer(&app, &secrets, &data_dir, stream).await {
                    tracing::warn!(%error, "`app backup` went away");
                }
            }
            Err(error) => {
                tracing::error!(%error, "`app backup` can't reach this process");
                tokio::time::sleep(backoff::delay(1)).await;
            }
        }
    }
}

/// The database is locked: a socket that is there is left over.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn answer(app: &App, secrets: &Secrets, data_dir: &Path, mut stream: UnixStream) -> io::Result<()> {
    let mut line = String::new();
    let (reading, mut writing) = stream.split();
    BufReader::new(reading.take(LONGEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(Ask { to, out }) => match make(&*app.store, secrets, data_dir, &to, &out).await {
            Ok(made) => Answer::Epoch(made.epoch),
            Err(error) => Answer::Refused(error.to_string()),
        },
        Err(error) => Answer::Refused(error.to_string()),
    };
    writing.write_all(format!("{}\n", serde_json::to_string(&answer)?).as_bytes()).await
}

/// Asks the App that runs on `data_dir` for a backup; its epoch.
pub(crate) async fn ask(data_dir: &Path, to: &str, out: &Path) -> Result<u64, BackupError> {
    let path = data_dir.join(SOCKET);
    let mut stream = UnixStream::connect(&path).await.map_err(|error| BackupError::File { path, error })?;
    // The other process may stand elsewhere.
    let ask = Ask { to: to.to_owned(), out: std::path::absolute(out)? };
    let line = format!("{}\n", serde_json::to_string(&ask).map_err(io::Error::from)?);
    stream.write_all(line.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer).await?;
    match serde_json::from_str(&answer).map_err(io::Error::from)? {
        Answer::Epoch(epoch) => Ok(epoch),
        Answer::Refused(why) => Err(BackupError::Running(why)),
    }
}
