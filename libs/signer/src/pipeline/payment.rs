//! `Check` and `Sign`: the steps of a payment, each a type that only the step before can make.

use chain::{ChainId, ChainRules, Intent, WalletDesc};
use custody::{KeyRole, Role};
use prost::Message;
use protocol::ops::{HotKeys, Outcome, Payment, Signed};
use zeroize::Zeroizing;

use super::{Serving, Stop, cool_key_context, hot_key_context, register};
use crate::store::{Kind, OperationKey, Recording, Store, Watermark};

/// The decision without the signature: the digest that `Sign` would sign. Nothing is stored.
pub(super) async fn check(store: &Store, serving: &Serving, payment: &Payment) -> Result<[u8; 32], Stop> {
    let allowed = Decoded::read(store, serving, payment).await?.for_check(payment)?.judge(serving)?;
    let mark = allowed.watermark()?;
    match store.nonce_is_free(mark.clone()).await? {
        true => Ok(mark.digest),
        false => Err(nonce_used(&mark)),
    }
}

/// All steps of a signature.
pub(super) async fn sign(
    store: &Store,
    serving: &Serving,
    key: &OperationKey,
    payment: &Payment,
) -> Result<Outcome, Stop> {
    let decoded = Decoded::read(store, serving, payment).await?;
    let allowed = decoded.for_signing(serving, payment)?.judge(serving)?;
    let recorded = allowed.record(store, key).await?;
    let digest = recorded.digest().to_vec();
    let signature = recorded.sign(store, serving).await?;
    Ok(Outcome::Signed(Signed { digest, signature, head: None }))
}

/// What the very bytes to be signed would do to a registered wallet.
struct Decoded<'a> {
    wallet: String,
    rules: &'a dyn ChainRules,
    desc: WalletDesc,
    effect: chain::Decoded,
}

impl<'a> Decoded<'a> {
    async fn read(store: &Store, serving: &'a Serving, payment: &Payment) -> Result<Self, Stop> {
        let (chain, rules) = serving.rules(&payment.chain)?;
        let desc = registered(store, serving, &payment.wallet, &chain).await?;
        let effect = rules.decode(&payment.unsigned, &desc, serving.policy.assets(&chain))?;
        Ok(Self { wallet: payment.wallet.clone(), rules, desc, effect })
    }

    /// A check comes before any signature.
    fn for_check(self, payment: &Payment) -> Result<Vouched<'a>, Stop> {
        no_hot_signature(payment)?;
        Ok(Vouched(self))
    }

    /// Keeper signs first; Cooler only what hot has signed.
    fn for_signing(self, serving: &Serving, payment: &Payment) -> Result<Vouched<'a>, Stop> {
        if serving.role == Role::Keeper {
            no_hot_signature(payment)?;
        } else if !self.rules.verify(&self.desc.owners.hot, &self.effect.digest, &payment.hot_signature) {
            return Err(Stop::refused("HotSignatureInvalid", "cooler signs only what the wallet's hot key has signed"));
        }
        Ok(Vouched(self))
    }
}

fn no_hot_signature(payment: &Payment) -> Result<(), Stop> {
    if payment.hot_signature.is_empty() {
        return Ok(());
    }
    Err(Stop::refused("Malformed", "hot's signature belongs into a Sign to cooler and nowhere else"))
}

/// The registered wallet, recomputed: a row that was changed does not get this far.
async fn registered(store: &Store, serving: &Serving, wallet: &str, chain: &ChainId) -> Result<WalletDesc, Stop> {
    let unknown = || Stop::refused("WalletUnknown", format!("wallet '{wallet}' is not registered on {chain}"));
    let row = store.wallet(wallet).await?.ok_or_else(unknown)?;
    let (_, address) = row.addresses.iter().find(|(known, _)| known == chain.as_str()).ok_or_else(unknown)?;
    let damaged = || Stop::unavailable("StoreDamaged", "a wallet's row is not what was registered; restore the volume");
    let hot = HotKeys::decode(row.hot_keys.as_slice()).map_err(|_| damaged())?;
    let salt = row.salt.as_slice().try_into().map_err(|_| damaged())?;
    let desc = register::wallet(serving, &hot, salt, chain.as_str())?;
    if desc.address != *address || hot.wallet != wallet {
        return Err(damaged());
    }
    Ok(desc)
}

