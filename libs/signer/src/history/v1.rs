//! Version 1 of the file, as it was written before chains of coins: each transaction uses up one nonce and moves one
//! asset. It is read for ever and written no more.

use chain::{Amount, Claim, hex::Hex};
use custody::Role;
use serde::Deserialize;

use super::{Announced, Certainty, Evacuated, FORMAT, Freeze, Kind, SettledAt, SignedAt, Spent, UsedIntent};

pub(super) const VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct History {
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    custody_id: String,
    role: Role,
    wallets: Vec<WalletHistory>,
    evacuations: Vec<Evacuated>,
    intents: Vec<UsedIntent>,
    freezes: Vec<Freeze>,
    announcements: Vec<Announced>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalletHistory {
    wallet: String,
    chain: String,
    signed: Vec<SignedNonce>,
    settled: Vec<SettledNonce>,
    spends: Vec<SpentNonce>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedNonce {
    nonce: u64,
    kind: Kind,
    digest: Hex<32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettledNonce {
    nonce: u64,
    digest: Hex<32>,
    at_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpentNonce {
    nonce: u64,
    digest: Hex<32>,
    asset: String,
    amount: Amount,
    signed_at_ms: u64,
    #[serde(default)]
    counts_from_ms: Option<u64>,
}

impl From<History> for super::History {
    fn from(old: History) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: super::VERSION,
            custody_id: old.custody_id,
            role: old.role,
            wallets: old.wallets.into_iter().map(Into::into).collect(),
            evacuations: old.evacuations,
            intents: old.intents,
            freezes: old.freezes.into_iter().map(renamed).collect(),
            announcements: old.announcements,
            vetoes: Vec::new(),
        }
    }
}

/// A role has another name since.
fn renamed(freeze: Freeze) -> Freeze {
    match freeze.requester.as_str() {
        "observer" => Freeze { requester: Role::Sentinel.to_string(), ..freeze },
        _ => freeze,
    }
}

impl From<WalletHistory> for super::WalletHistory {
    fn from(old: WalletHistory) -> Self {
        let mut signed: Vec<SignedAt> = (old.signed.into_iter())
            .map(|it| {
                let claims = vec![Claim::Sequence(it.nonce)];
                SignedAt { claims, kind: it.kind, digest: it.digest, payment_id: None }
            })
            .collect();
        for SpentNonce { nonce, digest, .. } in &old.spends {
            if signed.iter().all(|it| it.digest != *digest) {
                let claims = vec![Claim::Sequence(*nonce)];
                signed.push(SignedAt { claims, kind: Kind::Payment, digest: *digest, payment_id: None });
            }
        }
        let settled = old.settled.into_iter();
        let spends = old.spends.into_iter();
        Self {
            wallet: old.wallet,
            chain: old.chain,
            signed,
            settled: settled
                .map(|it| SettledAt {
                    claim: Claim::Sequence(it.nonce),
                    digest: it.digest,
                    at_ms: it.at_ms,
                    state: Certainty::Final,
                    attester: String::new(),
                })
                .collect(),
            spends: spends
                .map(|it| Spent {
                    digest: it.digest,
                    asset: it.asset,
                    amount: it.amount,
                    signed_at_ms: it.signed_at_ms,
                    counts_from_ms: it.counts_from_ms,
                })
                .collect(),
        }
    }
}
