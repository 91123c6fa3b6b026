//! The keys: cool's is one for all wallets, hot's are one for each, and Keeper can't open those that a client's key seals.

use std::{fmt, sync::Arc};

use chain::ChainId;
use custody::CustodyId;
use evacuation::{
    EvacuationError,
    stream::{SignedChunk, StreamError, VerifiedChunk},
};
use sealing::{Sealer, is_client_sealed};
use serde::Serialize;
use signer::{
    pipeline::{cool_key_context, hot_key_context},
    store::{SealedKey, Store},
};
use zeroize::Zeroizing;

use super::AdminError;

/// Hot keys that are opened by one request to the Vault; four are under way, which is a chunk.
const AT_ONCE: usize = 250;

/// A 32-byte secret key.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// Why a wallet has no signature of hot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Lack {
    /// Keeper can't open it alone.
    ClientKey,
    /// There is none here.
    Unknown,
    /// The plan's wallet is another one.
    OtherKey,
    /// Something is wrong with the volume.
    Damaged,
}

/// Of a chunk's wallet: its key, sealed, or why there is none.
pub(super) type Sealed = Result<String, Lack>;

/// A signer's keys.
pub(super) enum Keys {
    /// By chain namespace, opened.
    Cool(Vec<(String, Secret)>),
    /// Opened chunk by chunk.
    Hot { custody: CustodyId, sealer: Arc<Sealer> },
}

impl Keys {
    pub(super) fn hot(custody: CustodyId, sealer: Arc<Sealer>) -> Self {
        Self::Hot { custody, sealer }
    }

    pub(super) async fn cool(custody: CustodyId, sealer: Arc<Sealer>, store: &Store) -> Result<Self, AdminError> {
        let mut secrets = Vec::new();
        for SealedKey { namespace, secret, .. } in store.cool_keys().await? {
            let opened = sealer.open(cool_key_context(custody, &namespace), secret).await?;
            secrets.push((namespace, secret_of(&opened).ok_or(AdminError::NoCoolKey)?));
        }
        if secrets.is_empty() { Err(AdminError::NoCoolKey) } else { Ok(Self::Cool(secrets)) }
    }

    /// The cool key for a family of chains.
    pub(super) fn one(&self, namespace: &str) -> Result<&Secret, AdminError> {
        let Self::Cool(secrets) = self else { return Err(AdminError::NoCoolKey) };
        secrets.iter().find(|(known, _)| known == namespace).map(|(_, secret)| secret).ok_or(AdminError::NoCoolKey)
    }

    /// What there is of each wallet of a chunk, as far as the store says; nothing of cool, whose key is there.
    pub(super) async fn of(
        &self,
        store: &Store,
        chain: &ChainId,
        chunk: &VerifiedChunk,
    ) -> Result<Vec<Sealed>, AdminError> {
        if let Self::Cool(_) = self {
            return Ok(Vec::new());
        }
        let namespace = chain.namespace().to_owned();
        let wallets = chunk.wallets().iter().map(|wallet| wallet.planned());
        let asked: Vec<_> = wallets.map(|planned| (planned.id.to_string(), planned.hot_key.clone())).collect();
        let found = store.look(0, move |ledger| {
            let of = |(wallet, planned): (String, Vec<u8>)| Ok(judged(ledger.hot_key(&wallet, &namespace)?, &planned));
            asked.into_iter().map(of).collect()
        });
        Ok(found.await?)
    }

    /// The signatures of a chunk, by keys that are opened for it alone; what does not open becomes a lack in `sealed`.
    pub(super) async fn sign(
        &self,
        chain: &ChainId,
        chunk: &VerifiedChunk,
        sealed: &mut [Sealed],
    ) -> Result<SignedChunk, AdminError> {
        let namespace = chain.namespace();
        match self {
            Self::Cool(_) => Ok(SignedChunk::sign(chunk, chain::KeyRole::Cool, self.one(namespace)?)?),
            Self::Hot { custody, sealer } => {
                let secrets = opened(sealer, *custody, namespace, chunk, sealed).await?;
                Ok(SignedChunk::sign_hot(chunk, &secrets).map_err(other_key)?)
            }
        }
    }
}

fn judged(found: Option<SealedKey>, planned: &[u8]) -> Sealed {
    match found {
        None => Err(Lack::Unknown),
        Some(key) if key.public_key != planned => Err(Lack::OtherKey),
        Some(key) if is_client_sealed(&key.secret) => Err(Lack::ClientKey),
        Some(key) => Ok(key.secret),
    }
}

/// The keys of a chunk's wallets, in order.
async fn opened(
    sealer: &Sealer,
    custody: CustodyId,
    namespace: &str,
    chunk: &VerifiedChunk,
    sealed: &mut [Sealed],
) -> Result<Vec<Option<Secret>>, AdminError> {
    let wallets = chunk.wallets().iter().zip(sealed.iter());
    let asked: Vec<_> = wallets
        .filter_map(|(wallet, sealed)| {
            let context = hot_key_context(custody, wallet.planned().id.as_str(), namespace);
            Some((context, sealed.as_deref().ok()?))
        })
        .collect();
    let mut parts = asked.chunks(AT_ONCE);
    let mut part = || sealer.open_many(parts.next().unwrap_or_default());
    let (one, two, three, four) = tokio::try_join!(part(), part(), part(), part())?;
    let mut opened = one.into_iter().chain(two).chain(three).chain(four);
    let each = sealed.iter_mut().map(|sealed| {
        let secret = sealed.as_ref().ok().and_then(|_| secret_of(&opened.next()?.ok()?));
        if secret.is_none() && sealed.is_ok() {
            *sealed = Err(Lack::Damaged);
        }
        secret
    });
    Ok(each.collect())
}

fn secret_of(opened: &[u8]) -> Option<Secret> {
    opened.try_into().ok().map(Zeroizing::new)
}

/// Hot has no phrase.
fn other_key(error: StreamError) -> AdminError {
    match error {
        StreamError::Evacuation(EvacuationError::OtherPhrase(_)) => AdminError::Refused(
            "a hot key opens to another one than its public key says; restore the volume".to_owned(),
        ),
        other => other.into(),
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lack::ClientKey => "its key needs the client's key",
            Lack::Unknown => "Keeper has no key of it",
            Lack::OtherKey => "the plan has another hot key of it than Keeper",
            Lack::Damaged => "its key does not open; restore the volume",
        })
    }
}