/// Decoded and, where the signer is second, signed by hot.
struct Vouched<'a>(Decoded<'a>);

impl<'a> Vouched<'a> {
    fn judge(self, serving: &Serving) -> Result<Allowed<'a>, Stop> {
        serving.policy.judge(&self.0.desc.chain, &self.0.effect.intent)?;
        Ok(Allowed(self.0))
    }
}

/// Allowed by the policy.
struct Allowed<'a>(Decoded<'a>);

impl<'a> Allowed<'a> {
    fn watermark(&self) -> Result<Watermark, Stop> {
        let Decoded { wallet, desc, effect, .. } = &self.0;
        let too_large = |_| Stop::refused("NonceTooLarge", format!("nonce {} is above 2^63 - 1", effect.nonce));
        Ok(Watermark {
            wallet: wallet.clone(),
            chain: desc.chain.to_string(),
            nonce: effect.nonce.try_into().map_err(too_large)?,
            kind: if matches!(effect.intent, Intent::Cancel { .. }) { Kind::Cancel } else { Kind::Payment },
            digest: effect.digest,
        })
    }

    /// On disk before the key is touched.
    async fn record(self, store: &Store, key: &OperationKey) -> Result<Recorded<'a>, Stop> {
        let mark = self.watermark()?;
        match store.record(key.clone(), mark.clone()).await? {
            Recording::Recorded => Ok(Recorded(self.0)),
            Recording::NonceUsed => Err(nonce_used(&mark)),
            Recording::Reused => Err(Stop::reused()),
        }
    }
}

fn nonce_used(mark: &Watermark) -> Stop {
    let message = format!(
        "another payment was signed for nonce {} of wallet {}; it, or a cancel, uses the nonce up",
        mark.nonce, mark.wallet
    );
    Stop::refused("NonceUsed", message)
}

/// Its digest is on disk: only this may be signed.
struct Recorded<'a>(Decoded<'a>);

impl Recorded<'_> {
    fn digest(&self) -> [u8; 32] {
        self.0.effect.digest
    }

    /// Opens the key for this one signature, which is verified before it is believed. Deterministic (RFC 6979): after
    /// a crash the same digest gets the same signature.
    async fn sign(self, store: &Store, serving: &Serving) -> Result<Vec<u8>, Stop> {
        let Decoded { wallet, rules, desc, effect } = &self.0;
        let secret = secret(store, serving, wallet, desc).await?;
        let signed = rules.sign(&secret, &effect.digest);
        let signature = signed.map_err(|error| Stop::unavailable("KeyDamaged", error.to_string()))?;
        if !rules.verify(desc.owners.key(serving.owner()), &effect.digest, &signature) {
            return Err(Stop::unavailable("KeyDamaged", "the opened key is not the wallet's; restore the volume"));
        }
        Ok(signature)
    }
}

/// This signer's key for the wallet, opened.
async fn secret(
    store: &Store,
    serving: &Serving,
    wallet: &str,
    desc: &WalletDesc,
) -> Result<Zeroizing<[u8; 32]>, Stop> {
    let (custody, namespace) = (serving.custody_id(), desc.chain.namespace());
    let (sealed, context) = match serving.owner() {
        KeyRole::Hot => (store.hot_key(wallet, namespace).await?, hot_key_context(custody, wallet, namespace)),
        _ => (store.cool_key(namespace).await?, cool_key_context(custody, namespace)),
    };
    let missing = || Stop::unavailable("KeyMissing", format!("this signer holds no key for {namespace}"));
    let opened = serving.sealer.open(context, sealed.ok_or_else(missing)?.secret).await?;
    let damaged = |_| Stop::unavailable("KeyDamaged", "the opened key has not 32 bytes; restore the volume");
    Ok(Zeroizing::new(opened.as_slice().try_into().map_err(damaged)?))
}
