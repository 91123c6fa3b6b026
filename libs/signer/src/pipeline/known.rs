//! Wallets that a signer remembers.

use std::sync::Arc;

use chain::{ChainId, WalletDesc};
use hashlink::LruCache;

/// What all descriptions together may take, bytes; those that were not used for longest are forgotten.
const MOST_BYTES: usize = 48 << 20;
/// What the table and the allocator take for each beside its texts and keys, estimated.
const OVERHEAD: usize = 400;

/// A wallet on a chain.
type Name = (String, ChainId);

/// Descriptions that were recomputed once, of one manifest.
pub(super) struct Known {
    manifest: [u8; 32],
    wallets: LruCache<Name, Arc<WalletDesc>>,
    bytes: usize,
    most_bytes: usize,
}

impl Default for Known {
    fn default() -> Self {
        Self { manifest: [0; 32], wallets: LruCache::new_unbounded(), bytes: 0, most_bytes: MOST_BYTES }
    }
}

impl Known {
    /// A wallet as the owners of this manifest have it.
    pub(super) fn get(&mut self, manifest: [u8; 32], name: &Name) -> Option<Arc<WalletDesc>> {
        self.of(manifest).wallets.get(name).cloned()
    }

    /// Remembers a wallet, and forgets as many others as it takes the place of.
    pub(super) fn keep(&mut self, manifest: [u8; 32], name: Name, desc: Arc<WalletDesc>) {
        let known = self.of(manifest);
        known.bytes += bytes(&name, &desc);
        let size = |(name, desc): (Name, Arc<WalletDesc>)| bytes(&name, &desc);
        let replaced = known.wallets.remove_entry(&name).map_or(0, size);
        known.wallets.insert(name, desc);
        known.bytes -= replaced;
        while known.bytes > known.most_bytes
            && let Some(oldest) = known.wallets.remove_lru()
        {
            known.bytes -= size(oldest);
        }
    }

    /// Another manifest has other owners, and so other wallets.
    fn of(&mut self, manifest: [u8; 32]) -> &mut Self {
        if self.manifest != manifest {
            self.wallets.clear();
            (self.manifest, self.bytes) = (manifest, 0);
        }
        self
    }
}

fn bytes((wallet, chain): &Name, desc: &WalletDesc) -> usize {
    let WalletDesc { chain: of, address, owners, owner_addresses, salt } = desc;
    let keys = [&owners.hot, &owners.cool, &owners.cold].map(Vec::len).iter().sum::<usize>();
    let texts = [wallet.as_str(), chain.as_str(), of.as_str(), address].map(str::len).iter().sum::<usize>();
    OVERHEAD + texts + keys + owner_addresses.iter().map(String::len).sum::<usize>() + salt.len()
}

#[cfg(test)]
mod tests {
    use chain::Owners;

    use super::*;

    fn name(wallet: &str) -> Name {
        (wallet.to_owned(), "eip155:1".parse().unwrap())
    }

    fn desc() -> Arc<WalletDesc> {
        let owners = Owners { hot: vec![1; 33], cool: vec![2; 33], cold: vec![3; 33] };
        let address = || "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned();
        Arc::new(WalletDesc {
            chain: "eip155:1".parse().unwrap(),
            address: address(),
            owners,
            owner_addresses: [address(), address(), address()],
            salt: [0; 32],
        })
    }

    #[test]
    fn only_what_was_not_used_for_longest_is_forgotten_and_only_when_there_is_no_room() {
        let of_one = bytes(&name("w0"), &desc());
        let mut known = Known { most_bytes: 3 * of_one, ..Known::default() };
        for wallet in ["w0", "w1", "w2"] {
            known.keep([1; 32], name(wallet), desc());
        }
        assert!(known.get([1; 32], &name("w0")).is_some());
        known.keep([1; 32], name("w3"), desc());
        let kept = ["w0", "w1", "w2", "w3"].map(|wallet| known.get([1; 32], &name(wallet)).is_some());
        assert_eq!(kept, [true, false, true, true]);
        // The same again takes nobody's place.
        known.keep([1; 32], name("w3"), desc());
        assert_eq!((known.wallets.len(), known.bytes), (3, 3 * of_one));
        // One that is too large for all of it is not kept, and nothing is counted that is not there.
        known.keep([1; 32], name(&"w".repeat(3 * of_one)), desc());
        assert_eq!((known.wallets.len(), known.bytes), (0, 0));
    }

    #[test]
    fn under_another_manifest_nothing_is_known() {
        let mut known = Known::default();
        known.keep([1; 32], name("w0"), desc());
        assert!(known.get([2; 32], &name("w0")).is_none());
        assert!(known.get([1; 32], &name("w0")).is_none());
        assert_eq!(known.bytes, 0);
    }
}
