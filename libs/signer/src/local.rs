//! Commands of the data centre's admin, run beside the process (`kubectl exec`): they open the same store and log in to
//! the Vault themselves, and need neither hub nor broker. On the worst day the API server is not needed either: the
//! last good trust bundle and manifest are in the store.

use audit::{Decision, Entry};
use chain::WalletDesc;
use custody::{
    CustodyId, KeyRole, Role, WalletId,
    coolseal::{self, CoolSealError, SealedCool},
    manifest::VerifiedManifest,
    phrase::{NAMESPACES, PhraseError},
    trust::TrustBundle,
};
use evacuation::{Bundle, EvacuationError, ExportedWallet, VerifiedBundle, WalletsExport};
use prost::Message;
use protocol::ops::HotKeys;
use zeroize::Zeroizing;

use crate::{
    identity::{self, IdentityError},
    pipeline::cool_key_context,
    process::now_ms,
    store::{Document, Ledger, RegisteredWallet, SealedKey, Store, StoreError},
    wiring::{
        Place,
        cluster::{Cluster, ClusterError},
        documents::{self, Documents, Unready},
    },
};

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LocalError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Vault did not do it.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The own keys did not open.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Neither the API server nor the store has documents to go by.
    #[error("no trust bundle and manifest to go by: {now}; and the store has none from before")]
    NoDocuments {
        /// Why the present ones are not usable.
        now: String,
    },
    /// The sealed phrase was not accepted.
    #[error(transparent)]
    CoolSeal(#[from] CoolSealError),
    /// A phrase has no key for a family of chains.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// Another key is there.
    #[error(
        "a cool key that is not this phrase's is stored already; nothing was imported. If the custody was made anew, \
         empty the volume first"
    )]
    OtherCoolKey,
    /// Nothing to sign with.
    #[error("no cool key is stored; import the phrase first (`multisig cool import`)")]
    NoCoolKey,
    /// The plan was not accepted.
    #[error(transparent)]
    Evacuation(#[from] EvacuationError),
    /// A row of the store is damaged.
    #[error("wallet {0} of the store is not readable; restore the volume")]
    Damaged(String),
}

/// The present documents where they are good, else the last good ones.
async fn documents(place: &Place, role: Role, store: &Store) -> Result<(TrustBundle, VerifiedManifest), LocalError> {
    let now = match present(place, role).await.and_then(|present| pinned(role, &present)) {
        Ok(pair) => return Ok(pair),
        Err(unready) => unready.message,
    };
    let trust = store.document(Document::Trust).await?;
    let manifest = store.document(Document::Manifest).await?;
    let kept = Documents { trust, manifest, ..Documents::default() };
    let pair = pinned(role, &kept).map_err(|_| LocalError::NoDocuments { now: now.clone() })?;
    tracing::warn!(now, "the present documents are not usable; going by the last good ones of the store");
    Ok(pair)
}

async fn present(place: &Place, role: Role) -> Result<Documents, Unready> {
    let read = async { Cluster::new(&place.kube_dir, &place.namespace, role)?.documents().await };
    read.await.map_err(|error: ClusterError| error.into())
}

fn pinned(role: Role, documents: &Documents) -> Result<(TrustBundle, VerifiedManifest), Unready> {
    let trust = documents::trust(role, documents)?;
    let manifest = documents::manifest(&trust, documents)?;
    Ok((trust, manifest))
}

/// `wallets export`: every wallet record, for planning an evacuation. Nothing in it is secret.
pub(crate) async fn export(place: &Place, role: Role) -> Result<WalletsExport, LocalError> {
    let store = Store::open(&place.data_dir)?;
    let (_, manifest) = documents(place, role, &store).await?;
    let wallets = store.wallets().await?.into_iter().map(exported).collect::<Result<_, _>>()?;
    Ok(WalletsExport::new(&manifest, wallets))
}

fn exported(row: RegisteredWallet) -> Result<ExportedWallet, LocalError> {
    let RegisteredWallet { wallet, hot_keys, salt, addresses, record: _ } = row;
    let damaged = || LocalError::Damaged(wallet.clone());
    let hot = HotKeys::decode(hot_keys.as_slice()).map_err(|_| damaged())?;
    let keys = hot.keys.into_iter().map(|key| (key.namespace, key.public_key)).collect();
    let salt = salt.try_into().map_err(|_| damaged())?;
    let addresses = addresses
        .into_iter()
        .map(|(chain, address)| Ok((chain.parse().map_err(|_| damaged())?, address)))
        .collect::<Result<_, LocalError>>()?;
    Ok(ExportedWallet::new(wallet.parse().map_err(|_| damaged())?, &keys, salt, addresses))
}

