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
    peers::present_keeper,
    request::Accepted,
    results::{answered, conclude},
    signer::Signer,
    signing::{Recorded, sealed_key, with_present_head},
    stop::Stop,
    wait::Wait,
};
use crate::{
    fault,
    store::{
        Announcement, Asked, Ledger, MAX_WAITING, MAX_WAITING_OF_WALLET, Recall, Spend, Start, StoreError, Watermark,
        account,
    },
    veto::VetoScope,
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
    let judge = move |ledger: &Ledger<'_>| {
        let mark = payment.0.watermark();
        Ok(match payment.judge(ledger, &serving, &mark)? {
            Err(stop) => Err(stop),
            Ok(Judged::Allowed { .. }) => Ok(Outcome::Allowed(Allowed { digest: mark.id.to_vec() })),
            Ok(Judged::Pending(wait)) if begin => payment.wait(ledger, &serving, &accepted, &mark, wait)?,
            Ok(Judged::Pending(wait)) => Ok(wait.pending(&mark)),
        })
    };
    if begin {
        return signer.decide(judge).await?;
    }
    // It binds nothing, so it waits for no signature and holds none up.
    signer.store.look(signer.now_ms(), judge).await?
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
    let (recording, asked, start) = (serving.clone(), accepted.clone(), signer.start().await?);
    let record = move |ledger: &Ledger<'_>| decoded.record(ledger, &recording, &asked, start);
    let recorded = match signer.decide_upon_whole(record).await?? {
        Recording::Answered(outcome) => return with_present_head(signer, serving, outcome).await,
        Recording::Recorded(recorded) => recorded,
    };
    signer.committed(recorded.head, recorded.overrides);
    fault::point("recorded");
    let unsealed = recorded.unseal(serving, &accepted).await?;
    fault::point("unsealed");
    let outcome = unsealed.sign(signer, serving)?;
    fault::point("signed");
    // Made again for the same digest if this is lost: nobody waits for it.
    let result = Response { outcome: Some(outcome.clone()) }.encode_to_vec();
    signer.store.finish_later(signer.now_ms(), accepted.key.clone(), result);
    fault::point("stored");
    Ok(outcome)
}

