//! `Check`, `Announce` and `Sign`: the steps of a payment, each a type that only the step before can make. What the
//! policy has not judged is not recorded, and what is not recorded never reaches the key.

use std::{collections::BTreeMap, sync::Arc};

use audit::{Decision, Entry};
use chain::Transaction;
use policy::{Facts, Verdict};
use prost::Message;
use protocol::ops::{Allowed, Outcome, Pending, Response};

use super::{
    claims,
    context::SigningContext,
    decoded::{Countersigned, Decoded},
    payment_id,
    request::Accepted,
    results::{conclude, stored},
    signer::Signer,
    signing::{Recorded, sealed_key},
    stop::Stop,
};
use crate::{
    fault,
    store::{Asked, Ledger, Recall, Spend, StoreError, Watermark, account},
};

/// Would it be signed? With `begin`, its time lock begins where it has one; else nothing is stored.
pub(super) async fn ask(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
    begin: bool,
) -> Result<Outcome, Stop> {
    let payment = Decoded::read(signer, serving, &accepted).await?.before_signing(&accepted)?;
    let serving = serving.clone();
    let decide = move |ledger: &Ledger<'_>| {
        let mark = payment.0.watermark();
        Ok(match payment.judge(ledger, &serving, &mark)? {
            Err(stop) => Err(stop),
            Ok(Judged::Allowed { .. }) => Ok(Outcome::Allowed(Allowed { digest: mark.id.to_vec() })),
            Ok(Judged::Pending { not_before_ms }) if begin => {
                Ok(payment.wait(ledger, &serving, &accepted, &mark, not_before_ms)?)
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
    Outcome::Pending(Pending { digest: mark.id.to_vec(), not_before_ms })
}

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

impl Countersigned {
    /// Payment id, claims and policy, upon what is on disk now. What was recorded before was judged then.
    fn judge(
        &self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        mark: &Watermark,
    ) -> Result<Result<Judged, Stop>, StoreError> {
        let asked_for = self.0.payment_id.as_ref();
        if ledger.recorded(mark)? {
            let signed_for = ledger.payment_of(&mark.wallet, &mark.chain, &mark.id)?;
            let same = payment_id::same(mark, signed_for, asked_for);
            return Ok(same.map(|()| Judged::Allowed { intent: None, known: true }));
        }
        if let Some(id) = asked_for
            && let Err(stop) = payment_id::judge(&ledger.earlier(id, mark)?)
        {
            return Ok(Err(stop));
        }
        if let Err(stop) = claims::judge(ledger, mark, serving.observed)? {
            return Ok(Err(stop));
        }
        Ok(match self.verdict(ledger, serving)? {
            Verdict::Allowed { intent } => Ok(Judged::Allowed { intent, known: false }),
            Verdict::Pending { not_before_ms } => Ok(Judged::Pending { not_before_ms }),
            Verdict::Refused(refusal) => Err(Stop::Refused(refusal)),
        })
    }

    fn verdict(&self, ledger: &Ledger<'_>, serving: &SigningContext) -> Result<Verdict, StoreError> {
        let Decoded { wallet, desc, transaction, intent, .. } = &self.0;
        let chain = &desc.chain;
        let (mut spent, mut listed_since_ms) = (BTreeMap::new(), BTreeMap::new());
        // A sum above 256 bits is refused by the policy, whatever was spent before.
        for asset in transaction.spent().unwrap_or_default().into_keys() {
            let windows = serving.policy.windows(chain, asset).iter();
            let counted = windows.map(|window| ledger.spent(window, wallet, chain.as_str(), asset));
            spent.insert(asset.to_owned(), counted.collect::<Result<_, _>>()?);
        }
        for (_, to, _) in transaction.transfers() {
            if let Some(since) = ledger.listed_since(chain.as_str(), to)? {
                listed_since_ms.insert(to.to_owned(), since);
            }
        }
        let internal = self.0.internal_destinations();
        let announcement = ledger.announcement(&transaction.id)?;
        Ok(serving.policy.judge(&Facts {
            now_ms: ledger.now_ms(),
            custody_id: serving.custody_id(),
            wallet,
            chain,
            transaction,
            internal: &internal,
            spent: &spent,
            listed_since_ms: &listed_since_ms,
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
        if !ledger.announce(&mark.id, &mark.wallet, &mark.chain, &self.0.summary())? {
            return Ok(pending(mark, not_before_ms));
        }
        let entry = Entry { decision: Decision::Pending, ..self.entry(ledger, serving, accepted) };
        ledger.append(entry)?;
        Ok(match self.verdict(ledger, serving)? {
            Verdict::Pending { not_before_ms } => pending(mark, not_before_ms),
            _ => pending(mark, ledger.now_ms()),
        })
    }

    /// Freeze, idempotency, claims, policy, and all that has to be on disk before the key is touched, in one commit.
    fn record(
        self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        accepted: &Accepted,
    ) -> Result<Result<Recording, Stop>, StoreError> {
        let (mark, key) = (self.0.watermark(), &accepted.key);
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
                    && !ledger.use_intent(&id, &mark.id)?
                {
                    let stop = Stop::refused("IntentUsed", "this intent has been used for another transaction");
                    return self.refuse(ledger, serving, accepted, stop);
                }
                ledger.record(&mark)?;
                self.spend(ledger, serving)?;
            }
        }
        let head = if ledger.begin(key)? {
            ledger.note_asked(self.asked(accepted, &mark), None)?;
            ledger.append(Entry { decision: Decision::Signed, ..self.entry(ledger, serving, accepted) })?
        } else {
            ledger.head()?
        };
        let overrides = ledger.overrides(&serving.keys.own().message_key().verifying_key())?;
        let secret = sealed_key(ledger, serving, &mark.wallet, &self.0.desc)?;
        Ok(Ok(Recording::Recorded(Box::new(Recorded { decoded: self.0, secret, head, overrides }))))
    }

    fn spend(&self, ledger: &Ledger<'_>, serving: &SigningContext) -> Result<(), StoreError> {
        let Decoded { wallet, desc, transaction, .. } = &self.0;
        let too_much = || StoreError::Failed("a transaction moves more than 256 bits".to_owned());
        let payees = policy::payees(transaction, &self.0.internal_destinations());
        for (asset, amount) in transaction.spent().ok_or_else(too_much)? {
            let to = payee(transaction, asset).map(str::to_owned);
            let (wallet, chain, asset) = (wallet.clone(), desc.chain.to_string(), account(asset, payees));
            let spend = Spend { wallet, chain, id: transaction.id, asset, amount, to };
            ledger.spend(&spend, serving.observed)?;
        }
        Ok(())
    }

    fn refuse(
        &self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        accepted: &Accepted,
        stop: Stop,
    ) -> Result<Result<Recording, Stop>, StoreError> {
        let entry = self.entry(ledger, serving, accepted);
        ledger.note_asked(self.asked(accepted, &self.0.watermark()), Some(stop.reason()))?;
        Ok(conclude(ledger, &accepted.key, entry, stop)?.map(Recording::Answered))
    }

    /// As App is told of it, should it have forgotten.
    fn asked<'a>(&'a self, accepted: &'a Accepted, mark: &'a Watermark) -> Asked<'a> {
        Asked { operation_id: &accepted.key.operation_id, payment_id: self.0.payment_id.as_ref(), mark }
    }

    fn entry(&self, ledger: &Ledger<'_>, serving: &SigningContext, accepted: &Accepted) -> Entry {
        Entry { digest: self.0.transaction.id.to_vec(), ..accepted.entry(serving, ledger.now_ms()) }
    }
}

/// Where all of an asset goes, if it is one place.
fn payee<'t>(transaction: &'t Transaction, asset: &str) -> Option<&'t str> {
    let mut to = transaction.transfers().filter(|(of, ..)| *of == asset).map(|(_, to, _)| to);
    let first = to.next()?;
    to.all(|other| other == first).then_some(first)
}
