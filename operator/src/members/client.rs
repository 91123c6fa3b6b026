//! One client per kubeconfig, and what is known about whether its cluster answers.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, stream};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Config, Resource, client::ClientBuilder, config::KubeConfigOptions};
use serde::de::DeserializeOwned;
use tokio::sync::{
    Semaphore,
    broadcast::{self, error::RecvError},
};
use tokio_util::task::AbortOnDropHandle;
use tower::util::MapRequestLayer;

use super::{
    kubeconfig::{Credential, KubeconfigError, sanitise},
    watch,
};
use crate::{
    calls::{CallError, TIMEOUT, within},
    metrics::{SharedMetrics, Target},
};

/// Requests under way at once to one member.
const CONCURRENCY: usize = 4;

/// A member that can be called.
pub struct Member {
    client: Client,
    digest: [u8; 32],
    credential: Credential,
    permits: Semaphore,
    lost: Mutex<Option<String>>,
    _watch: AbortOnDropHandle<()>,
}

impl Member {
    /// Its client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The hub's credential there.
    pub fn credential(&self) -> Credential {
        self.credential
    }

    /// One call: bounded in time and, per member, in number. Failing to reach it is remembered.
    pub async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
        let result = within(async {
            let _permit = self.permits.acquire().await;
            call.await
        })
        .await;
        if let Err(CallError::Unreachable(why)) = &result {
            *lock(&self.lost) = Some(why.clone());
        }
        result
    }

    /// An object of a namespace there, if it exists.
    pub async fn get<K>(&self, namespace: &str, name: &str) -> Result<Option<K>, CallError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        self.call(Api::<K>::namespaced(self.client(), namespace).get_opt(name)).await
    }

    /// Why it was lost, until a probe has found it again. Whoever only wants to use it need not wait for a timeout.
    pub fn lost(&self) -> Option<String> {
        lock(&self.lost).clone()
    }

    /// A probe has found it.
    pub fn found(&self) {
        *lock(&self.lost) = None;
    }
}

/// Namespace and name of a MemberCluster.
pub type MemberName = (String, String);

/// More signals than this that nobody has taken are dropped: polling finds what they would have told.
const SIGNALS: usize = 1024;

/// All members that have been called.
pub struct Members {
    known: Mutex<HashMap<MemberName, Arc<Member>>>,
    changes: broadcast::Sender<MemberName>,
    metrics: SharedMetrics,
}

impl Members {
    /// None yet.
    pub fn new(metrics: SharedMetrics) -> Self {
        Self { known: Mutex::default(), changes: broadcast::Sender::new(SIGNALS), metrics }
    }

    /// Names of members on which something has changed.
    pub fn changes(&self) -> impl Stream<Item = MemberName> + Send + 'static {
        stream::unfold(self.changes.subscribe(), |mut changes| async {
            loop {
                match changes.recv().await {
                    Ok(change) => return Some((change, changes)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
    }

    /// The MemberCluster `namespace/name`, whose admin has prepared `prepared`, by this kubeconfig: the same client for
    /// as long as the content is the same.
    pub async fn connect(
        &self,
        namespace: &str,
        name: &str,
        prepared: &str,
        kubeconfig: &[u8],
    ) -> Result<Arc<Member>, KubeconfigError> {
        let safe = sanitise(kubeconfig)?;
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = lock(&self.known).get(&key).filter(|known| known.digest == safe.digest) {
            return Ok(known.clone());
        }
        let mut config = Config::from_custom_kubeconfig(safe.kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|_| KubeconfigError::Malformed)?;
        // The environment's proxy must not see where the members are.
        config.proxy_url = None;
        config.connect_timeout = Some(TIMEOUT);
        config.default_retry = false;
        let client = counted(config, Target::Member, &self.metrics).map_err(|_| KubeconfigError::Malformed)?;
        let (changes, signal) = (self.changes.clone(), key.clone());
        let watch = watch::watch(client.clone(), prepared.to_owned(), move || {
            // Nobody listens while this process does not lead.
            let _ = changes.send(signal.clone());
        });
        let member = Arc::new(Member {
            client,
            _watch: AbortOnDropHandle::new(tokio::spawn(watch)),
            digest: safe.digest,
            credential: safe.credential,
            permits: Semaphore::new(CONCURRENCY),
            lost: Mutex::default(),
        });
        lock(&self.known).insert(key, member.clone());
        Ok(member)
    }

    /// The MemberCluster is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        lock(&self.known).remove(&(namespace.to_owned(), name.to_owned()));
    }
}

/// A client whose requests are counted.
pub fn counted(config: Config, target: Target, metrics: &SharedMetrics) -> kube::Result<Client> {
    let metrics = metrics.clone();
    let count = MapRequestLayer::new(move |request| {
        metrics.request(target, &request);
        request
    });
    Ok(ClientBuilder::try_from(config)?.with_layer(&count).build())
}

/// What these locks guard is replaced as a whole, so a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
