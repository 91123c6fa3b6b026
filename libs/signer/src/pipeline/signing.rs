//! From what is on disk to the signature: the key is opened for this one transaction and nothing else.

use audit::Head;
use chain::{KeyRole, Signatures, WalletDesc};
use protocol::ops::{Outcome, Signed};
use zeroize::Zeroizing;

use super::{
    context::{SigningContext, cool_key_context, hot_key_context},
    decoded::Decoded,
    lock::Lock,
    request::Accepted,
    signer::Signer,
    stop::Stop,
};
use crate::store::{Ledger, SealedKey, Start, StoreError};

/// This signer's sealed key for the wallet.
pub(super) fn sealed_key(
    ledger: &Ledger<'_>,
    serving: &SigningContext,
    wallet: &str,
    desc: &WalletDesc,
) -> Result<Option<SealedKey>, StoreError> {
    match serving.owner() {
        KeyRole::Hot => ledger.hot_key(wallet, desc.chain.namespace()),
        _ => ledger.cool_key(desc.chain.namespace()),
    }
}

/// Its claims are on disk: only this may be signed.
pub(super) struct Recorded {
    pub(super) decoded: Decoded,
    pub(super) secret: Option<SealedKey>,
    pub(super) head: Head,
    pub(super) overrides: u64,
    pub(super) start: Start,
}

impl Recorded {
    /// Opens the key for this one signature.
    pub(super) async fn unseal(self, serving: &SigningContext, accepted: &Accepted) -> Result<Unsealed, Stop> {
        let Decoded { wallet, desc, .. } = &self.decoded;
        let (custody, namespace) = (serving.custody_id(), desc.chain.namespace());
        let missing = || Stop::unavailable("KeyMissing", format!("this signer holds no key for {namespace}"));
        let sealed = self.secret.as_ref().ok_or_else(missing)?;
        let context = match serving.owner() {
            KeyRole::Hot => hot_key_context(custody, wallet, namespace),
            _ => cool_key_context(custody, namespace),
        };
        let opened = serving.open(context, sealed.secret.clone(), accepted.client_key.as_ref()).await?;
        let damaged = |_| Stop::unavailable("KeyDamaged", "the opened key has not 32 bytes; restore the volume");
        let secret = Zeroizing::new(opened.as_slice().try_into().map_err(damaged)?);
        Ok(Unsealed { recorded: self, secret })
    }
}

/// Recorded, and its key is open.
pub(super) struct Unsealed {
    recorded: Recorded,
    secret: Zeroizing<[u8; 32]>,
}

impl Unsealed {
    /// The signatures, one per payload, each verified before it is believed. Deterministic (RFC 6979): after a crash the
    /// same transaction gets the same signatures.
    pub(super) fn sign(self, signer: &Signer, serving: &SigningContext) -> Result<Outcome, Stop> {
        let Self { recorded: Recorded { decoded, head, overrides, start, .. }, secret } = self;
        // It may have been superseded while the key was opened.
        if let Lock::Locked(why) = &*signer.lock() {
            return Err(Stop::locked(why));
        }
        let Decoded { desc, transaction, payloads, .. } = decoded;
        let (_, rules) = serving.rules(desc.chain.as_str())?;
        let key = desc.owners.key(serving.owner());
        let mut signatures = Signatures::with_capacity(payloads.len());
        for payload in &payloads {
            let signed = rules.sign(&secret, payload);
            let signature = signed.map_err(|error| Stop::unavailable("KeyDamaged", error.to_string()))?;
            if !rules.verify(key, payload, &signature) {
                return Err(Stop::unavailable("KeyDamaged", "the opened key is not the wallet's; restore the volume"));
            }
            signatures.push(signature);
        }
        let head = Some(signer.attested(serving, head, overrides, start));
        Ok(Outcome::Signed(Signed { digest: transaction.id.to_vec(), signatures, head }))
    }
}

/// A stored result with the present head in the place of the one of then: Cooler believes only that of the present start.
pub(super) async fn with_present_head(
    signer: &Signer,
    serving: &SigningContext,
    outcome: Outcome,
) -> Result<Outcome, Stop> {
    let Outcome::Signed(signed) = outcome else { return Ok(outcome) };
    let own = serving.keys.own().message_key().verifying_key();
    let start = signer.start().await?;
    let (head, overrides) =
        signer.decide_upon_whole(move |ledger| Ok((ledger.head()?, ledger.overrides(&own)?))).await?;
    let head = Some(signer.attested(serving, head, overrides, start));
    Ok(Outcome::Signed(Signed { head, ..signed }))
}
