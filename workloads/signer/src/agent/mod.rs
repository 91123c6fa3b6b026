//! From the admin's trust, the hub's config and credentials, the own keys, the Vault and the broker to something that
//! serves, and a report of it. Everything is looked at again every two seconds: what was missing is noticed when it
//! comes, what was taken away stops the service.

mod assess;
mod recall;
pub(crate) mod rotation;
pub(crate) mod verified;
mod volume;

use std::{sync::Arc, time::Duration};

use chain::hex;
use custody::{
    Role,
    local_policy::LocalPolicy,
    report::{AuditHead, Digests, Report, WorkloadState},
    trust::{MemberTrust, VaultTrust},
};
use rand_core::OsRng;
use sealing::Sealer;
use sha2::{Digest as _, Sha256};
use signer::{
    identity::{self, IdentityError, Keys},
    pipeline::{Lock, Signer, SigningContext},
    store::{Store, StoreError},
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use transport::SessionState;
use vault::KeyInfo;
use workload::{
    configmaps::{ConfigMapError, ConfigMaps},
    documents::{self, Documents, Unready, digest},
    place::Place,
};

use crate::{
    broker::{Broker, Speaker},
    health::Status,
    metrics::{Metrics, VolumeMetrics},
};
use assess::{Assessment, Gates, Observed, Seen, assess};
use recall::{Remembered, recall};
use rotation::Rotation;
use volume::Volume;

const POLL: Duration = Duration::from_secs(2);
/// How often the report shows a newer audit head: it grows with every signature, and each report is a write.
const HEAD_EVERY: Duration = Duration::from_secs(300);

/// Whether the rows of the store are those that this signer wrote.
enum Rows {
    /// Not compared yet: nothing is written to them.
    Unknown,
    /// They are; what others write from now on is not looked for.
    Own,
    /// They are not, and why. It stays so until the process starts on another volume.
    Tampered(String),
}

/// The loop's memory.
pub(crate) struct Agent {
    role: Role,
    place: Place,
    store: Arc<Store>,
    signer: Arc<Signer>,
    broker: Broker,
    metrics: Arc<Metrics>,
    status: watch::Sender<Status>,
    maps: Option<ConfigMaps>,
    observed: Observed,
    sealer: Option<(VaultTrust, Arc<Sealer>)>,
    keys: Option<Arc<Keys>>,
    rows: Rows,
    head: Option<(audit::Head, Instant)>,
    key: Option<KeyInfo>,
    rotation: Rotation,
    volume: Volume,
    kept: Option<(String, String)>,
    reported: Option<String>,
    trouble: Option<String>,
}

impl Agent {
    pub(crate) fn new(
        role: Role,
        place: Place,
        store: Arc<Store>,
        signer: Arc<Signer>,
        broker: Broker,
        metrics: Arc<Metrics>,
        status: watch::Sender<Status>,
    ) -> Self {
        let rotation = Rotation::new(&metrics);
        let volume = Volume::new(VolumeMetrics::new(&metrics));
        Self {
            role,
            place,
            store,
            signer,
            broker,
            metrics,
            status,
            maps: None,
            observed: Observed::Unknown(starting("just started")),
            sealer: None,
            keys: None,
            rows: Rows::Unknown,
            head: None,
            key: None,
            rotation,
            volume,
            kept: None,
            reported: None,
            trouble: None,
        }
    }

    /// Never ends by itself.
    pub(crate) async fn run(&mut self) {
        let mut tick = interval(POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.step().await;
        }
    }

    /// No more operations; those in flight are answered.
    pub(crate) async fn stop(mut self) {
        self.broker.disconnect().await;
        self.signer.serve(None);
        if let Err(error) = self.store.flush().await {
            tracing::error!(%error, "results were not stored; they can be made again");
        }
    }

    async fn step(&mut self) {
        self.observe().await;
        let trust = match &self.observed {
            Observed::Seen(documents) => documents::trust(self.role, documents).ok(),
            Observed::Unknown(_) => None,
        };
        let keys = self.open(trust.as_ref().map(|trust| trust.vault.clone())).await;
        let cool_keys = match self.store.cool_keys().await {
            Ok(keys) => keys.into_iter().map(|key| (key.namespace, key.public_key)).collect(),
            Err(error) => {
                tracing::error!(%error, "the store failed");
                Vec::new()
            }
        };
        if let Err(error) = self.store.flush().await {
            tracing::error!(%error, "results were not stored; they can be made again");
        }
        let policy = trust.as_ref().and_then(|trust| trust.local_policy.as_ref());
        self.volume.step(&self.place, &self.store, &self.signer, policy).await;
        let (held, gates) = self.remember(trust.as_ref()).await;
        let broker = self.broker.state();
        let seen = Seen {
            observed: &self.observed,
            held: &held,
            keys: &keys,
            cool_keys: &cool_keys,
            broker: &broker,
            gates: &gates,
        };
        let found = assess(self.role, seen);
        self.keep(&found).await;
        self.rotate(&found, &keys).await;
        let report = self.describe(&found, &broker);
        self.apply(found).await;
        self.tell(report).await;
    }

    /// What is there now. An API server that does not answer takes nothing away, nor does one that refuses: while it
    /// starts it refuses everybody, and who may take away a right may also change the trust.
    async fn observe(&mut self) {
        match self.read().await {
            Ok(documents) => {
                self.trouble = None;
                self.observed = Observed::Seen(documents);
            }
            Err(error) => {
                self.complain(&error, "the ConfigMaps were not read; they are read again");
                if matches!(self.observed, Observed::Unknown(_)) {
                    self.observed = Observed::Unknown(error.into());
                }
            }
        }
    }

    /// Each trouble once, not every two seconds.
    fn complain(&mut self, error: &ConfigMapError, what: &str) {
        let words = error.to_string();
        if self.trouble.as_ref() != Some(&words) {
            tracing::warn!(error = words, "{what}");
            self.trouble = Some(words);
        }
    }

    async fn read(&mut self) -> Result<Documents, ConfigMapError> {
        let maps = match &mut self.maps {
            Some(maps) => maps,
            none => none.insert(ConfigMaps::new(&self.place.kube_dir, &self.place.namespace, self.role)?),
        };
        let documents = maps.documents().await?;
        if self.reported.is_none() {
            // After a restart: a report that is still right is not written again.
            self.reported = maps.report().await?;
        }
        Ok(documents)
    }

    /// Opens the own keys, or makes them; asks the Vault how it is.
    async fn open(&mut self, trust: Option<VaultTrust>) -> assess::Keys {
        if let Some(trust) = trust
            && self.sealer.as_ref().is_none_or(|(present, _)| *present != trust)
        {
            match self.place.sealer(&trust) {
                Ok(sealer) => self.sealer = Some((trust, sealer)),
                Err(error) => return assess::Keys::Closed(error.to_string()),
            }
        }
        let Some((_, sealer)) = &self.sealer else {
            return assess::Keys::Closed("no Vault is known yet".to_owned());
        };
        let keys = match &self.keys {
            Some(keys) => keys,
            None => match identity::open_or_make(&self.store, sealer, &mut OsRng).await {
                Ok(keys) => self.keys.insert(Arc::new(keys)),
                Err(error) => return assess::Keys::Closed(error.to_string()),
            },
        };
        if matches!(self.rows, Rows::Unknown) {
            let (role, now_ms) = (self.role, self.signer.now_ms());
            self.rows = match identity::authenticate(&self.store, sealer, role, now_ms, &mut OsRng).await {
                Ok(()) => Rows::Own,
                Err(IdentityError::Store(error @ StoreError::Tampered(_))) => Rows::Tampered(error.to_string()),
                Err(error) => return assess::Keys::Closed(error.to_string()),
            };
        }
        if let Rows::Tampered(why) = &self.rows {
            return assess::Keys::Tampered(why.clone());
        }
        let vault = sealer.vault().key().await.map_err(|error| error.to_string());
        let vault = vault.map(|key| self.key = Some(key));
        assess::Keys::Open { nats_user: keys.nats_user().to_owned(), vault }
    }

    /// What the store remembers: local policies that still hold, the freeze, and whether the admin has accepted the chain.
    async fn remember(&mut self, trust: Option<&MemberTrust>) -> (Vec<LocalPolicy>, Gates) {
        let observed = trust.is_some_and(|trust| trust.peers.get(&Role::Sentinel).is_some_and(|keys| !keys.is_empty()));
        let mut gates = Gates {
            lease_expired: observed && self.signer.lease_until_ms() <= self.signer.now_ms(),
            ..Gates::default()
        };
        let own = self.keys.as_ref().map(|keys| keys.own().message_key().verifying_key());
        let own_rows = matches!(self.rows, Rows::Own);
        let local_policy = trust.filter(|_| own_rows).and_then(|trust| trust.local_policy.clone());
        let locked_since_ms = self.signer.locked_since_ms();
        let recalled = recall(&self.store, self.signer.now_ms(), locked_since_ms, own, local_policy).await;
        let held = match recalled {
            Ok(Remembered { held, frozen, accepted, head }) => {
                if self.head.is_none_or(|(_, since)| since.elapsed() >= HEAD_EVERY) {
                    self.head = Some((head, Instant::now()));
                }
                gates.frozen = frozen;
                if accepted && let Err(error) = self.signer.accept(locked_since_ms).await {
                    tracing::error!(%error, "the accepted chain was not taken up; it is tried again");
                }
                held
            }
            Err(error) => {
                tracing::error!(%error, "the store failed");
                gates.locked = Some(error.to_string());
                return (Vec::new(), gates);
            }
        };
        if let Lock::Locked(why) = &*self.signer.lock() {
            gates.locked = Some(why.clone());
        }
        (held, gates)
    }

    /// One step of the Vault key's rotation, while the documents are good and the Vault answers.
    async fn rotate(&mut self, found: &Assessment, keys: &assess::Keys) {
        let (Some(verified), Some((_, sealer)), Some(key)) = (&found.verified, &self.sealer, self.key) else {
            return;
        };
        if matches!(keys, assess::Keys::Open { vault: Ok(()), .. }) {
            let (custody, asked) = (verified.manifest.custody_id(), verified.vault_key_generation);
            self.rotation.step(&self.store, sealer, custody, asked, key).await;
        }
    }

    /// Keeps the pinned manifest and its member trust for local commands on the worst day.
    async fn keep(&mut self, found: &Assessment) {
        let (Some(trust), Observed::Seen(documents)) = (&found.trust, &self.observed) else {
            return;
        };
        let pair = (documents.trust.clone(), documents.manifest.clone());
        let (true, (Some(trust), Some(manifest))) = (documents::manifest(trust, documents).is_ok(), pair) else {
            return;
        };
        let pair = (trust, manifest);
        if self.kept.as_ref() == Some(&pair) || !matches!(self.rows, Rows::Own) {
            return;
        }
        match self.store.keep_documents(pair.0.clone(), pair.1.clone()).await {
            Ok(()) => self.kept = Some(pair),
            Err(error) => tracing::error!(%error, "the documents were not kept"),
        }
    }

    fn describe(&self, found: &Assessment, broker: &SessionState) -> Report {
        let custody_id = found.trust.as_ref().and_then(|trust| trust.custody.as_ref()).map(|custody| custody.id);
        let identity = self.keys.as_ref().map(|keys| keys.identity(self.role, custody_id));
        let credentials_generation = match broker {
            SessionState::Connected { generation } => Some(*generation),
            SessionState::Away(_) => None,
        };
        let trust = match &self.observed {
            Observed::Seen(documents) => documents.trust.as_deref().map(digest),
            Observed::Unknown(_) => None,
        };
        let verified = found.verified.as_ref();
        Report {
            state: found.state,
            message: self.volume.beside(match self.broker.clocks() {
                Some(clocks) => format!("{}; {clocks}", self.rotation.beside(&found.message)),
                None => self.rotation.beside(&found.message),
            }),
            identity,
            credentials_generation,
            audit_head: self.head.map(|(head, _)| AuditHead { count: head.count, hash: hex::encode(head.hash) }),
            vault_key_version: self.key.map(|key| key.latest_version),
            rewrap_left: self.rotation.left(),
            digests: Digests {
                manifest: verified.map(|verified| verified.manifest.digest()),
                policy: verified.map(|verified| hex::encode(verified.policy.digest())),
                trust,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Puts what was found into use.
    async fn apply(&mut self, found: Assessment) {
        let Assessment { verified, credentials, serves, .. } = found;
        let (Some(verified), Some(keys), Some((_, sealer))) = (verified, &self.keys, &self.sealer) else {
            self.signer.serve(None);
            return self.broker.disconnect().await;
        };
        match credentials {
            Some(credentials) => {
                let custody = verified.manifest.custody_id();
                let speaker = Speaker { custody, role: self.role, keys, peers: &verified.peers };
                self.broker.connect(&verified.nats, credentials, speaker).await;
            }
            None => self.broker.disconnect().await,
        }
        let trust_digest = match &self.observed {
            Observed::Seen(Documents { trust: Some(trust), .. }) => Sha256::digest(trust.as_bytes()).into(),
            _ => [0; 32],
        };
        let serving = serves.then(|| SigningContext {
            role: self.role,
            keys: keys.clone(),
            peers: verified.peers,
            manifest: verified.manifest,
            policy: verified.policy,
            rules: verified.rules,
            sealer: sealer.clone(),
            protection: verified.protection,
            observed: verified.observed,
            trust_digest,
        });
        self.signer.serve(serving.map(Arc::new));
        if let Err(error) = self.signer.count_windows().await {
            tracing::error!(%error, "a new window was not counted; it is tried again");
        }
    }

    /// Tells readiness, metrics and log; and the hub, when something changed.
    async fn tell(&mut self, report: Report) {
        let status = (report.state, report.message.clone());
        self.metrics.state(report.state);
        self.status.send_if_modified(|present| {
            let changed = *present != status;
            if changed {
                tracing::info!(state = ?status.0, why = status.1, "another state");
                *present = status;
            }
            changed
        });
        let Ok(text) = serde_json::to_string_pretty(&report) else {
            tracing::error!("the report is not encodable");
            return;
        };
        if let Some(maps) = &self.maps
            && self.reported.as_ref() != Some(&text)
        {
            match maps.write_report(&text).await {
                Ok(()) => {
                    self.metrics.reported();
                    self.reported = Some(text);
                }
                Err(error) => self.complain(&error, "the report was not written; it is tried again"),
            }
        }
    }
}

fn starting(why: &str) -> Unready {
    Unready::new(WorkloadState::Starting, why)
}
