//! The volume: what is left of it, told to the signer, the report and the metrics; and what is pruned so that more is
//! left.

use std::sync::Arc;

use custody::{
    local_policy::LocalPolicy,
    volume::{Room, Space},
};
use signer::{
    pipeline::Signer,
    store::{Pruning, Store},
};
use workload::{place::Place, volume};

use crate::metrics::VolumeMetrics;

/// Over which the days left are reckoned: at least, and at most before it begins anew.
const SPAN_MS: [u64; 2] = [3_600_000, 24 * 3_600_000];

/// What is remembered between two looks.
pub(super) struct Volume {
    metrics: VolumeMetrics,
    pruning: Pruning,
    warning: Option<String>,
    /// When a span began, Unix milliseconds, and what was left then.
    since: Option<(u64, u64)>,
}

impl Volume {
    pub(super) fn new(metrics: VolumeMetrics) -> Self {
        Self { metrics, pruning: Pruning::default(), warning: None, since: None }
    }

    /// Looks, and prunes a little. Without a local policy there is nothing to evacuate yet.
    pub(super) async fn step(
        &mut self,
        place: &Place,
        store: &Store,
        signer: &Arc<Signer>,
        policy: Option<&LocalPolicy>,
    ) {
        let now_ms = signer.now_ms();
        if let Some(policy) = policy {
            match look(place, store, now_ms, policy).await {
                Ok(room) => self.tell(now_ms, room, signer),
                Err(why) => tracing::error!(why, "the volume was not looked at; what is known of it stays"),
            }
        }
        match store.prune(now_ms, &mut self.pruning).await {
            Ok(pruned) => self.metrics.pruned(&pruned),
            Err(error) => tracing::error!(%error, "nothing was pruned"),
        }
    }

    /// The report's line, with what is to be said of the volume.
    pub(super) fn beside(&self, message: String) -> String {
        match &self.warning {
            Some(warning) => format!("{message}; {warning}"),
            None => message,
        }
    }

    fn tell(&mut self, now_ms: u64, room: Room, signer: &Signer) {
        signer.see_room(room);
        let (at_ms, left) = *self.since.get_or_insert((now_ms, room.left()));
        let took_ms = now_ms.saturating_sub(at_ms);
        let days = if took_ms >= SPAN_MS[0] { room.days_left(now_ms, (at_ms, left)) } else { None };
        if took_ms >= SPAN_MS[1] {
            self.since = Some((now_ms, room.left()));
        }
        self.metrics.seen(&room, days);
        let warning = room.warning(days);
        if warning != self.warning {
            match &warning {
                Some(warning) => tracing::warn!(free = room.space.free, reserve = room.reserve, "{warning}"),
                None => tracing::info!(free = room.space.free, "there is room on the volume again"),
            }
            self.warning = warning;
        }
    }
}

async fn look(place: &Place, store: &Store, now_ms: u64, policy: &LocalPolicy) -> Result<Room, String> {
    let file = store.look(now_ms, |ledger| ledger.file_use()).await.map_err(|error| error.to_string())?;
    let volume::Space { size, free } = volume::space(&place.data_dir).map_err(|error| error.to_string())?;
    Ok(Room::of(Space { size, free: free.saturating_add(file.free) }, file.wallets, policy))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use custodies::CHAIN;
    use custody::local_policy::AssetLimits;

    use super::*;
    use crate::metrics::Metrics;

    const HOUR_MS: u64 = 3_600_000;

    struct Bench {
        metrics: Metrics,
        volume: Volume,
        store: Arc<Store>,
        signer: Arc<Signer>,
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let (metrics, folder) = (Metrics::new(), tempfile::tempdir().unwrap());
            let store = Arc::new(Store::open(folder.path()).unwrap());
            let signer = Arc::new(Signer::new(store.clone(), [1; 16], Arc::new(|| 1_800_000_000_000)));
            Self { volume: Volume::new(VolumeMetrics::new(&metrics)), metrics, store, signer, folder }
        }

        fn tell(&mut self, now_ms: u64, free: u64) -> String {
            let room = Room { space: Space { size: 1_100, free }, reserve: 100, most_wallets: 9 };
            self.volume.tell(now_ms, room, &self.signer);
            self.volume.beside("serving".to_owned())
        }

        fn shows(&self, line: &str) {
            let text = self.metrics.text();
            assert!(text.lines().any(|shown| shown == format!("multisig_signer_volume_{line}")), "{line}: {text}");
        }
    }

    #[test]
    fn a_volume_that_fills_is_in_the_report_before_it_is_full_and_its_end_in_the_metrics() {
        let mut bench = Bench::new();
        assert_eq!(bench.tell(0, 1_100), "serving");
        assert_eq!(bench.tell(HOUR_MS - 1, 600), "serving");
        bench.shows("days_left -1");
        let said = bench.tell(24 * HOUR_MS, 300);
        assert!(said.starts_with("serving; VolumeFilling: it is full in less than 14 days"), "{said}");
        for line in ["size_bytes 1100", "free_bytes 300", "reserve_bytes 100", "days_left 0"] {
            bench.shows(line);
        }
        // A new span: a day for 10 of 190.
        let slower = bench.tell(48 * HOUR_MS, 290);
        assert!(slower.starts_with("serving; VolumeFilling: more than 70 %"), "{slower}");
        bench.shows("days_left 19");
        assert_eq!(bench.tell(48 * HOUR_MS + 1, 289), slower, "the line changes at a mark, and not with every byte");
        assert!(bench.tell(49 * HOUR_MS, 240).contains("more than 85 %"));
        assert!(bench.tell(50 * HOUR_MS, 100).starts_with("serving; VolumeFull: "));
        assert_eq!(bench.tell(51 * HOUR_MS, 1_100), "serving", "it was enlarged, or pruned");
    }

    #[tokio::test]
    async fn a_real_volume_is_looked_at_with_what_the_policy_reserves() {
        let mut bench = Bench::new();
        let place = Place {
            data_dir: bench.folder.path().to_owned(),
            kube_dir: PathBuf::from("/nonexistent"),
            vault_token_file: PathBuf::from("/nonexistent"),
            namespace: String::new(),
        };
        let policy = LocalPolicy::new(vec![AssetLimits::new(CHAIN, "ETH", "native", 18, "1")]);
        let Bench { volume, store, signer, .. } = &mut bench;
        volume.step(&place, store, signer, Some(&policy)).await;
        bench.shows(&format!("reserve_bytes {}", custody::volume::reserve(0, &policy)));
        let text = bench.metrics.text();
        assert!(!text.contains("volume_size_bytes 0") && !text.contains("volume_free_bytes 0"), "{text}");
    }
}
