//! The operations inside an envelope, as protobuf (proto3, derived by hand so that no compiler is needed to build).
//! A request's bytes name no destination or amount: those are decoded from the transaction itself.

mod operation;
mod records;
mod request;
mod response;
mod settlement;
mod statement;

pub use operation::{Class, NotAskedBy};
pub use records::{MAX_RECORDS, ReadRecords, Record, RecordState, Records, Used};
pub use request::{
    Batch, CreateWallet, EchoHead, Freeze, Lease, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_LEASE_MS, OPERATION_ID_BYTES,
    Operation, PAYMENT_ID_BYTES, Payment, RegisterWallet, Request, Settle,
};
pub use response::{Allowed, Done, Held, Outcome, Pending, Refused, Response, Responses, Signed};
pub use settlement::{Coin, Settlement, SettlementError, SettlementState};
pub use statement::{Attestation, AuditHead, ChainAddress, HotKeys, NamespaceKey, PaymentIntent, WalletRecord};
