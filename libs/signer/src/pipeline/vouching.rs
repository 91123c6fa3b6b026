//! What a start knows of itself and of those who vouch for it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use audit::Head;
use custody::Role;

use crate::store::Start;

/// What a start knows of itself and of what others hold of it. In memory only.
pub(super) struct Vouching {
    pub(super) instance: [u8; 16],
    pub(super) start: tokio::sync::Mutex<Option<Start>>,
    told: Mutex<Told>,
}

/// What the vouchers have said.
#[derive(Default)]
pub(super) struct Told {
    /// The longest head that this start has attested or shown: it has to stay in the chain.
    pub(super) longest: Option<Head>,
    /// The highest epoch of this signer's own heads that others hold.
    pub(super) epoch: u64,
    pub(super) vouchers: BTreeMap<Role, Voucher>,
}

/// What is between this signer and one that vouches for it.
#[derive(Default, Clone)]
pub(super) struct Voucher {
    /// Hash of the head that it holds and this chain goes on from; empty: none, or not known yet.
    pub(super) holds: Vec<u8>,
    /// Hash of the head in its last answer.
    pub(super) answered: Vec<u8>,
    /// Hash of the head that it was shown last, if it may keep that one.
    pub(super) offered: Option<Vec<u8>>,
}

impl Vouching {
    pub(super) fn new(instance: [u8; 16]) -> Self {
        Self { instance, start: tokio::sync::Mutex::default(), told: Mutex::default() }
    }

    /// Nothing that is attested may be missing from the chain from now on.
    pub(super) fn attests(&self, head: Head) {
        self.told(|told| {
            if told.longest.is_none_or(|longest| longest.count < head.count) {
                told.longest = Some(head);
            }
        });
    }

    pub(super) fn longest(&self) -> Option<Head> {
        self.told(|told| told.longest)
    }

    pub(super) fn told<T>(&self, act: impl FnOnce(&mut Told) -> T) -> T {
        act(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
