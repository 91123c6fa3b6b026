//! The wallets of one chain as several sources record them, compared and merged. A million of them take some hundred
//! bytes each.
//!
//! A record is planned with where its address is that of its keys and the manifest's. Of two that both are, and differ,
//! nobody can say which one is the wallet: nothing is planned before people have looked.

mod merge;

use std::{collections::BTreeMap, ops::Range};

use chain::{Amount, Asset, ChainId, ChainRules, WalletDesc, hex};
use custody::{WalletId, manifest::VerifiedManifest};
use sha2::{Digest, Sha256};

pub use merge::{Difference, Merged, RosterError, Sources};

use crate::{EvacuationError, ExportedPayment};

/// All wallets of one chain, by name.
#[derive(Debug, Default)]
pub struct Roster {
    names: String,
    /// Hot keys, and salts that are not zeros.
    bytes: Vec<u8>,
    wallets: Vec<Entry>,
    payments: Vec<Payment>,
    /// As sources call the assets of payments: symbol, and contract where it is known.
    assets: Vec<(String, Option<String>)>,
}

/// Where what is known of a wallet is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    name: u32,
    bytes: u32,
    name_length: u8,
    key_length: u8,
    salted: bool,
    /// How many payments follow from here.
    payments: u8,
    first_payment: u32,
    highest: Option<u64>,
}

/// A payment that may still be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Payment {
    nonce: u64,
    amount: Amount,
    asset: u32,
}

/// A wallet of a roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// App's name for it.
    pub id: &'a str,
    /// Hot public key, in the chain's encoding.
    pub hot_key: &'a [u8],
    /// Salt of the address.
    pub salt: [u8; 32],
    /// The highest nonce at which anything was signed, as far as any source knows.
    pub highest: Option<u64>,
}

impl Roster {
    /// How many wallets.
    pub fn len(&self) -> usize {
        self.wallets.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.wallets.is_empty()
    }

    /// The wallet at a place, in the order of names.
    pub fn wallet(&self, place: usize) -> Known<'_> {
        let entry = &self.wallets[place];
        let (name, bytes) = (entry.name as usize, entry.bytes as usize);
        let (hot_key, rest) = self.bytes[bytes..].split_at(entry.key_length.into());
        let salt = rest.first_chunk().filter(|_| entry.salted).copied().unwrap_or_default();
        let id = &self.names[name..name + usize::from(entry.name_length)];
        Known { id, hot_key, salt, highest: entry.highest }
    }

    /// Its name.
    pub fn id(&self, place: usize) -> Result<WalletId, EvacuationError> {
        let id: Result<WalletId, _> = self.wallet(place).id.parse();
        id.map_err(|error| EvacuationError::Malformed { what: "wallet's name", why: error.to_string() })
    }

    /// Its address and owners, from its hot key and the manifest's keys.
    pub fn describe(
        &self,
        place: usize,
        manifest: &VerifiedManifest,
        rules: &dyn ChainRules,
    ) -> Result<WalletDesc, EvacuationError> {
        let Known { hot_key, salt, .. } = self.wallet(place);
        let described = manifest.owners(rules.id(), hot_key).and_then(|owners| rules.wallet(&owners, salt));
        let id = self.id(place)?;
        described.map_err(|source| EvacuationError::Chain { wallet: id, chain: rules.id().clone(), source })
    }

    /// The first nonce of the payments that may still be sent or taken back; `None`: nothing is known of any.
    pub(crate) fn first_payment(&self, place: usize) -> Option<u64> {
        self.payments[self.payments_of(place)].iter().map(|payment| payment.nonce).min()
    }

    /// What may still leave of an asset, by nonce, a nonce once.
    pub fn outstanding(&self, place: usize, asset: &Asset) -> BTreeMap<u64, Amount> {
        let of_it = |payment: &&Payment| {
            let (symbol, contract) = &self.assets[payment.asset as usize];
            ExportedPayment::names(symbol, contract.as_deref(), asset)
        };
        let payments = self.payments[self.payments_of(place)].iter().filter(of_it);
        payments.map(|payment| (payment.nonce, payment.amount)).collect()
    }

    /// SHA-256 over names, keys and salts: whether two rosters have the same wallets.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for place in 0..self.len() {
            let Known { id, hot_key, salt, .. } = self.wallet(place);
            for part in [id.as_bytes(), hot_key, &salt] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().into()
    }

    /// As a record of an export of version 1, for a plan of version 1.
    pub fn record(&self, place: usize, described: &WalletDesc) -> Result<crate::ExportedWallet, EvacuationError> {
        let Known { hot_key, salt, .. } = self.wallet(place);
        let chain: &ChainId = &described.chain;
        let keys = BTreeMap::from([(chain.namespace().to_owned(), hot_key.to_vec())]);
        let addresses = BTreeMap::from([(chain.clone(), described.address.clone())]);
        Ok(crate::ExportedWallet::new(self.id(place)?, &keys, salt, addresses))
    }

    fn payments_of(&self, place: usize) -> Range<usize> {
        let entry = &self.wallets[place];
        let first = entry.first_payment as usize;
        first..first + usize::from(entry.payments)
    }
}

/// A key as people see it.
fn shown(bytes: &[u8]) -> String {
    hex::encode_prefixed(bytes)
}
