//! What the store knows that the state depends on.

use custody::local_policy::LocalPolicy;
use ed25519_dalek::VerifyingKey;
use signer::store::{Ledger, Store, StoreError};

/// As of now.
pub(super) struct Remembered {
    /// Earlier local policies that still hold.
    pub(super) held: Vec<LocalPolicy>,
    /// Everything is frozen: by whom and why.
    pub(super) frozen: Option<String>,
    /// Whether the admin has accepted the chain since the signer was locked.
    pub(super) accepted: bool,
    /// Of the audit chain.
    pub(super) head: audit::Head,
}

/// Notes the present local policy, where there is one, and recalls the rest. `own` is the signer's message key.
pub(super) async fn recall(
    store: &Store,
    now_ms: u64,
    locked_since_ms: u64,
    own: Option<VerifyingKey>,
    local_policy: Option<LocalPolicy>,
) -> Result<Remembered, StoreError> {
    if let Some(local_policy) = local_policy {
        let asked = local_policy.clone();
        if !store.look(now_ms, move |ledger| ledger.has_seen_local_policy(&asked)).await? {
            store.decide(now_ms, move |ledger| ledger.see_local_policy(&local_policy)).await?;
        }
    }
    let look = move |ledger: &Ledger<'_>| {
        let frozen = ledger.frozen("")?.map(|it| format!("frozen by {}: {}", it.requester, it.reason));
        let accepted = own.map_or(Ok(false), |own| ledger.accepted_since(&own, locked_since_ms))?;
        Ok(Remembered { held: ledger.held_local_policies()?, frozen, accepted, head: ledger.head()? })
    };
    store.look(now_ms, look).await
}
