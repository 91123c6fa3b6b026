//! Backups by themselves: one at every start and one each so many minutes, of which the newest are kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    error::BackupError,
    make::{Secrets, make},
};
use crate::{app::App, config::Schedule};

/// Ending of their names.
const ENDING: &str = ".backup";

/// Makes them; for ever.
pub(crate) async fn keep(app: Arc<App>, secrets: Secrets, data_dir: PathBuf, schedule: Schedule) {
    loop {
        match once(&app, &secrets, &data_dir, &schedule).await {
            Ok(file) => {
                app.metrics.last_backup.set(Timestamp::now().as_second());
                tracing::info!(file = %file.display(), "backed up");
            }
            Err(error) => tracing::error!(%error, "no backup was made"),
        }
        tokio::time::sleep(schedule.every).await;
    }
}

async fn once(app: &App, secrets: &Secrets, data_dir: &Path, plan: &Schedule) -> Result<PathBuf, BackupError> {
    // Names of one length, so that they are in the order in which they were made.
    let (epoch, now) = (app.store.epoch().await?.0, Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"));
    let file = plan.dir.join(format!("app-{epoch:06}-{now}{ENDING}"));
    make(&*app.store, secrets, data_dir, &plan.to, &file).await?;
    prune(plan).map_err(|error| BackupError::File { path: plan.dir.clone(), error })?;
    Ok(file)
}

/// Removes the oldest beyond those that are kept.
fn prune(Schedule { dir, keep, .. }: &Schedule) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("app-") && name.ends_with(ENDING) {
            names.push(name);
        }
    }
    names.sort();
    let superfluous = names.len().saturating_sub(*keep);
    names.iter().take(superfluous).try_for_each(|name| fs::remove_file(dir.join(name)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_newest_are_kept_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["app-000001-20260101T000000000Z.backup", "app-000001-20260102T000000000Z.backup", "notes.txt"];
        let newer = "app-000002-20250101T000000000Z.backup";
        for name in names.iter().chain([&newer]) {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let (to, every) = (String::new(), Duration::from_secs(60));
        prune(&Schedule { to, dir: dir.path().to_owned(), every, keep: 2 }).unwrap();
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [names[1], newer, names[2]]);
    }
}
