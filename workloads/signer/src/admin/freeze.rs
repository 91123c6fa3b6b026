//! Freeze, thaw, and what is frozen. The process looks at the store before every answer, so both hold at once.

use std::fmt;

use audit::Entry;
use custody::{Role, WalletId};
use serde::Serialize;
use signer::store::Frozen;
use workload::place::Place;

use super::session::{AdminError, AdminSession, Done};

/// `freeze`: a wallet, or everything.
pub(crate) async fn freeze(
    place: &Place,
    role: Role,
    wallet: Option<WalletId>,
    reason: String,
) -> Result<Done, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let (what, wallet) = subject(role, wallet);
    let entry = Entry { wallet: wallet.clone(), reason: reason.clone(), ..session.entry("Freeze", 0) };
    let changed = session
        .decide(move |ledger| {
            let changed = ledger.freeze(&wallet, "admin", &reason)?;
            if changed {
                ledger.append(Entry { at_ms: ledger.now_ms(), ..entry })?;
            }
            Ok(changed)
        })
        .await?;
    let message = if changed {
        format!("{what} is frozen: nothing of it is signed from now on, over restarts too, until `thaw`")
    } else {
        format!("{what} was frozen already and stays so, with its first reason (see `freezes`)")
    };
    Ok(Done::new(changed, message))
}

/// `thaw`: the freeze of a wallet, or the one of everything. The others stay.
pub(crate) async fn thaw(
    place: &Place,
    role: Role,
    wallet: Option<WalletId>,
    reason: String,
) -> Result<Done, AdminError> {
    let session = AdminSession::keyed(place, role).await?;
    let (what, wallet) = subject(role, wallet);
    let entry = Entry { wallet: wallet.clone(), reason, ..session.entry("Thaw", 0) };
    let (changed, left) = session
        .decide(move |ledger| {
            let changed = ledger.thaw(&wallet)?;
            if changed {
                ledger.append(Entry { at_ms: ledger.now_ms(), ..entry })?;
            }
            Ok((changed, ledger.freezes()?))
        })
        .await?;
    let done = if changed { "is thawed" } else { "was not frozen" };
    Ok(Done::new(changed, format!("{what} {done}; {}", still(&left))))
}

/// What a thaw has left.
fn still(left: &[Frozen]) -> String {
    match left {
        [] => "nothing is frozen".to_owned(),
        [everything, ..] if everything.wallet.is_empty() => "everything stays frozen (see `freezes`)".to_owned(),
        wallets => format!("{} wallet(s) stay frozen (see `freezes`)", wallets.len()),
    }
}

/// In words and in the store.
fn subject(role: Role, wallet: Option<WalletId>) -> (String, String) {
    match wallet {
        Some(wallet) => (format!("wallet {wallet}"), wallet.to_string()),
        None => (format!("all of {role}"), String::new()),
    }
}

/// What is frozen.
#[derive(Debug, Serialize)]
pub(crate) struct Freezes {
    freezes: Vec<Shown>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    /// Empty: everything.
    wallet: String,
    requester: String,
    reason: String,
    at_ms: u64,
}

/// `freezes`: everything first, then by wallet.
pub(crate) async fn freezes(place: &Place, role: Role) -> Result<Freezes, AdminError> {
    let session = AdminSession::open(place, role).await?;
    let shown = |Frozen { wallet, requester, reason, at_ms }| Shown { wallet, requester, reason, at_ms };
    let freezes = session.look(|ledger| ledger.freezes()).await?.into_iter().map(shown).collect();
    Ok(Freezes { freezes })
}

impl fmt::Display for Freezes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.freezes.is_empty() {
            return f.write_str("nothing is frozen");
        }
        self.freezes.iter().try_for_each(|Shown { wallet, requester, reason, at_ms }| {
            let what = if wallet.is_empty() { "everything" } else { wallet };
            writeln!(f, "{what:<20} by {requester} at {at_ms} ms: {reason}")
        })
    }
}
