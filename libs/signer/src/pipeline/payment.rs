//! `Check`, `Announce` and `Sign`: the steps of a payment, each a type that only the step before can make. What the
//! policy has not judged is not recorded, and what is not recorded never reaches the key.

use std::sync::Arc;

use audit::{Decision, Entry, Head};
use chain::{Amount, Claim, Effect, KeyRole, Payload, WalletDesc};
use custody::Role;
use policy::{Facts, Verdict};
use prost::Message;
use protocol::ops::{Allowed, Attestation, Operation, Outcome, Payment, Pending, Response, Signed};
use zeroize::Zeroizing;

use super::{
    Signer, SigningContext, Stop, cool_key_context, hot_key_context, nonce,
    request::{Accepted, name},
    stored,
};
use crate::{
    fault,
    store::{Kind, Ledger, Recall, SealedKey, Spend, StoreError, Watermark},
};

/// Would it be signed? With `begin`, its time lock begins where it has one; else nothing is stored.
pub(super) async fn ask(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
    begin: bool,
) -> Result<Outcome, Stop> {
    let vouched = Decoded::read(signer, serving, &accepted).await?.before_signing(&accepted)?;
    let serving = serving.clone();
    let decide = move |ledger: &Ledger<'_>| {
        let mark = vouched.watermark();
        Ok(match vouched.judge(ledger, &serving, &mark)? {
            Err(stop) => Err(stop),
            Ok(Judged::Allowed { .. }) => Ok(Outcome::Allowed(Allowed { digest: mark.digest.to_vec() })),
            Ok(Judged::Pending { not_before_ms }) if begin => {
                Ok(vouched.wait(ledger, &serving, &accepted, &mark, not_before_ms)?)
            }
            Ok(Judged::Pending { not_before_ms }) => Ok(pending(&mark, not_before_ms)),
        })
    };
    signer.decide(decide).await?
}

/// All steps of a signature.
pub(super) async fn sign(signer: &Signer, serving: &Arc<SigningContext>, accepted: Accepted) -> Result<Outcome, Stop> {
    fault::point("accepted");
    let decoded =
        match Decoded::read(signer, serving, &accepted).await.and_then(|it| it.for_signing(serving, &accepted)) {
            Err(Stop::Refused(refusal)) => return signer.conclude(serving, accepted, Stop::Refused(refusal)).await,
            other => other?,
        };
    fault::point("decoded");
    let accepted = Arc::new(accepted);
    let (recording, asked) = (serving.clone(), accepted.clone());
    let recorded = match signer.decide(move |ledger| decoded.record(ledger, &recording, &asked)).await?? {
        Recording::Answered(outcome) => return Ok(outcome),
        Recording::Recorded(recorded) => recorded,
    };
    fault::point("recorded");
    let unsealed = recorded.unseal(serving, &accepted).await?;
    fault::point("unsealed");
    let outcome = unsealed.sign(signer, serving)?;
    fault::point("signed");
    // Made again for the same digest if this is lost: nobody waits for it.
    let result = Response { outcome: Some(outcome.clone()) }.encode_to_vec();
    signer.store.finish_later(accepted.key.clone(), result);
    fault::point("stored");
    Ok(outcome)
}

fn pending(mark: &Watermark, not_before_ms: u64) -> Outcome {
    Outcome::Pending(Pending { digest: mark.digest.to_vec(), not_before_ms })
}

/// A transaction with one effect, one nonce and one digest.
struct Single {
    intent: Effect,
    nonce: u64,
    digest: [u8; 32],
}

/// What the very bytes to be signed would do to a registered wallet.
struct Decoded {
    wallet: String,
    desc: Arc<WalletDesc>,
    effect: Single,
    intent: Option<Attestation>,
}

impl Decoded {
    async fn read(signer: &Signer, serving: &SigningContext, accepted: &Accepted) -> Result<Self, Stop> {
        let payment = payment(accepted)?;
        let (chain, rules) = serving.rules(&payment.chain)?;
        let desc = signer.registered(serving, &payment.wallet, &chain, accepted.client_key.as_ref()).await?;
        let decoded = rules.decode(&payment.unsigned, &desc, serving.policy.assets(&chain))?;
        let [Claim::Sequence(nonce)] = decoded.claims[..] else {
            return Err(Stop::refused("Malformed", "one nonce is used up at a time"));
        };
        let effect = Single { intent: decoded.effects[0].clone(), nonce, digest: decoded.id };
        if i64::try_from(effect.nonce).is_err() {
            return Err(Stop::refused("NonceTooLarge", format!("nonce {} is above 2^63 - 1", effect.nonce)));
        }
        Ok(Self { wallet: payment.wallet.clone(), desc, effect, intent: payment.intent.clone() })
    }

    /// A check or an announcement comes before any signature.
    fn before_signing(self, accepted: &Accepted) -> Result<Vouched, Stop> {
        no_hot_signature(payment(accepted)?)?;
        Ok(Vouched(self))
    }

