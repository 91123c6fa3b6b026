//! What the kubelet and Prometheus are told of the signer.

use std::{convert::Infallible, sync::Arc};

use custody::report::WorkloadState;
use tokio::sync::watch;
use workload::health::{Probed, Readiness};

use crate::metrics::Metrics;

/// State and message, as in the report.
pub(crate) type Status = (WorkloadState, String);

/// The present status and the figures.
pub(crate) struct Health {
    pub(crate) status: watch::Receiver<Status>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Probed for Health {
    type Failure = Infallible;

    fn readiness(&self) -> Readiness {
        let (state, message) = self.status.borrow().clone();
        Readiness { state: format!("{state:?}"), message, serves: state == WorkloadState::Serving }
    }

    async fn figures(&self) -> Result<String, Infallible> {
        Ok(self.metrics.text())
    }
}
