//! Wallets, payments, and the requests that are made of them.

use anyhow::{Result, bail};
use chain::{Claim, WalletDesc};
use custodies::CHAIN;
use protocol::ops::{
    Attestation, OPERATION_ID_BYTES, Operation, Outcome, Payment, RegisterWallet, Request, Settle, Settlement,
};
use rand_core::{OsRng, RngCore};

/// A wallet that both signers have registered.
pub(crate) struct Wallet {
    pub(crate) id: String,
    pub(crate) desc: WalletDesc,
    /// The next one.
    pub(crate) nonce: u64,
    /// Where each client has its own key.
    pub(crate) client_key: Vec<u8>,
}

/// A payment and the signatures that somebody has for it.
#[derive(Clone)]
pub(crate) struct Paid {
    pub(crate) payment: Payment,
    pub(crate) digest: [u8; 32],
    pub(crate) hot: Option<Vec<u8>>,
    pub(crate) cool: Option<Vec<u8>>,
}

/// A request under a new operation id.
pub(crate) fn request(operation: Operation) -> Request {
    let mut operation_id = vec![0; OPERATION_ID_BYTES];
    OsRng.fill_bytes(&mut operation_id);
    Request { operation_id, operation: Some(operation) }
}

/// To Keeper.
pub(crate) fn sign(paid: &Paid) -> Operation {
    Operation::Sign(paid.payment.clone())
}

/// To Cooler, with hot's signature.
pub(crate) fn countersign(paid: &Paid) -> Operation {
    let hot_signatures = vec![paid.hot.clone().unwrap_or_default()];
    Operation::Sign(Payment { hot_signatures, client_key: Vec::new(), ..paid.payment.clone() })
}

pub(crate) fn registration(hot: &Attestation) -> Operation {
    Operation::RegisterWallet(RegisterWallet {
        hot: Some(hot.clone()),
        chains: vec![CHAIN.to_owned()],
        salt: Vec::new(),
    })
}

/// The sentinel's.
pub(crate) fn settlement(wallet: &Wallet, digest: &[u8; 32]) -> Operation {
    let settlement = Settlement::new(&wallet.id, CHAIN, Claim::Sequence(wallet.nonce), *digest);
    Operation::Settle(Settle { settlements: vec![settlement] })
}

/// The signature, or what came instead.
pub(crate) fn signature(outcome: Outcome) -> Result<Vec<u8>> {
    match outcome {
        Outcome::Signed(signed) => Ok(signed.signatures.concat()),
        other => bail!("not signed: {other:?}"),
    }
}

/// Why it was not done, or `Done`.
pub(crate) fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused(refused) | Outcome::Unavailable(refused) => &refused.reason,
        _ => "Done",
    }
}