    /// Keeper signs first; Cooler only what hot has signed.
    fn for_signing(self, serving: &SigningContext, accepted: &Accepted) -> Result<Vouched, Stop> {
        let payment = payment(accepted)?;
        let (_, rules) = serving.rules(&payment.chain)?;
        if serving.role == Role::Keeper {
            no_hot_signature(payment)?;
        } else if !rules.verify(&self.desc.owners.hot, &Payload::Digest(self.effect.digest), &payment.hot_signature) {
            return Err(Stop::refused("HotSignatureInvalid", "cooler signs only what the wallet's hot key has signed"));
        }
        Ok(Vouched(self))
    }
}

fn payment(accepted: &Accepted) -> Result<&Payment, Stop> {
    match &accepted.operation {
        Operation::Check(payment) | Operation::Announce(payment) | Operation::Sign(payment) => Ok(payment),
        other => Err(Stop::refused("Malformed", format!("{} is no payment", name(other)))),
    }
}

fn no_hot_signature(payment: &Payment) -> Result<(), Stop> {
    if payment.hot_signature.is_empty() {
        return Ok(());
    }
    Err(Stop::refused("Malformed", "hot's signature belongs into a Sign to cooler and nowhere else"))
}

/// Decoded, and where hot has to have signed it, it has.
struct Vouched(Decoded);

/// The verdict on something that is not recorded yet, or is already.
enum Judged {
    Allowed { intent: Option<[u8; 16]>, known: bool },
    Pending { not_before_ms: u64 },
}

/// What a decision came to.
enum Recording {
    Recorded(Box<Recorded>),
    Answered(Outcome),
}

impl Vouched {
    fn watermark(&self) -> Watermark {
        let Decoded { wallet, desc, effect, .. } = &self.0;
        Watermark {
            wallet: wallet.clone(),
            chain: desc.chain.to_string(),
            nonce: effect.nonce,
            kind: if matches!(effect.intent, Effect::Cancel { .. }) { Kind::Cancel } else { Kind::Payment },
            digest: effect.digest,
        }
    }

    /// Nonce and policy, upon what is on disk now. What was recorded before was judged then.
    fn judge(
        &self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        mark: &Watermark,
    ) -> Result<Result<Judged, Stop>, StoreError> {
        if ledger.recorded(mark)? {
            return Ok(Ok(Judged::Allowed { intent: None, known: true }));
        }
        if let Err(stop) = nonce::judge(mark, &ledger.nonces(&mark.wallet, &mark.chain, mark.nonce)?, serving.observed)
        {
            return Ok(Err(stop));
        }
        Ok(match self.verdict(ledger, serving)? {
            Verdict::Allowed { intent } => Ok(Judged::Allowed { intent, known: false }),
            Verdict::Pending { not_before_ms } => Ok(Judged::Pending { not_before_ms }),
            Verdict::Refused(refusal) => Err(Stop::Refused(refusal)),
        })
    }

    fn verdict(&self, ledger: &Ledger<'_>, serving: &SigningContext) -> Result<Verdict, StoreError> {
        let Decoded { wallet, desc, effect, intent } = &self.0;
        let chain = &desc.chain;
        let (mut spent, mut listed_since_ms) = (Vec::new(), None);
        if let Effect::Transfer { asset, to, .. } = &effect.intent {
            for window in serving.policy.windows(chain, asset) {
                spent.push(ledger.spent(window, wallet, chain.as_str(), asset)?);
            }
            listed_since_ms = ledger.listed_since(chain.as_str(), to)?;
        }
        let announcement = ledger.announcement(&effect.digest)?;
        Ok(serving.policy.judge(&Facts {
            now_ms: ledger.now_ms(),
            custody_id: serving.custody_id(),
            wallet,
            chain,
            effect: &effect.intent,
            // A Safe's refund fields are zero, or it is not decoded.
            fee: Amount::ZERO,
            spent: &spent,
            listed_since_ms,
            intent: intent.as_ref(),
            announced_ms: announcement.as_ref().map(|announcement| announcement.at_ms),
            vetoed: announcement.is_some_and(|announcement| announcement.vetoed),
        }))
    }

    /// The answer of what waits; its time lock begins unless it has.
    fn wait(
        &self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        accepted: &Accepted,
        mark: &Watermark,
        not_before_ms: u64,
    ) -> Result<Outcome, StoreError> {
        if !ledger.announce(&mark.digest, &mark.wallet, &mark.chain, &self.summary())? {
            return Ok(pending(mark, not_before_ms));
        }
        let entry = Entry { decision: Decision::Pending, ..self.entry(ledger, serving, accepted) };
        ledger.append(entry)?;
        Ok(match self.verdict(ledger, serving)? {
            Verdict::Pending { not_before_ms } => pending(mark, not_before_ms),
            _ => pending(mark, ledger.now_ms()),
        })
    }

