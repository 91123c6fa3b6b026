//! What a chain says of the wallets of a roster: some fifty bytes for each balance.

use std::collections::BTreeMap;

use chain::{Amount, Claim, Created, Held, WalletState};

/// Whether a wallet exists, in a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Unread,
    No,
    Ours,
    Foreign,
}

/// What the chain says of each wallet, by its place in the roster.
#[derive(Debug)]
pub struct States {
    made: Vec<Made>,
    live: Vec<u64>,
    /// Never nothing; by wallet and asset, once it is sorted.
    held: Vec<(u32, u8, Amount)>,
    sorted: bool,
    /// Of each asset: why it could not be read, and of how many wallets.
    unreadable: Vec<Option<(String, u64)>>,
    foreign: BTreeMap<u32, String>,
}

/// What is said can't be planned with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("wallets of this chain have no nonces")]
pub struct NoNonce;

impl States {
    /// Nothing is read yet of so many wallets and assets.
    pub fn new(wallets: usize, assets: usize) -> Self {
        let (made, live) = (vec![Made::Unread; wallets], vec![0; wallets]);
        let (held, unreadable, foreign) = (Vec::new(), vec![None; assets], BTreeMap::new());
        Self { made, live, held, sorted: true, unreadable, foreign }
    }

    /// Keeps what was read of the wallet at `place`; the balances are in the order of the assets.
    pub fn read(&mut self, place: usize, state: &WalletState) -> Result<(), NoNonce> {
        let [Claim::Sequence(live)] = state.next[..] else { return Err(NoNonce) };
        let wallet = place as u32;
        self.live[place] = live;
        self.made[place] = match &state.created {
            Created::No => Made::No,
            Created::Ours => Made::Ours,
            Created::Foreign(why) => {
                self.foreign.insert(wallet, why.clone());
                Made::Foreign
            }
        };
        for (asset, held) in (0..).zip(&state.balances) {
            match held {
                Held::Units(amount) if amount.is_zero() => {}
                Held::Units(amount) => {
                    self.held.push((wallet, asset, *amount));
                    self.sorted = false;
                }
                Held::Unreadable(why) => {
                    let known = self.unreadable[usize::from(asset)].get_or_insert_with(|| (why.clone(), 0));
                    known.1 += 1;
                }
            }
        }
        Ok(())
    }

    /// Whether this wallet was read.
    pub fn is_read(&self, place: usize) -> bool {
        self.made[place] != Made::Unread
    }

    /// The first wallet that was not read.
    pub fn unread(&self) -> Option<usize> {
        self.made.iter().position(|made| *made == Made::Unread)
    }

    /// Once all are read.
    pub fn finish(&mut self) {
        if !self.sorted {
            self.held.sort_unstable_by_key(|(wallet, asset, _)| (*wallet, *asset));
            self.sorted = true;
        }
        self.held.shrink_to_fit();
    }

    /// Whether it exists, whatever it is.
    pub fn created(&self, place: usize) -> bool {
        self.made[place] != Made::No
    }

    /// What else is at its address.
    pub fn foreign(&self, place: usize) -> Option<&str> {
        self.foreign.get(&(place as u32)).map(String::as_str)
    }

    /// The nonce of its next transaction.
    pub fn live(&self, place: usize) -> u64 {
        self.live[place]
    }

    /// What it holds, by place in the list of assets: never nothing.
    pub fn held(&self, place: usize) -> impl Iterator<Item = (usize, Amount)> {
        debug_assert!(self.sorted, "finished before it is asked");
        let wallet = place as u32;
        let first = self.held.partition_point(|(other, _, _)| *other < wallet);
        let own = self.held[first..].iter().take_while(move |(other, _, _)| *other == wallet);
        own.map(|(_, asset, amount)| (usize::from(*asset), *amount))
    }

    /// Everything that was read, by asset.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, Amount)> {
        self.held.iter().map(|(_, asset, amount)| (usize::from(*asset), *amount))
    }

    /// Of each asset that could not be read everywhere: its place, why, and of how many wallets.
    pub fn unreadable(&self) -> impl Iterator<Item = (usize, &str, u64)> {
        let each = self.unreadable.iter().enumerate();
        each.filter_map(|(asset, known)| known.as_ref().map(|(why, wallets)| (asset, why.as_str(), *wallets)))
    }
}