/// `cooler import`: opens the sealed phrase with the own XKey and accepts only the phrase of the pinned manifest.
pub(crate) async fn import(place: &Place, sealed: &[u8]) -> Result<VerifiedManifest, LocalError> {
    let sealed = SealedCool::parse(sealed)?;
    let store = Store::open(&place.data_dir)?;
    let (trust, manifest) = documents(place, Role::Cooler, &store).await?;
    let sealer = place.sealer(&trust.vault)?;
    let own = identity::reopen(&store, &sealer).await?;
    let phrase = coolseal::open(&sealed, &own.xkey(), &manifest)?;
    let (keys, custody) = (phrase.keys(), manifest.custody_id());
    let mut secrets = Vec::with_capacity(NAMESPACES.len());
    for namespace in NAMESPACES {
        secrets.push((cool_key_context(custody, namespace), keys.secret(namespace)?));
    }
    let secrets: Vec<_> = secrets.iter().map(|(context, secret)| (*context, secret.as_slice())).collect();
    let mut rows = Vec::with_capacity(NAMESPACES.len());
    for (namespace, secret) in NAMESPACES.into_iter().zip(sealer.seal(&secrets).await?) {
        let public_key = keys.public_key(namespace)?.to_vec();
        rows.push(SealedKey { namespace: namespace.to_owned(), public_key, secret });
    }
    if store.keep_cool_keys(rows).await? { Ok(manifest) } else { Err(LocalError::OtherCoolKey) }
}

/// All digests and their audit records on disk, before the first is signed. A sweep that reverted because the balance
/// moved is signed again under another digest.
async fn record_evacuation(store: &Store, verified: &VerifiedBundle, custody: CustodyId) -> Result<(), StoreError> {
    let steps: Vec<([u8; 32], WalletId, WalletDesc)> = verified
        .steps()
        .iter()
        .map(|step| (*step.digest(), step.step().wallet.clone(), step.wallet().clone()))
        .collect();
    let record = move |ledger: &Ledger<'_>| {
        for (digest, wallet, desc) in steps {
            if ledger.record_evacuation(&digest, desc.chain.as_str(), &desc.address)? {
                ledger.append(Entry {
                    decision: Decision::Signed,
                    wallet: wallet.to_string(),
                    chain: desc.chain.to_string(),
                    digest: digest.to_vec(),
                    ..admin_entry(Role::Cooler, custody, audit::EVACUATION_SIGN, ledger.now_ms())
                })?;
            }
        }
        Ok(())
    };
    store.decide(now_ms(), record).await
}

/// What the audit chain says of a local command.
fn admin_entry(role: Role, custody: CustodyId, operation: &str, at_ms: u64) -> Entry {
    Entry {
        at_ms,
        role: role.to_string(),
        custody_id: custody.as_bytes().to_vec(),
        requester: "admin".to_owned(),
        operation: operation.to_owned(),
        decision: Decision::Done,
        ..Entry::default()
    }
}

/// `cooler evac sign`: cool's signature on every step of a plan. Each step is recomputed from the manifest and its own
/// bytes, goes to a safe destination, and is recorded before it is signed.
pub(crate) async fn sign_evacuation(place: &Place, plan: &[u8]) -> Result<Bundle, LocalError> {
    let plan = Bundle::parse(plan)?;
    let store = Store::open(&place.data_dir)?;
    let (trust, manifest) = documents(place, Role::Cooler, &store).await?;
    let mut verified = plan.verify(&manifest)?;
    let sealer = place.sealer(&trust.vault)?;
    let mut secrets = Vec::new();
    for SealedKey { namespace, secret, .. } in store.cool_keys().await? {
        let context = cool_key_context(manifest.custody_id(), &namespace);
        let opened = sealer.open(context, secret).await?;
        let secret = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| LocalError::NoCoolKey)?;
        secrets.push((namespace, Zeroizing::new(secret)));
    }
    if secrets.is_empty() {
        return Err(LocalError::NoCoolKey);
    }
    record_evacuation(&store, &verified, manifest.custody_id()).await?;
    verified.sign(KeyRole::Cool, |namespace| {
        let known = secrets.iter().find(|(known, _)| known == namespace);
        known.map(|(_, secret)| secret.clone()).ok_or(LocalError::NoCoolKey)
    })?;
    Ok(verified.bundle().clone())
}
