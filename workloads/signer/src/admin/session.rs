//! What every command of the admin begins with: the store, the documents to go by, and what the audit chain will say.

use std::fmt;

use audit::{Decision, Entry};
use clock::now_ms;
use custody::{
    CustodyId, Role, manifest::VerifiedManifest, phrase::PhraseError, sealed_phrase::CoolSealError, trust::MemberTrust,
};
use evacuation::EvacuationError;
use policy::WithoutPaper;
use rand_core::OsRng;
use serde::Serialize;
use signature_part::PartError;
use signer::{
    history::HistoryError,
    identity::{self, IdentityError},
    store::{Document, Ledger, Store, StoreError, Unwritten},
};
use workload::{
    configmaps::{ConfigMapError, ConfigMaps},
    documents::{self, Documents, Unready},
    place::Place,
};

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
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
    #[error("no member trust and manifest to go by: {now}; and the store has none from before")]
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
    /// A plan of version 2 was not accepted, or its signatures not written.
    #[error(transparent)]
    Plan(evacuation::stream::StreamError),
    /// A signature file is not written.
    #[error(transparent)]
    Part(Box<PartError>),
    /// The local policy wants a signature of paper.
    #[error(transparent)]
    WithoutPaper(#[from] WithoutPaper),
    /// The history is not imported.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A row of the store is damaged.
    #[error("wallet {0} of the store is not readable; restore the volume")]
    Damaged(String),
    /// What was asked for is not possible; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// Standard input is not readable.
    #[error("standard input: {0}")]
    Input(std::io::Error),
    /// Standard output is gone.
    #[error("standard output: {0}")]
    Output(std::io::Error),
}

impl From<Unwritten> for AdminError {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Store(error) => error.into(),
            Unwritten::Output(error) => Self::Output(error),
        }
    }
}

/// What a command did, in one line.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Done {
    /// Whether anything is now otherwise than before.
    pub(crate) changed: bool,
    /// For people.
    pub(crate) message: String,
}

impl Done {
    pub(super) fn new(changed: bool, message: impl Into<String>) -> Self {
        Self { changed, message: message.into() }
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The store, and whose it is.
pub(crate) struct AdminSession {
    pub(super) store: Store,
    pub(super) role: Role,
    /// None before the signer has served one.
    pub(super) custody: Option<CustodyId>,
}

impl AdminSession {
    /// Opens the store; asks nobody, so that a freeze waits for nothing.
    pub(crate) async fn open(place: &Place, role: Role) -> Result<Self, AdminError> {
        let store = Store::open(&place.data_dir)?;
        let custody = kept(role, &store).await?.ok().map(|(_, manifest)| manifest.custody_id());
        Ok(Self { store, role, custody })
    }

    /// The same for a command that changes more than a freeze: the rows of a store that are authenticated are written with
    /// its key, which the Vault opens.
    pub(crate) async fn keyed(place: &Place, role: Role) -> Result<Self, AdminError> {
        let session = Self::open(place, role).await?;
        if session.store.sealed_store_key().await?.is_some() {
            let (trust, _) = documents(place, role, &session.store).await?;
            identity::reauthenticate(&session.store, &*place.sealer(&trust.vault)?, &mut OsRng).await?;
        }
        Ok(session)
    }

    /// What the audit chain says of a command, before it is done.
    pub(super) fn entry(&self, operation: &str, at_ms: u64) -> Entry {
        admin_entry(self.role, self.custody, operation, at_ms)
    }

    pub(super) async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AdminError> {
        Ok(self.store.decide_urgent(now_ms(), decide).await?)
    }

    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AdminError> {
        Ok(self.store.look(now_ms(), look).await?)
    }

    /// Of what may be much, and taken slowly.
    pub(super) async fn export<T: Send + 'static>(
        &self,
        export: impl FnOnce(&Ledger<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, AdminError> {
        Ok(self.store.export(now_ms(), export).await?)
    }
}

/// The present documents where they are good, else the last good ones.
pub(super) async fn documents(
    place: &Place,
    role: Role,
    store: &Store,
) -> Result<(MemberTrust, VerifiedManifest), AdminError> {
    let now = match present(place, role).await.and_then(|present| pinned(role, &present)) {
        Ok(pair) => return Ok(pair),
        Err(unready) => unready.message,
    };
    let pair = kept(role, store).await?.map_err(|_| AdminError::NoDocuments { now: now.clone() })?;
    tracing::warn!(now, "the present documents are not usable; going by the last good ones of the store");
    Ok(pair)
}

/// The last good documents.
pub(super) async fn kept(
    role: Role,
    store: &Store,
) -> Result<Result<(MemberTrust, VerifiedManifest), Unready>, StoreError> {
    let trust = store.document(Document::Trust).await?;
    let manifest = store.document(Document::Manifest).await?;
    Ok(pinned(role, &Documents { trust, manifest, ..Documents::default() }))
}

async fn present(place: &Place, role: Role) -> Result<Documents, Unready> {
    let read = async { ConfigMaps::new(&place.kube_dir, &place.namespace, role)?.documents().await };
    read.await.map_err(|error: ConfigMapError| error.into())
}

fn pinned(role: Role, documents: &Documents) -> Result<(MemberTrust, VerifiedManifest), Unready> {
    let trust = documents::trust(role, documents)?;
    let manifest = documents::manifest(&trust, documents)?;
    Ok((trust, manifest))
}

/// What the audit chain says of a local command.
pub(super) fn admin_entry(role: Role, custody: Option<CustodyId>, operation: &str, at_ms: u64) -> Entry {
    Entry {
        at_ms,
        role: role.to_string(),
        custody_id: custody.map_or_else(Vec::new, |custody| custody.as_bytes().to_vec()),
        requester: "admin".to_owned(),
        operation: operation.to_owned(),
        decision: Decision::Done,
        ..Entry::default()
    }
}
