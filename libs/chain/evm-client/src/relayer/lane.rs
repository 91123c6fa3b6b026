//! What one account has under way, in the order of its nonces, and what follows for it from a block. Pure: questions to
//! the node are returned as lists, answers come in as values.

mod entry;

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256};
use chain::{Claim, Errand, GAP, Outcome, Stuck};
use tokio::sync::watch;

use self::entry::{Entry, State};
pub(super) use self::entry::{Standing, Version};
use super::signed::Signed;
use crate::{call::Call, rpc::Receipt};

/// A receipt may be told so many blocks after the nonce is counted, before something else is taken to have used it.
const RECEIPT_GRACE: u64 = 2;
/// Or so many looks, where no block comes: a chain that makes blocks on demand makes none for a nonce that is used.
const RECEIPT_LOOKS: u32 = 3;
/// The network has so many blocks to mention a nonce before it is filled.
const GAP_GRACE: u64 = 2;
/// Private endpoints have so many blocks to get the next transaction mined before the nodes are given it too.
const PRIVATE_FOR: u64 = 10;
/// A transaction that the node refused this often gives its nonce to another.
const MOST_REFUSALS: u32 = 3;

/// What has to be done for a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// The node does not have it: the same bytes again.
    Resend(u64),
    /// It has to be dearer; and whether the node does not have it.
    Replace(u64, bool),
    /// Nobody takes it: an empty one in its place.
    Vacate(u64),
    /// Nothing is there, and more waits behind it.
    Fill(u64),
}

/// See the module.
pub(super) struct Lane {
    relayer: String,
    /// Nonces below it are used, by the newest block.
    latest: u64,
    /// The most that was ever so.
    used: u64,
    /// Nonces below it that are not ours belong to transactions that the network holds.
    taken: u64,
    entries: BTreeMap<u64, Entry>,
    gap: Option<(u64, u64)>,
    /// The newest block that was told.
    head: u64,
    /// Since this block its next nonce is that.
    next_since: u64,
    /// Whether there are private endpoints.
    private: bool,
    /// How many of its calls were given to the nodes because private endpoints left them out.
    pub(super) opened: u64,
    /// What a call may cost that the account could not pay for, wei.
    pub(super) short: Option<U256>,
    /// Balance of the account at that block, wei.
    pub(super) balance: Option<U256>,
    /// How often something else used a nonce.
    pub(super) foreign: u64,
}

impl Lane {
    /// Of an account whose nonces below `latest` are used, and those below `taken` by what the network holds. `private`:
    /// what is sent goes to private endpoints first.
    pub(super) fn new(relayer: String, latest: u64, taken: u64, private: bool) -> Self {
        Self {
            relayer,
            latest,
            used: latest,
            taken,
            entries: BTreeMap::new(),
            gap: None,
            head: 0,
            next_since: 0,
            private,
            opened: 0,
            short: None,
            balance: None,
            foreign: 0,
        }
    }

    /// A transaction that was kept by an earlier process; later ones replace earlier ones.
    pub(super) fn adopt(&mut self, errand: Errand, signed: Signed) {
        let (empty, open) = (errand.purpose == GAP, !self.private);
        let entry = self.entries.entry(signed.nonce).or_insert_with(|| Entry {
            wallet: signed.call.to.to_string(),
            call: signed.call.clone(),
            errand: errand.clone(),
            versions: Vec::new(),
            state: State::Open,
            sent_at: None,
            refusals: 0,
            refusal: String::new(),
            since: None,
            open,
            standing: watch::Sender::new(Standing::Sent(signed.tx.to_string())),
        });
        if entry.errand.purpose == GAP && !empty {
            (entry.call, entry.errand) = (signed.call.clone(), errand);
        }
        entry.standing.send_replace(Standing::Sent(signed.tx.to_string()));
        entry.versions.push(Version { signed, empty });
    }

    /// Gives the lowest free nonce to a call; and how it stands.
    pub(super) fn reserve(&mut self, errand: &Errand, wallet: &str, call: &Call) -> (u64, watch::Receiver<Standing>) {
        let lowest = self.used.max(self.taken);
        let nonce = (lowest..).find(|nonce| !self.entries.contains_key(nonce)).unwrap_or(lowest);
        (nonce, self.reserve_at(nonce, errand, wallet, call))
    }