/// The verdict on something that is not recorded yet, or is already.
enum Judged {
    Allowed { intent: Option<[u8; 16]>, known: bool, announced: bool },
    Pending(Wait),
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
            return Ok(same.map(|()| Judged::Allowed { intent: None, known: true, announced: false }));
        }
        if let Some(id) = asked_for
            && let Err(stop) = payment_id::judge(&ledger.earlier(id, mark)?)
        {
            return Ok(Err(stop));
        }
        if let Err(stop) = claims::judge(ledger, mark, serving.observed)? {
            return Ok(Err(stop));
        }
        let announcement = ledger.announcement(&mark.id)?;
        Ok(match self.verdict(ledger, serving, announcement.as_ref())? {
            Verdict::Allowed { intent } => {
                Ok(Judged::Allowed { intent, known: false, announced: announcement.is_some() })
            }
            Verdict::Pending { not_before_ms, lapses_at_ms } => {
                Ok(Judged::Pending(Wait { not_before_ms, lapses_at_ms }))
            }
            Verdict::Refused(refusal) => Err(Stop::Refused(refusal)),
        })
    }

    fn verdict(
        &self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        announcement: Option<&Announcement>,
    ) -> Result<Verdict, StoreError> {
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
            announced_ms: announcement.map(|announcement| announcement.at_ms),
            vetoed: announcement.is_some_and(|announcement| announcement.vetoed) || self.is_vetoed(ledger)?,
        }))
    }

    /// By a veto of its wallet or of a destination. A cancel moves nothing and ends what was vetoed.
    fn is_vetoed(&self, ledger: &Ledger<'_>) -> Result<bool, StoreError> {
        let Decoded { wallet, transaction, .. } = &self.0;
        if transaction.is_cancel() {
            return Ok(false);
        }
        for (_, to, _) in transaction.transfers() {
            if ledger.is_vetoed(VetoScope::Destination, to)? {
                return Ok(true);
            }
        }
        ledger.is_vetoed(VetoScope::Wallet, wallet)
    }

    /// The answer of what waits; its time lock begins unless it has, and anew where it has lapsed.
    fn wait(
        &self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        accepted: &Accepted,
        mark: &Watermark,
        wait: Wait,
    ) -> Result<Result<Outcome, Stop>, StoreError> {
        if wait.not_before_ms != 0 {
            return Ok(Ok(wait.pending(mark)));
        }
        if !ledger.announce(mark, &self.0.summary())? {
            let message = format!(
                "at most {MAX_WAITING_OF_WALLET} payments of a wallet and {MAX_WAITING} in all wait for their time locks at once"
            );
            return Ok(Err(Stop::unavailable("TooManyAnnouncements", message)));
        }
        let announced = ledger.announcement(&mark.id)?;
        let begun = match self.verdict(ledger, serving, announced.as_ref())? {
            Verdict::Pending { not_before_ms, lapses_at_ms } => Wait { not_before_ms, lapses_at_ms },
            _ => Wait { not_before_ms: ledger.now_ms(), lapses_at_ms: ledger.now_ms() },
        };
        ledger.wait_until(mark, begun.lapses_at_ms)?;
        let reason = wait.why_anew().to_owned();
        ledger.append(Entry {
            decision: Decision::Pending,
            reason: reason.clone(),
            ..self.entry(ledger, serving, accepted)
        })?;
        let (digest, not_before_ms) = (mark.id.to_vec(), begun.not_before_ms);
        Ok(Ok(Outcome::Pending(Pending { digest, not_before_ms, reason })))
    }

    /// Freeze, idempotency, claims, policy, and all that has to be on disk before the key is touched, in one commit.
    fn record(
        self,
        ledger: &Ledger<'_>,
        serving: &SigningContext,
        accepted: &Accepted,
        start: Start,
    ) -> Result<Result<Recording, Stop>, StoreError> {
        let (mark, key) = (self.0.watermark(), &accepted.key);
        if let Some(frozen) = ledger.frozen(&mark.wallet)? {
            return Ok(Err(Stop::frozen(&frozen)));
        }
        match ledger.recall(key)? {
            Recall::Open => {}
            // Signed, and its reply is pruned: the same transaction is signed again, and nothing else.
            Recall::Done if ledger.recorded(&mark)? => {}
            known => return Ok(answered(known).unwrap_or_else(|| Err(Stop::pruned())).map(Recording::Answered)),
        }
        if let Err(stop) = present_keeper(ledger, serving, self.0.hot_head.as_ref())? {
            return Ok(Err(stop));
        }
        let judged = match self.judge(ledger, serving, &mark)? {
            Err(Stop::Refused(refusal)) => return self.refuse(ledger, serving, accepted, Stop::Refused(refusal)),
            Err(stop) => return Ok(Err(stop)),
            Ok(judged) => judged,
        };
        match judged {
            Judged::Pending(wait) => {
                return Ok(self.wait(ledger, serving, accepted, &mark, wait)?.map(Recording::Answered));
            }
            Judged::Allowed { known: true, .. } => {}
            Judged::Allowed { intent, known: false, announced } => {
                if let Some(id) = intent
                    && !ledger.use_intent(&id, &mark.id)?
                {
                    let stop = Stop::refused("IntentUsed", "this intent has been used for another transaction");
                    return self.refuse(ledger, serving, accepted, stop);
                }
                ledger.record(&mark)?;
                if announced {
                    ledger.wait_ended(&mark.id)?;
                }
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
        Ok(Ok(Recording::Recorded(Box::new(Recorded { decoded: self.0, secret, head, overrides, start }))))
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
        let (entry, reason) = (self.entry(ledger, serving, accepted), stop.reason());
        let concluded = conclude(ledger, &accepted.key, entry, stop)?;
        if concluded.is_ok() {
            ledger.note_asked(self.asked(accepted, &self.0.watermark()), Some(reason))?;
        }
        Ok(concluded.map(Recording::Answered))
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
