//! What the very bytes to be signed would do, decoded for a wallet that is registered and recomputed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chain::{Claim, Effect, KeyRole, Payload, Transaction, WalletDesc};
use custody::Role;
use protocol::ops::{Attestation, Payment};

use super::{
    context::SigningContext, payees, payment_id, peers::shown_head, request::Accepted, signer::Signer, stop::Stop,
};
use crate::store::{Kind, PeerHead, Watermark};

/// A transaction of a registered wallet.
pub(super) struct Decoded {
    pub(super) wallet: String,
    pub(super) desc: Arc<WalletDesc>,
    pub(super) transaction: Transaction,
    /// Those of its destinations that are wallets of this custody, with their ids.
    pub(super) internal: BTreeMap<String, String>,
    /// What this signer has to sign of it; at least one.
    pub(super) payloads: Vec<Payload>,
    pub(super) intent: Option<Attestation>,
    /// Which payment it is for, where App says so.
    pub(super) payment_id: Option<[u8; 32]>,
    /// To Cooler: Keeper's head that came with hot's signatures.
    pub(super) hot_head: Option<PeerHead>,
}

/// Decoded, and where hot has to have signed it, it has.
pub(super) struct Countersigned(pub(super) Decoded);

impl Decoded {
    pub(super) async fn read(signer: &Signer, serving: &SigningContext, accepted: &Accepted) -> Result<Self, Stop> {
        let payment = payment(accepted)?;
        let (chain, rules) = serving.rules(&payment.chain)?;
        let desc = signer.registered(serving, &payment.wallet, &chain, accepted.client_key.as_ref()).await?;
        let transaction = rules.decode(&payment.unsigned, &desc, serving.policy.assets(&chain))?;
        for claim in &transaction.claims {
            if let Claim::Sequence(nonce) = claim
                && i64::try_from(*nonce).is_err()
            {
                return Err(Stop::refused("NonceTooLarge", format!("nonce {nonce} is above 2^63 - 1")));
            }
        }
        let payloads = rules.payloads(&payment.unsigned, &desc, serving.owner())?;
        if transaction.claims.is_empty() || payloads.is_empty() {
            return Err(Stop::refused(
                "Malformed",
                "a transaction that uses nothing up, or of which nothing is signed",
            ));
        }
        let payment_id = payment_id::read(&payment.payment_id, transaction.is_cancel())?;
        if !payment.to_wallet.is_empty() {
            payees::require(&payment.to_wallet, signer, serving, &chain, &transaction).await?;
        }
        let internal = payees::internal(signer, serving, &chain, &transaction).await?;
        let (wallet, intent) = (payment.wallet.clone(), payment.intent.clone());
        Ok(Self { wallet, desc, transaction, internal, payloads, intent, payment_id, hot_head: None })
    }

    /// A check or an announcement comes before any signature.
    pub(super) fn before_signing(self, accepted: &Accepted) -> Result<Countersigned, Stop> {
        before_hot(accepted)?;
        Ok(Countersigned(self))
    }

    /// Keeper signs first; Cooler only what hot has signed, all of it.
    pub(super) fn for_signing(self, serving: &SigningContext, accepted: &Accepted) -> Result<Countersigned, Stop> {
        let payment = payment(accepted)?;
        if serving.role == Role::Keeper {
            before_hot(accepted)?;
            return Ok(Countersigned(self));
        }
        let (_, rules) = serving.rules(&payment.chain)?;
        if !rules.signed_by(&payment.unsigned, &self.desc, KeyRole::Hot, &payment.hot_signatures)? {
            return Err(Stop::refused("HotSignatureInvalid", "cooler signs only what the wallet's hot key has signed"));
        }
        let hot_head = accepted.hot_head.as_ref().map(|head| shown_head(serving, Role::Keeper, head)).transpose()?;
        Ok(Countersigned(Self { hot_head, ..self }))
    }

    /// Those of its destinations that are wallets of this custody.
    pub(super) fn internal_destinations(&self) -> BTreeSet<String> {
        self.internal.keys().cloned().collect()
    }

    pub(super) fn watermark(&self) -> Watermark {
        let Self { wallet, desc, transaction, .. } = self;
        Watermark {
            wallet: wallet.clone(),
            chain: desc.chain.to_string(),
            claims: transaction.claims.clone(),
            kind: if transaction.is_cancel() { Kind::Cancel } else { Kind::Payment },
            id: transaction.id,
        }
    }

    /// For the admin who looks through what waits.
    pub(super) fn summary(&self) -> String {
        let Self { wallet, transaction, .. } = self;
        let claims: Vec<String> = transaction.claims.iter().map(Claim::to_string).collect();
        let claims = claims.join(" and ");
        let cancel = transaction.effects.iter().find_map(|effect| match effect {
            Effect::Cancel { to } => Some(to),
            Effect::Transfer { .. } | Effect::Change { .. } => None,
        });
        let transfers = transaction.transfers();
        let transfers = transfers.map(|(asset, to, amount)| {
            let known = self.internal.get(to).map(|payee| format!(" (wallet {payee})")).unwrap_or_default();
            format!("{amount} {asset} from {wallet} to {to}{known}")
        });
        match (transfers.collect::<Vec<_>>(), cancel) {
            (none, Some(to)) if none.is_empty() => format!("cancel of {claims} of {wallet} to {to}"),
            (none, None) if none.is_empty() => format!("cancel of {claims} of {wallet}"),
            (transfers, _) => format!("{}, {claims}", transfers.join(" and ")),
        }
    }
}

pub(super) fn payment(accepted: &Accepted) -> Result<&Payment, Stop> {
    let operation = &accepted.operation;
    operation.payment().ok_or_else(|| Stop::refused("Malformed", format!("{} is not a payment", operation.name())))
}

fn before_hot(accepted: &Accepted) -> Result<(), Stop> {
    if payment(accepted)?.hot_signatures.is_empty() && accepted.hot_head.is_none() {
        return Ok(());
    }
    Err(Stop::refused("Malformed", "hot's signature and keeper's head belong into a Sign to cooler and nowhere else"))
}
