//! What a batch may hold. Whoever sends one checks it before, whoever gets one checks it again.

use std::collections::BTreeSet;

use prost::Message;

use crate::ops::{Batch, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, OPERATION_ID_BYTES, Operation, Request};

/// Most chains that one item registers a wallet on. With it, the largest answers to [`MAX_BATCH_ITEMS`] items together
/// stay below [`crate::envelope::MAX_BYTES`].
pub const MAX_BATCH_ITEM_CHAINS: usize = 10;

/// Why a batch is none. Items are counted from 0.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum BatchError {
    /// No item.
    #[error("the batch is empty; put at least one request into it")]
    Empty,
    /// Beyond [`MAX_BATCH_ITEMS`].
    #[error("the batch has {0} items, at most {MAX_BATCH_ITEMS} are served; split it")]
    TooMany(usize),
    /// Beyond [`MAX_BATCH_BYTES`].
    #[error("the batch has {0} bytes, at most {MAX_BATCH_BYTES} are served; split it")]
    TooLarge(usize),
    /// Not [`OPERATION_ID_BYTES`] long.
    #[error("item {0} of the batch has no operation id of {OPERATION_ID_BYTES} bytes; give it one of its own")]
    OperationId(usize),
    /// Each item is an operation of its own.
    #[error("item {0} of the batch repeats the operation id of an earlier one; give it one of its own")]
    Twice(usize),
    /// A batch in a batch, what others than App ask for, or nothing.
    #[error(
        "item {0} of the batch is neither a wallet to create or register, nor a payment, nor a freeze; send it alone"
    )]
    NotForABatch(usize),
    /// Beyond [`MAX_BATCH_ITEM_CHAINS`].
    #[error(
        "item {0} of the batch registers a wallet on more than {MAX_BATCH_ITEM_CHAINS} chains; send it alone, the \
         answers would not fit"
    )]
    TooManyChains(usize),
}

impl Batch {
    /// Whether it may be sent and served. The items' content is the signer's to judge, one by one.
    pub fn check(&self) -> Result<(), BatchError> {
        match self.requests.len() {
            0 => return Err(BatchError::Empty),
            1..=MAX_BATCH_ITEMS => {}
            items => return Err(BatchError::TooMany(items)),
        }
        let bytes = self.encoded_len();
        if bytes > MAX_BATCH_BYTES {
            return Err(BatchError::TooLarge(bytes));
        }
        let mut ids = BTreeSet::new();
        for (index, Request { operation_id, operation }) in self.requests.iter().enumerate() {
            if operation_id.len() != OPERATION_ID_BYTES {
                return Err(BatchError::OperationId(index));
            }
            if !ids.insert(operation_id) {
                return Err(BatchError::Twice(index));
            }
            check_item(index, operation.as_ref())?;
        }
        Ok(())
    }
}

