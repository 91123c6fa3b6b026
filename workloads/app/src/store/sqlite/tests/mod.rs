//! What the database promises.

mod damage;
mod lists;
mod opening;
mod payments;
mod recovery;
mod speed;
mod wallets;

use std::sync::Arc;

use chain::ChainRules;
use custody::WalletId;
use jiff::Timestamp;
use tempfile::TempDir;

use super::Sqlite;
use crate::{
    domain::{Address, NewPayment, Order, PaymentId, Seed},
    store::Wallets,
};

const SHOP: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
const ELSEWHERE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn rules() -> Arc<dyn ChainRules> {
    chain_adapters::Adapters::all().rules(&"eip155:1".parse().unwrap()).unwrap()
}

fn open(dir: &TempDir) -> Sqlite {
    Sqlite::open(dir.path(), rules(), || Timestamp::UNIX_EPOCH).unwrap()
}

fn alice() -> WalletId {
    "alice".parse().unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text, &*rules()).unwrap()
}

fn id(byte: u8) -> PaymentId {
    data_encoding::HEXLOWER.encode(&[byte; 16]).parse().unwrap()
}

/// A database with a wallet.
async fn with_alice() -> (TempDir, Sqlite) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    store.ask_for_wallet(&alice(), Seed([0; 16]), None).await.unwrap();
    (dir, store)
}

fn new(number: u8, key: &str) -> NewPayment {
    let order = Order {
        wallet: alice(),
        to: address(SHOP),
        to_wallet: None,
        asset: "ETH".parse().unwrap(),
        amount: "7".parse().unwrap(),
        intent: None,
    };
    let (caller, idempotency_key) = ("default".parse().unwrap(), key.parse().unwrap());
    NewPayment { id: id(number), caller, idempotency_key, order, seed: Seed([7; 16]) }
}
