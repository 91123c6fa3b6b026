//! Payments that wait for their time lock, and the admin's vetoes.

use std::fmt;

use audit::{Decision, Entry};
use chain::hex::Hex;
use chain_adapters::Adapters;
use custody::{Role, WalletId, trust::MemberTrust};
use serde::Serialize;
use signer::{
    store::{Announcement, Ledger, StandingVeto, StoreError},
    veto::VetoScope,
};
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done, kept};

/// What waits, or was vetoed, and the vetoes that stand.
#[derive(Debug, Serialize)]
pub(crate) struct PendingList {
    pending: Vec<Waiting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vetoes: Vec<Standing>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    digest: Hex<32>,
    wallet: String,
    chain: String,
    summary: String,
    since_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lapses_at_ms: Option<u64>,
    vetoed: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    scope: VetoScope,
    name: String,
    since_ms: u64,
}

/// `pending`: oldest first; what was signed or has lapsed in the meantime waits no more.
pub(crate) async fn pending(place: &Place, role: Role) -> Result<PendingList, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let (waiting, vetoes) = session.look(|ledger| Ok((ledger.waiting()?, ledger.vetoes()?))).await?;
    let waits = |it: Announcement| Waiting {
        digest: Hex(it.digest),
        wallet: it.wallet,
        chain: it.chain,
        summary: it.summary,
        since_ms: it.at_ms,
        lapses_at_ms: it.lapses_at_ms,
        vetoed: it.vetoed,
    };
    let stands = |StandingVeto { scope, name, at_ms }| Standing { scope, name, since_ms: at_ms };
    Ok(PendingList {
        pending: waiting.into_iter().map(waits).collect(),
        vetoes: vetoes.into_iter().map(stands).collect(),
    })
}

impl fmt::Display for PendingList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Standing { scope, name, since_ms } in &self.vetoes {
            writeln!(f, "{} {name} is vetoed since {since_ms} ms", scope.as_str())?;
        }
        if self.pending.is_empty() {
            return f.write_str("nothing waits");
        }
        self.pending.iter().try_for_each(|Waiting { digest, chain, summary, since_ms, vetoed, .. }| {
            let state = if *vetoed { "vetoed" } else { "waits" };
            writeln!(f, "{digest} {state} since {since_ms} ms: {summary} on {chain}")
        })
    }
}

/// What a veto finds.
enum Found {
    Nothing,
    Signed,
    Vetoed { changed: bool, summary: String },
}

/// `veto`: this digest is never signed here, whatever its time lock.
pub(crate) async fn veto(place: &Place, role: Role, digest: Hex<32>) -> Result<Done, AdminError> {
    let session = AdminSession::keyed(place, role).await?;
    let entry = Entry { digest: digest.0.to_vec(), decision: Decision::Done, ..session.entry("Veto", 0) };
    let found = session
        .decide(move |ledger| {
            let Some(waits) = ledger.announcement(&digest.0)? else { return Ok(Found::Nothing) };
            let Announcement { wallet, chain, summary, .. } = waits;
            if ledger.has_signed_transaction(&wallet, &chain, &digest.0)? {
                return Ok(Found::Signed);
            }
            let changed = ledger.veto(&digest.0)?;
            if changed {
                ledger.append(Entry { at_ms: ledger.now_ms(), wallet, chain, ..entry })?;
            }
            Ok(Found::Vetoed { changed, summary })
        })
        .await?;
    match found {
        Found::Nothing => Err(AdminError::Refused(format!("nothing with digest {digest} waits; see `pending`"))),
        Found::Signed => {
            Err(AdminError::Refused(format!("{digest} was signed already; only the cancel of its nonce can outrun it")))
        }
        Found::Vetoed { changed: true, summary } => Ok(Done::new(true, format!("vetoed: {summary}"))),
        Found::Vetoed { changed: false, summary } => Ok(Done::new(false, format!("was vetoed before: {summary}"))),
    }
}

/// `veto --all`: each payment that waits now, by its digest.
pub(crate) async fn veto_all(place: &Place, role: Role) -> Result<Done, AdminError> {
    let session = AdminSession::keyed(place, role).await?;
    let entry = session.entry("Veto", 0);
    let vetoed = session
        .decide(move |ledger| {
            let mut vetoed = 0;
            for Announcement { digest, wallet, chain, .. } in ledger.waiting()? {
                if ledger.veto(&digest)? {
                    let (at_ms, digest) = (ledger.now_ms(), digest.to_vec());
                    ledger.append(Entry { at_ms, wallet, chain, digest, ..entry.clone() })?;
                    vetoed += 1;
                }
            }
            Ok(vetoed)
        })
        .await?;
    Ok(Done::new(vetoed > 0, format!("{vetoed} payment(s) that waited are vetoed")))
}

/// Whose payments a standing veto is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Of {
    /// The wallet's.
    Wallet(WalletId),
    /// Those to an address, in the display form of a chain of the local policy.
    Destination(String),
}

/// `veto --wallet` and `veto --destination`: from now on, whether it waits or not, until `lift`.
pub(crate) async fn veto_of(place: &Place, role: Role, of: Of, lift: bool) -> Result<Done, AdminError> {
    let session = AdminSession::keyed(place, role).await?;
    let (scope, name) = match of {
        Of::Wallet(wallet) => (VetoScope::Wallet, wallet.to_string()),
        Of::Destination(address) => {
            // By the last good documents: a veto waits for no API server.
            if let (false, Ok((trust, _))) = (lift, kept(role, &session.store).await?) {
                known_address(&trust, &address)?;
            }
            (VetoScope::Destination, address)
        }
    };
    // What is said of a destination has no field of its own in a record.
    let (wallet, reason) = match scope {
        VetoScope::Wallet => (name.clone(), String::new()),
        VetoScope::Destination => (String::new(), format!("destination {name}")),
    };
    let entry = session.entry(if lift { "VetoLift" } else { "Veto" }, 0);
    let veto = name.clone();
    let act = move |ledger: &Ledger<'_>| {
        let changed = if lift { ledger.lift_veto(scope, &veto)? } else { ledger.veto_all_of(scope, &veto)? };
        if changed {
            ledger.append(Entry { at_ms: ledger.now_ms(), wallet, reason, ..entry })?;
        }
        Ok::<_, StoreError>(changed)
    };
    let changed = session.decide(act).await?;
    let what = format!("{} {name}", scope.as_str());
    let message = match (lift, changed) {
        (false, true) => format!("vetoed until it is lifted: {what}"),
        (false, false) => format!("was vetoed before: {what}"),
        (true, true) => format!("the veto is lifted: {what}"),
        (true, false) => format!("no veto stands: {what}"),
    };
    Ok(Done::new(changed, message))
}

/// A mistyped address would veto nothing.
fn known_address(trust: &MemberTrust, address: &str) -> Result<(), AdminError> {
    let Some(policy) = &trust.local_policy else { return Ok(()) };
    let chains = policy::chains(policy).map_err(|error| AdminError::Refused(error.to_string()))?;
    let rules = Adapters::all().of(chains).map_err(|error| AdminError::Refused(error.to_string()))?;
    let mut why = "the local policy names no chain".to_owned();
    for rules in rules.values() {
        match rules.address(address) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(AdminError::Refused(why))
}
