//! What is known of a payment when it is judged.

use std::collections::{BTreeMap, BTreeSet};

use chain::{Amount, ChainId, Transaction};
use custody::CustodyId;
use protocol::ops::Attestation;

use crate::Payees;

/// What is known of a payment when it is judged. Times are Unix milliseconds of the signer's clock.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Now.
    pub now_ms: u64,
    /// The custody served here.
    pub custody_id: CustodyId,
    /// [`custody::WalletId`] of the paying wallet.
    pub wallet: &'a str,
    /// Where it pays.
    pub chain: &'a ChainId,
    /// Decoded from the bytes to be signed; destinations in display form.
    pub transaction: &'a Transaction,
    /// Those of its destinations that are wallets of this custody, by the signer's own registry.
    pub internal: &'a BTreeSet<String>,
    /// What counts already, by asset: one amount per window of [`crate::Policy::windows`], in that order; this payment
    /// not included.
    pub spent: &'a BTreeMap<String, Vec<Amount>>,
    /// When this signer first saw a destination on the local policy's list; one that is not here it never saw.
    pub listed_since_ms: &'a BTreeMap<String, u64>,
    /// Somebody's wish that this be paid; nobody has verified it yet.
    pub intent: Option<&'a Attestation>,
    /// When this very transaction was announced.
    pub announced_ms: Option<u64>,
    /// Whether the data centre's admin vetoed this transaction.
    pub vetoed: bool,
}

impl Facts<'_> {
    /// Whom it pays; [`Payees::All`]: both kinds in one transaction.
    pub(crate) fn payees(&self) -> Payees {
        payees(self.transaction, self.internal)
    }
}

/// Whom a transaction pays, `internal` being its destinations that are wallets of this custody; [`Payees::All`]: both
/// kinds in one transaction. One that pays nobody is external.
pub fn payees(transaction: &Transaction, internal: &BTreeSet<String>) -> Payees {
    let (mut inside, mut outside) = (false, false);
    for (_, to, _) in transaction.transfers() {
        match internal.contains(to) {
            true => inside = true,
            false => outside = true,
        }
    }
    match (inside, outside) {
        (true, true) => Payees::All,
        (true, false) => Payees::Internal,
        (false, _) => Payees::External,
    }
}