    /// Gives this nonce, which is free, to a call.
    pub(super) fn reserve_at(
        &mut self,
        nonce: u64,
        errand: &Errand,
        wallet: &str,
        call: &Call,
    ) -> watch::Receiver<Standing> {
        let (standing, follow) = watch::channel(Standing::Sent(String::new()));
        let (errand, wallet, call) = (errand.clone(), wallet.to_owned(), call.clone());
        let (versions, state, sent_at) = (Vec::new(), State::Open, None);
        let (refusals, refusal, since, open) = (0, String::new(), None, !self.private);
        let entry = Entry { errand, wallet, call, versions, state, sent_at, refusals, refusal, since, open, standing };
        self.entries.insert(nonce, entry);
        follow
    }

    /// Nothing was kept for this nonce, so nothing was sent: it is free again.
    pub(super) fn release(&mut self, nonce: u64) {
        if self.entries.get(&nonce).is_some_and(|entry| entry.versions.is_empty()) {
            self.entries.remove(&nonce);
        }
    }

    /// A version is kept, and about to be sent.
    pub(super) fn kept(&mut self, version: Version) {
        // Before the first block is told, it counts from that one.
        let head = Some(self.head).filter(|head| *head > 0);
        if let Some(entry) = self.entries.get_mut(&version.signed.nonce) {
            entry.sent_at = head;
            entry.since = entry.since.or(head);
            if !matches!(*entry.standing.borrow(), Standing::Done(_)) {
                entry.standing.send_replace(Standing::Sent(version.signed.tx.to_string()));
            }
            entry.versions.push(version);
        }
    }

    /// What a nonce was given to, and its newest version.
    pub(super) fn newest(&self, nonce: u64) -> Option<(&Errand, &Version)> {
        let entry = self.entries.get(&nonce).filter(|entry| entry.state == State::Open)?;
        Some((&entry.errand, entry.newest()?))
    }

    /// Whether the nodes are given it, and not private endpoints alone.
    pub(super) fn is_open_to_all(&self, nonce: u64) -> bool {
        self.entries.get(&nonce).is_none_or(|entry| entry.open)
    }

    /// The node has it.
    pub(super) fn accepted(&mut self, nonce: u64) {
        if let Some(entry) = self.entries.get_mut(&nonce) {
            entry.refusals = 0;
        }
    }

    /// Nothing is known of whether the node has it.
    pub(super) fn unanswered(&mut self, nonce: u64) {
        if let Some(entry) = self.entries.get_mut(&nonce) {
            entry.sent_at = None;
        }
    }

    /// The node does not take it.
    pub(super) fn refused(&mut self, nonce: u64, message: String) {
        if let Some(entry) = self.entries.get_mut(&nonce) {
            entry.refusals += 1;
            entry.refusal.clone_from(&message);
        }
        self.stuck(nonce, Stuck::Refused(message));
    }

    /// Time alone may not help it.
    pub(super) fn stuck(&mut self, nonce: u64, why: Stuck) {
        let open = self.entries.get(&nonce).filter(|entry| entry.state == State::Open);
        if let Some((entry, newest)) = open.and_then(|entry| Some((entry, entry.newest()?))) {
            let standing = Standing::Stuck(newest.signed.tx.to_string(), why);
            entry.standing.send_if_modified(|now| {
                let changed = *now != standing;
                *now = standing;
                changed
            });
        }
    }

    /// How the call of this errand stands, if it is under way.
    pub(super) fn find(&self, errand: &Errand, call: &Call) -> Option<watch::Receiver<Standing>> {
        let lost = |entry: &Entry| {
            matches!(*entry.standing.borrow(), Standing::Done(Outcome::Rejected(_) | Outcome::Replaced { .. }))
        };
        let ours = |entry: &&Entry| entry.is(errand, call) && !lost(entry);
        self.entries.values().rev().find(ours).map(|entry| entry.standing.subscribe())
    }

