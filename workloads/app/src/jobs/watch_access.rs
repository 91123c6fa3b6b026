//! Reads the callers' file and the certificates again when they have changed, and at SIGHUP. What can't be used is told
//! and changes nothing: a slip of the pen must not lock everybody out.

use std::{path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::signal::unix::Signal;

use crate::{app::App, config::AccessFiles};

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(2);

/// Follows the files; for ever.
pub(crate) async fn watch_access(
    app: Arc<App>,
    files: AccessFiles,
    tls: Option<Arc<ArcSwap<ServerConfig>>>,
    mut hangup: Signal,
) {
    let (mut callers, mut certificates) = (Seen::default(), Seen::default());
    loop {
        if callers.differs([files.callers.as_path()]) {
            read_callers(&app, &files);
        }
        if let (Some(paths), Some(tls)) = (&files.tls, &tls)
            && certificates.differs([&*paths.certificate, &*paths.key].into_iter().chain(paths.client_ca.as_deref()))
        {
            match paths.load() {
                Ok(config) => tls.store(config),
                Err(error) => tracing::error!(%error, "the certificates stay those that were read before"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = hangup.recv() => tracing::info!("SIGHUP: the callers' file and the certificates are read again"),
        }
    }
}

fn read_callers(app: &App, files: &AccessFiles) {
    let read = files.callers();
    app.metrics.callers_file_valid.set(read.is_ok().into());
    match read {
        Ok(callers) if callers == **app.callers.load() => {}
        Ok(callers) => {
            tracing::info!("the callers' file has changed");
            app.callers.store(Arc::new(callers));
        }
        Err(error) => tracing::error!(%error, "the callers stay those that were read before"),
    }
}

/// What files contained when they were last looked at; `None` where one can't be read.
#[derive(Default)]
struct Seen(Option<Vec<Option<Vec<u8>>>>);

impl Seen {
    fn differs<'a>(&mut self, paths: impl IntoIterator<Item = &'a Path>) -> bool {
        let now = Some(paths.into_iter().map(|path| text_file::read(path).ok()).collect());
        let differs = self.0 != now;
        self.0 = now;
        differs
    }
}
