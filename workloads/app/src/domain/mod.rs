//! What App speaks of. Each value is parsed once, at the edge by which it comes in: HTTP, the configuration or the
//! database. Behind that edge nothing is parsed again.

mod address;
mod amount;
mod asset;
mod caller;
mod client_key;
mod epoch;
mod list;
mod lost;
mod order;
mod payment;
mod progress;
mod relay;
mod seed;
mod transaction;
mod wallet;

pub(crate) use address::Address;
pub(crate) use amount::InvalidAmount;
pub(crate) use asset::{Assets, Symbol};
pub(crate) use caller::{CallerName, Scope};
pub(crate) use client_key::{CLIENT_KEY_BYTES, ClientKey};
pub(crate) use epoch::Epoch;
pub(crate) use list::{Cursor, Direction, InvalidCursor, Page, PaymentFilter, WalletFilter};
pub(crate) use lost::{Lost, Reading};
pub(crate) use order::{IdempotencyKey, InvalidIdempotencyKey, Order, PaymentId};
pub(crate) use payment::{Change, History, NewPayment, Payment};
pub(crate) use progress::{Kind, Stage, Status};
pub(crate) use relay::RelayPurpose;
pub(crate) use seed::Seed;
pub(crate) use transaction::Transaction;
pub(crate) use wallet::{Attested, THRESHOLD, Wallet};