    /// Whether something of this wallet is under way.
    pub(super) fn serves(&self, wallet: &str) -> bool {
        self.entries.values().any(|entry| entry.wallet == wallet && !matches!(entry.state, State::Mined(_)))
    }

    /// The most that everything under way may cost, wei.
    pub(super) fn committed(&self) -> U256 {
        let open = self.entries.values().filter(|entry| entry.state == State::Open);
        open.fold(U256::ZERO, |sum, entry| sum.saturating_add(entry.cost()))
    }

    /// Calls that are not in a block.
    pub(super) fn in_flight(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.state, State::Open | State::Passed { .. })).count()
    }

    /// Whether there is anything to look after.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those that are stuck.
    pub(super) fn all_stuck(&self) -> Vec<(String, Stuck)> {
        let standings = self.entries.values().map(|entry| entry.standing.borrow().clone());
        standings
            .filter_map(|standing| match standing {
                Standing::Stuck(tx, why) => Some((tx, why)),
                _ => None,
            })
            .collect()
    }

    /// Whether something can't be made dearer because the float does not pay for it.
    pub(super) fn waits_for_float(&self) -> bool {
        self.all_stuck().iter().any(|(_, why)| matches!(why, Stuck::Float { .. }))
    }

    /// There is another block.
    pub(super) fn at(&mut self, head: u64) {
        self.head = head;
    }

    /// Whether nothing is under way, and this block was told before.
    pub(super) fn rests_at(&self, head: u64) -> bool {
        self.is_idle() && self.head == head
    }

    /// There is another block, by which the nonces below `latest` are used: the nonces whose receipts are to be asked
    /// for, newest version first. What was in a block that is gone is open again.
    pub(super) fn seen(&mut self, head: u64, latest: u64) -> Vec<(u64, Vec<B256>)> {
        if self.latest != latest || self.next_since == 0 {
            self.next_since = head;
        }
        (self.head, self.latest) = (head, latest);
        self.used = self.used.max(latest);
        for entry in self.entries.range_mut(latest..).map(|(_, entry)| entry) {
            if matches!(entry.state, State::Mined(_) | State::Passed { .. }) {
                entry.state = State::Open;
                // Whether a node still has it is not known.
                entry.sent_at = None;
                let tx = entry.newest().map(|version| version.signed.tx.to_string());
                entry.standing.send_replace(Standing::Sent(tx.unwrap_or_default()));
            }
        }
        let passed = self.entries.range(..latest);
        let asked = passed.filter(|(_, entry)| matches!(entry.state, State::Open | State::Passed { .. }));
        asked
            .map(|(nonce, entry)| (*nonce, entry.versions.iter().rev().map(|version| version.signed.tx).collect()))
            .collect()
    }

    /// What the node says of a nonce that is used: the receipt of a version, or none of any.
    pub(super) fn told(&mut self, nonce: u64, receipt: Option<Receipt>) {
        let (head, relayer) = (self.head, self.relayer.clone());
        let Some(entry) = self.entries.get_mut(&nonce) else { return };
        let Some(receipt) = receipt else {
            match entry.state {
                State::Open => entry.state = State::Passed { since: head, looks: 0 },
                State::Passed { since, looks } if head >= since + RECEIPT_GRACE || looks >= RECEIPT_LOOKS => {
                    entry.state = State::Foreign;
                    self.foreign += 1;
                    let claim = Claim::Sequence(nonce);
                    entry.standing.send_replace(Standing::Done(Outcome::Replaced { relayer, claim }));
                }
                State::Passed { since, looks } => entry.state = State::Passed { since, looks: looks + 1 },
                _ => {}
            }
            return;
        };
        let Some(version) = entry.versions.iter().find(|version| version.signed.tx == receipt.tx) else { return };
        let outcome = match version.empty {
            true => Outcome::Rejected(entry.refusal.clone()),
            false => Outcome::Mined { tx: receipt.tx.to_string(), success: receipt.success },
        };
        entry.state = State::Mined(receipt.block);
        entry.standing.send_replace(Standing::Done(outcome));
    }

    /// Whether anything is in a block that may still go.
    pub(super) fn has_mined(&self) -> bool {
        self.entries.values().any(|entry| matches!(entry.state, State::Mined(_)))
    }

    /// Everything up to this block stays: what has ended, as it was kept. It is forgotten here.
    pub(super) fn settle(&mut self, block: Option<u64>) -> Vec<String> {
        let ended = |entry: &Entry| match entry.state {
            State::Mined(at) => block.is_some_and(|block| at <= block),
            State::Foreign => true,
            State::Open | State::Passed { .. } => false,
        };
        let nonces: Vec<u64> = self.entries.iter().filter(|(_, entry)| ended(entry)).map(|(nonce, _)| *nonce).collect();
        let entries = nonces.iter().filter_map(|nonce| self.entries.remove(nonce));
        entries.flat_map(|entry| entry.versions).map(|version| version.signed.tx.to_string()).collect()
    }

    /// What is due, now that the node has all nonces below `pending`, and blocks take no offer below `least`.
    pub(super) fn due(&mut self, pending: u64, least: u128, replace_after: u64) -> Vec<Due> {
        let head = self.head;
        self.taken = self.taken.min(pending.max(self.latest));
        let mut due: Vec<Due> = self.gap(pending).into_iter().map(Due::Fill).collect();
        let opened = self.opens();
        let latest = self.latest;
        for (nonce, entry) in self.entries.iter_mut().filter(|(_, entry)| entry.state == State::Open) {
            let Some(newest) = entry.versions.last() else { continue };
            // It may have been sent while the node was being asked; an earlier process may not have sent it at all.
            let lost = *nonce >= pending && entry.sent_at.is_none_or(|at| at < head || entry.refusals > 0);
            let lost = lost || opened.contains(nonce);
            let sent_at = *entry.sent_at.get_or_insert(head);
            // What is not the next waits for those before it.
            let waited = *nonce == latest && head.saturating_sub(sent_at) >= replace_after.max(1);
            if entry.refusals >= MOST_REFUSALS && !newest.empty {
                due.push(Due::Vacate(*nonce));
            } else if waited || newest.signed.terms.offer.most() < least {
                due.push(Due::Replace(*nonce, lost));
            } else if lost {
                due.push(Due::Resend(*nonce));
            }
        }
        due
    }

    /// What private endpoints leave out or refuse is given to the nodes too from now on.
    fn opens(&mut self) -> Vec<u64> {
        let (head, latest, next_since) = (self.head, self.latest, self.next_since);
        let mut opened = Vec::new();
        let kept = self.entries.iter_mut().filter(|(_, entry)| entry.state == State::Open && !entry.open);
        for (nonce, entry) in kept {
            let since = (*entry.since.get_or_insert(head)).max(next_since);
            // What is not the next waits for those before it.
            let left_out = *nonce == latest && head.saturating_sub(since) >= PRIVATE_FOR;
            if left_out || entry.refusals >= MOST_REFUSALS {
                (entry.open, entry.refusals) = (true, 0);
                opened.push(*nonce);
            }
        }
        self.opened += opened.len() as u64;
        opened
    }

    /// Nonces before which nothing behind them can be mined, and which nothing is known to use.
    fn gap(&mut self, pending: u64) -> Vec<u64> {
        let Some((last, _)) = self.entries.last_key_value() else { return Vec::new() };
        let free: Vec<u64> =
            (self.latest.max(pending)..*last).filter(|nonce| !self.entries.contains_key(nonce)).collect();
        let Some(first) = free.first().copied() else {
            self.gap = None;
            return Vec::new();
        };
        let since = self.gap.filter(|(nonce, _)| *nonce == first).map_or(self.head, |(_, since)| since);
        self.gap = Some((first, since));
        if self.head >= since + GAP_GRACE { free } else { Vec::new() }
    }

    /// The errand that waits behind a nonce.
    pub(super) fn behind(&self, nonce: u64) -> Option<&Errand> {
        self.entries.range(nonce..).next().map(|(_, entry)| &entry.errand)
    }
}

#[cfg(test)]
mod tests;