fn check_item(index: usize, operation: Option<&Operation>) -> Result<(), BatchError> {
    match operation {
        Some(Operation::RegisterWallet(register)) if register.chains.len() > MAX_BATCH_ITEM_CHAINS => {
            Err(BatchError::TooManyChains(index))
        }
        Some(operation) if operation.in_a_batch() => Ok(()),
        _ => Err(BatchError::NotForABatch(index)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        envelope::MAX_BYTES,
        ops::{
            Attestation, ChainAddress, CreateWallet, EchoHead, Freeze, Lease, NamespaceKey, Outcome, Payment,
            ReadRecords, Refused, RegisterWallet, Response, Responses, Settle, Signed, WalletRecord,
        },
    };

    fn item(id: usize, operation: Operation) -> Request {
        let mut operation_id = vec![0; 16];
        operation_id[..8].copy_from_slice(&(id as u64).to_be_bytes());
        Request { operation_id, operation: Some(operation) }
    }

    fn create() -> Operation {
        Operation::CreateWallet(CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() })
    }

    fn checked(requests: Vec<Request>) -> Result<(), BatchError> {
        Batch { requests }.check()
    }

    #[test]
    fn everything_that_app_asks_for_may_be_in_it() {
        let payment = || Payment { unsigned: vec![1; 200], ..Payment::default() };
        let operations = [
            create(),
            Operation::RegisterWallet(RegisterWallet::default()),
            Operation::Check(payment()),
            Operation::Announce(payment()),
            Operation::Sign(payment()),
            Operation::Freeze(Freeze::default()),
        ];
        assert_eq!(checked(operations.into_iter().enumerate().map(|(id, one)| item(id, one)).collect()), Ok(()));
        assert_eq!(checked((0..MAX_BATCH_ITEMS).map(|id| item(id, create())).collect()), Ok(()));
    }

    #[test]
    fn an_empty_one_is_none_and_neither_is_one_beyond_its_limits() {
        assert_eq!(checked(Vec::new()), Err(BatchError::Empty));
        let many = (0..=MAX_BATCH_ITEMS).map(|id| item(id, create())).collect();
        assert_eq!(checked(many), Err(BatchError::TooMany(501)));
        let sign = |bytes| Operation::Sign(Payment { unsigned: vec![1; bytes], ..Payment::default() });
        let fixed = Batch { requests: vec![item(0, sign(500_000))] }.encoded_len() - 500_000;
        assert_eq!(checked(vec![item(0, sign(MAX_BATCH_BYTES - fixed))]), Ok(()));
        let large = checked(vec![item(0, sign(MAX_BATCH_BYTES - fixed + 1))]);
        assert_eq!(large, Err(BatchError::TooLarge(MAX_BATCH_BYTES + 1)));
        let register = |chains| RegisterWallet { chains: vec!["eip155:1".to_owned(); chains], ..Default::default() };
        let registering = |chains| checked(vec![item(0, Operation::RegisterWallet(register(chains)))]);
        assert_eq!(registering(MAX_BATCH_ITEM_CHAINS), Ok(()));
        assert_eq!(registering(MAX_BATCH_ITEM_CHAINS + 1), Err(BatchError::TooManyChains(0)));
    }

    #[test]
    fn no_batch_is_in_a_batch_nor_anything_that_app_may_not_ask_for() {
        let inner = Batch { requests: vec![item(1, create())] };
        for operation in [
            Some(Operation::Batch(inner)),
            Some(Operation::EchoHead(EchoHead::default())),
            Some(Operation::Settle(Settle::default())),
            Some(Operation::Lease(Lease::default())),
            Some(Operation::Records(ReadRecords::default())),
            None,
        ] {
            let bad = Request { operation_id: vec![9; 16], operation };
            assert_eq!(checked(vec![item(0, create()), bad]), Err(BatchError::NotForABatch(1)));
        }
    }

    #[test]
    fn each_item_has_an_operation_id_of_its_own() {
        assert_eq!(checked(vec![item(0, create()), item(0, create())]), Err(BatchError::Twice(1)));
        for length in [0, 15, 17] {
            let bad = Request { operation_id: vec![1; length], operation: Some(create()) };
            assert_eq!(checked(vec![bad]), Err(BatchError::OperationId(0)));
        }
    }

    /// An attestation as large as they get.
    fn attestation(body: usize) -> Attestation {
        Attestation { body: vec![1; body], signer: vec![1; 32], signature: vec![1; 64] }
    }

    /// The longest texts: 64 characters of a wallet, 41 of a CAIP-2 id, 90 of an address (Bech32), 33 bytes of a key for
    /// each of four families of chains.
    fn registered() -> Outcome {
        let chain = || ChainAddress { chain: "c".repeat(41), address: "a".repeat(90) };
        let record = WalletRecord {
            custody_id: vec![1; 16],
            wallet: "w".repeat(64),
            keys: vec![NamespaceKey { namespace: "solana99".to_owned(), public_key: vec![2; 33] }; 4],
            salt: vec![1; 32],
            addresses: std::iter::repeat_with(chain).take(MAX_BATCH_ITEM_CHAINS).collect(),
            manifest_digest: vec![1; 32],
        };
        Outcome::Registered(attestation(record.encoded_len()))
    }

    #[test]
    fn the_largest_answers_to_a_full_batch_fit_into_one_envelope() {
        let refused = Refused { reason: "r".repeat(64), message: "m".repeat(1_500) };
        let signed = Signed { digest: vec![1; 32], signatures: vec![vec![1; 72]], head: Some(attestation(120)) };
        for outcome in [registered(), Outcome::Refused(refused), Outcome::Signed(signed)] {
            let responses = vec![Response { outcome: Some(outcome) }; MAX_BATCH_ITEMS];
            let answer = Response { outcome: Some(Outcome::Batch(Responses { responses })) }.encoded_len();
            assert!(answer + 1_024 <= MAX_BYTES, "{answer}");
        }
    }
}