    /// Freeze, idempotency, nonce, policy, and all that has to be on disk before the key is touched, in one commit.
    fn record(
        self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        accepted: &Accepted,
    ) -> Result<Result<Recording, Stop>, StoreError> {
        let (mark, key) = (self.watermark(), &accepted.key);
        if let Some(frozen) = ledger.frozen(&mark.wallet)? {
            return Ok(Err(Stop::frozen(&frozen)));
        }
        match ledger.recall(key)? {
            Recall::Finished(result) => return Ok(stored(&result).map(Recording::Answered)),
            Recall::Reused => return Ok(Err(Stop::reused())),
            Recall::Open => {}
        }
        let judged = match self.judge(ledger, serving, &mark)? {
            Err(Stop::Refused(refusal)) => return self.refuse(ledger, serving, accepted, Stop::Refused(refusal)),
            Err(stop) => return Ok(Err(stop)),
            Ok(judged) => judged,
        };
        match judged {
            Judged::Pending { not_before_ms } => {
                let waits = self.wait(ledger, serving, accepted, &mark, not_before_ms)?;
                return Ok(Ok(Recording::Answered(waits)));
            }
            Judged::Allowed { known: true, .. } => {}
            Judged::Allowed { intent, known: false } => {
                if let Some(id) = intent
                    && !ledger.use_intent(&id, &mark.digest)?
                {
                    let stop = Stop::refused("IntentUsed", "this intent has been used for another transaction");
                    return self.refuse(ledger, serving, accepted, stop);
                }
                ledger.record(&mark)?;
                self.spend(ledger, serving)?;
            }
        }
        let head = if ledger.begin(key)? {
            ledger.append(Entry { decision: Decision::Signed, ..self.entry(ledger, serving, accepted) })?
        } else {
            ledger.head()?
        };
        let overrides = ledger.overrides(&serving.keys.own().message_key().verifying_key())?;
        let secret = sealed_key(ledger, serving, &mark.wallet, &self.0.desc)?;
        Ok(Ok(Recording::Recorded(Box::new(Recorded { decoded: self.0, secret, head, overrides }))))
    }

    fn spend(&self, ledger: &Ledger<'_>, serving: &SigningContext) -> Result<(), StoreError> {
        let Decoded { wallet, desc, effect, .. } = &self.0;
        let Effect::Transfer { asset, amount, .. } = &effect.intent else {
            return Ok(());
        };
        let spend = Spend {
            wallet: wallet.clone(),
            chain: desc.chain.to_string(),
            nonce: effect.nonce,
            digest: effect.digest,
            asset: asset.clone(),
            amount: *amount,
        };
        ledger.spend(&spend, serving.observed)
    }

    fn refuse(
        &self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        accepted: &Accepted,
        stop: Stop,
    ) -> Result<Result<Recording, Stop>, StoreError> {
        let entry = self.entry(ledger, serving, accepted);
        Ok(super::conclude(ledger, &accepted.key, entry, stop)?.map(Recording::Answered))
    }

    fn entry(&self, ledger: &Ledger<'_>, serving: &SigningContext, accepted: &Accepted) -> Entry {
        Entry { digest: self.0.effect.digest.to_vec(), ..accepted.entry(serving, ledger.now_ms()) }
    }

    /// For the admin who looks through what waits.
    fn summary(&self) -> String {
        let Decoded { wallet, effect, .. } = &self.0;
        match &effect.intent {
            Effect::Change { .. } => format!("change of {wallet}"),
            Effect::Transfer { asset, to, amount } => {
                format!("{amount} {asset} from {wallet} to {to}, nonce {}", effect.nonce)
            }
            Effect::Cancel { to } => format!("cancel of nonce {} of {wallet} to {to}", effect.nonce),
        }
    }
}

/// This signer's sealed key for the wallet.
fn sealed_key(
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

/// Its digest is on disk: only this may be signed.
struct Recorded {
    decoded: Decoded,
    secret: Option<SealedKey>,
    head: Head,
    overrides: u64,
}

impl Recorded {
    /// Opens the key for this one signature.
    async fn unseal(self, serving: &SigningContext, accepted: &Accepted) -> Result<Unsealed, Stop> {
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
struct Unsealed {
    recorded: Recorded,
    secret: Zeroizing<[u8; 32]>,
}

impl Unsealed {
    /// The signature, verified before it is believed. Deterministic (RFC 6979): after a crash the same digest gets the
    /// same signature.
    fn sign(self, signer: &Signer, serving: &SigningContext) -> Result<Outcome, Stop> {
        let Self { recorded: Recorded { decoded: Decoded { desc, effect, .. }, head, overrides, .. }, secret } = self;
        let (_, rules) = serving.rules(desc.chain.as_str())?;
        let signed = rules.sign(&secret, &Payload::Digest(effect.digest));
        let signature = signed.map_err(|error| Stop::unavailable("KeyDamaged", error.to_string()))?;
        if !rules.verify(desc.owners.key(serving.owner()), &Payload::Digest(effect.digest), &signature) {
            return Err(Stop::unavailable("KeyDamaged", "the opened key is not the wallet's; restore the volume"));
        }
        let head = Some(signer.attested(serving, head, overrides));
        Ok(Outcome::Signed(Signed { digest: effect.digest.to_vec(), signature, head }))
    }
}
