//! What a broadcast tells: one line for each thing that was to be moved.

use std::fmt;

use chain::Amount;
use serde::Serialize;

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    /// Moved now.
    Executed,
    /// Had been moved before.
    AlreadyExecuted,
    /// Its nonce was used by another transaction: plan again.
    Superseded,
    /// An earlier nonce of the wallet is not used: nothing was sent.
    Waiting,
    /// Nothing moved; the message says why.
    Failed,
}

/// What was to be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// App's name for the wallet.
    pub(super) id: String,
    /// The wallet's address, display form.
    pub(super) address: String,
    /// Symbol.
    pub(super) asset: String,
    /// Destination, display form.
    pub(super) to: String,
    /// Smallest unit of the asset.
    pub(super) amount: Amount,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) status: Status,
    /// The chain's name of the transaction.
    pub(super) tx: Option<String>,
    pub(super) message: Option<String>,
}

/// One step of the bundle.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Moved {
    id: String,
    address: String,
    asset: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<String>,
    to: String,
    /// Smallest unit of the asset, decimal.
    amount_wei: String,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Moved {
    pub(super) fn new(line: Line, outcome: Outcome) -> Self {
        let (Line { id, address, asset, to, amount }, Outcome { status, tx, message }) = (line, outcome);
        Self { id, address, asset, tx, to, amount_wei: amount.to_string(), status, message }
    }
}

/// All steps, in the bundle's order.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    wallets: Vec<Moved>,
}

impl Report {
    pub(super) fn new(wallets: Vec<Moved>) -> Self {
        Self { wallets }
    }

    /// With what was not played.
    pub(super) fn and(mut self, missing: Vec<Moved>) -> Self {
        self.wallets.extend(missing);
        self
    }

    /// Of how many transactions so many are not done.
    pub(super) fn open(&self) -> (usize, usize) {
        let all = self.wallets.len();
        (all - self.done(), all)
    }

    fn done(&self) -> usize {
        let done = |moved: &&Moved| matches!(moved.status, Status::Executed | Status::AlreadyExecuted);
        self.wallets.iter().filter(done).count()
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, address: _, asset, tx, to, amount_wei, status, message } = self;
        write!(f, "{id}: {amount_wei} {asset} to {to}: {status:?}")?;
        tx.iter().try_for_each(|tx| write!(f, " in {tx}"))?;
        message.iter().try_for_each(|message| write!(f, ": {message}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wallets.iter().try_for_each(|moved| writeln!(f, "{moved}"))?;
        writeln!(f, "{} of {} transactions are done.", self.done(), self.wallets.len())
    }
}
