//! Who holds what, and what was signed of it before the freeze: a pure function of seed and number.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use anyhow::{Context, Result};
use chain::{ChainRules, WalletDesc};
use chain_evm::EvmSafe;
use custody::{WalletId, manifest::VerifiedManifest};

use crate::{
    assets::Kind,
    place::{PAYEE, TAKER},
    seeded,
};

/// Wallets of which the same share is the same in every run: twice of forty are 5 %.
const SLOTS: usize = 40;
/// A payment that hot and cool signed before the freeze as App asked: one wallet that exists, one that does not.
const PAID: [usize; 2] = [7, 22];
/// The same as the thief asked, who had App's keys before anybody knew and stayed within the policy.
const PAID_TO_THIEF: [usize; 2] = [12, 29];
/// The thief creates these in front of everybody.
const CREATED_BY_THIEF: [usize; 2] = [11, 33];
const HOLDS_PAUSED: [usize; 2] = [4, 15];
const HOLDS_LIAR: [usize; 2] = [17, 30];
/// The least that a wallet holds, dollars.
const LEAST: f64 = 50.0;
/// A payment is this part of what the wallet has of the coin.
const PAYMENT_PART: u128 = 3;

/// One user.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) id: WalletId,
    /// Hot's: in Keeper, and with the thief.
    pub(crate) hot_secret: [u8; 32],
    pub(crate) hot_key: Vec<u8>,
    pub(crate) desc: WalletDesc,
    pub(crate) address: Address,
    /// Whether it is on the chain when it begins.
    pub(crate) exists: bool,
    /// Smallest units.
    pub(crate) held: BTreeMap<Kind, u128>,
    /// What hot and cool have signed away, of the coin, and to whom.
    pub(crate) payment: Option<(u128, &'static str)>,
    /// Whether the thief creates it before we do.
    pub(crate) created_by_thief: bool,
}

impl Holder {
    /// Everybody, by number.
    pub(crate) fn all(count: usize, seed: u64, rules: &EvmSafe, manifest: &VerifiedManifest) -> Result<Vec<Self>> {
        (0..count).map(|number| Self::new(number, seed, rules, manifest)).collect()
    }

    fn new(number: usize, seed: u64, rules: &EvmSafe, manifest: &VerifiedManifest) -> Result<Self> {
        let hot_secret = seeded::bytes(seed, "hot key", number as u64);
        let hot_key = rules.public_key(&hot_secret).context("this seed gives a key that is none; take another")?;
        let desc = rules.wallet(&manifest.owners(rules.id(), &hot_key)?, [0; 32])?;
        let slot = number % SLOTS;
        let held = held(number, seed, slot);
        let payment = payee(slot).map(|to| (held.get(&Kind::Eth).copied().unwrap_or_default() / PAYMENT_PART, to));
        Ok(Self {
            id: format!("user-{number:05}").parse()?,
            hot_secret,
            hot_key,
            address: desc.address.parse()?,
            desc,
            exists: slot.is_multiple_of(2),
            held,
            payment,
            created_by_thief: CREATED_BY_THIEF.contains(&slot),
        })
    }

    pub(crate) fn of(&self, kind: Kind) -> u128 {
        self.held.get(&kind).copied().unwrap_or_default()
    }
}

fn payee(slot: usize) -> Option<&'static str> {
    let to = |slots: [usize; 2], to| slots.contains(&slot).then_some(to);
    to(PAID, PAYEE).or(to(PAID_TO_THIEF, TAKER))
}

fn held(number: usize, seed: u64, slot: usize) -> BTreeMap<Kind, u128> {
    let stuck = |slots: [usize; 2], kind| slots.contains(&slot).then_some(kind);
    let stuck = stuck(HOLDS_PAUSED, Kind::Paused).or(stuck(HOLDS_LIAR, Kind::Liar));
    let kinds: &[Kind] = match seeded::unit(seed, "kinds", number as u64) {
        // A ladder has three assets at most.
        _ if stuck.is_some() || payee(slot).is_some() => &[Kind::Eth, Kind::Usd],
        share if share < 0.55 => &[Kind::Eth],
        share if share < 0.65 => &[Kind::Usd],
        share if share < 0.75 => &[Kind::Eur],
        share if share < 0.90 => &[Kind::Eth, Kind::Usd],
        _ => &[Kind::Eth, Kind::Usd, Kind::Eur],
    };
    let part = seeded::pareto(seed, number as u64, LEAST) / kinds.len() as f64;
    kinds.iter().copied().chain(stuck).map(|kind| (kind, kind.units(part))).collect()
}

#[cfg(test)]
mod tests {
    use custodies::{CHAIN, Custody};

    use super::*;

    #[test]
    fn the_shares_are_those_that_were_asked_for_and_the_same_in_every_run() {
        let rules = EvmSafe::new(CHAIN.parse().unwrap()).unwrap();
        let custody = Custody::fixed();
        let all = |seed| Holder::all(1_000, seed, &rules, &custody.manifest).unwrap();
        let holders = all(1);
        let count = |which: &dyn Fn(&Holder) -> bool| holders.iter().filter(|holder| which(holder)).count();
        assert_eq!(count(&|holder| holder.exists), 500);
        let pays = |to: &str| count(&|holder| holder.payment.is_some_and(|(amount, payee)| amount > 0 && payee == to));
        assert_eq!((pays(PAYEE), pays(TAKER)), (50, 50));
        assert_eq!(count(&|holder| holder.created_by_thief), 50);
        assert!(!holders.iter().any(|holder| holder.created_by_thief && (holder.exists || holder.payment.is_some())));
        assert_eq!(count(&|holder| holder.of(Kind::Paused) > 0), 50);
        assert_eq!(count(&|holder| holder.of(Kind::Liar) > 0), 50);
        let worth = |holder: &Holder| holder.held.iter().map(|(kind, units)| kind.worth(*units)).sum::<f64>();
        assert!(holders.iter().all(|holder| (1..=3).contains(&holder.held.len()) && worth(holder) >= LEAST - 0.01));
        let again = all(1);
        assert!(holders.iter().zip(&again).all(|(one, other)| one.held == other.held && one.address == other.address));
        assert_ne!(holders[5].address, all(2)[5].address);
    }
}
