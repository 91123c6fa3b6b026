//! What is known of a payment when it is judged.

use std::collections::BTreeMap;

use chain::{Amount, ChainId, Transaction};
use custody::CustodyId;
use protocol::ops::Attestation;

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
