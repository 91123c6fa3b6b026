//! Promises of a small volume. It is small for real: SQLite itself refuses the page that is one too many
//! (`max_page_count`), as a file system refuses the block.

use audit::Entry;
use custody::volume::{FIXED, PAYMENT, Room, Space, WALLET, rungs};
use protocol::ops::MAX_BATCH_ITEMS;

use super::*;
use crate::store::{Evacuating, Quoted, Used};

/// Wallets of the custody.
const WALLETS: u8 = 12;

/// A volume for a file that has no more pages.
struct Small {
    pages: u64,
    page_size: u64,
}

impl Running {
    /// From now on the file has room for so many bytes more, and for what is reserved for its wallets.
    async fn shrink(&self, bytes: u64) -> Small {
        let (used, page_size) = self.store.pages().await;
        let reserve = custody::volume::reserve(WALLETS.into(), &local_policy()) - FIXED;
        let pages = used + (reserve + bytes).div_ceil(page_size);
        self.store.cap_pages(pages).await;
        Small { pages, page_size }
    }

    /// What the agent does every two seconds. The write-ahead log, for which there is a fixed part, is no page of the file.
    async fn look_at(&self, small: &Small) -> Room {
        let (used, _) = self.store.pages().await;
        let file = self.store.look(0, |ledger| ledger.file_use()).await.unwrap();
        let bytes = |pages: u64| pages * small.page_size + FIXED;
        let space = Space { size: bytes(small.pages), free: bytes(small.pages - used) + file.free };
        let room = Room::of(space, file.wallets, &local_policy());
        self.signer.see_room(room);
        room
    }
}

fn wallet(number: u8) -> String {
    format!("wallet-{number}")
}

fn evacuation(wallet: u8, rung: u64) -> Evacuating {
    let mut digest = [wallet; 32];
    digest[..8].copy_from_slice(&(rung.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
    let entry = Entry {
        role: "cooler".to_owned(),
        custody_id: vec![7; 16],
        requester: "admin".to_owned(),
        operation: "EvacuationSign".to_owned(),
        wallet: self::wallet(wallet),
        chain: CHAIN.to_owned(),
        digest: digest.to_vec(),
        policy_digest: vec![1; 32],
        trust_digest: vec![2; 32],
        ..Entry::default()
    };
    Evacuating { digest, address: SAFE.to_owned(), entry }
}

#[tokio::test]
async fn on_a_full_volume_every_wallet_is_still_frozen_settled_and_evacuated_and_nothing_else_is_written() {
    let pair = Pair::start().await;
    let keeper = &pair.keeper;
    let grown = async |since: u64| (keeper.store.pages().await.0 - since) * keeper.store.pages().await.1;
    let empty = keeper.store.pages().await.0;
    for number in 0..WALLETS {
        pair.wallet(&wallet(number)).await;
    }
    assert!(grown(empty).await <= u64::from(WALLETS) * WALLET, "{} bytes", grown(empty).await);
    let small = keeper.shrink(128 << 10).await;
    assert!(keeper.look_at(&small).await.left() > 0);
    let unpaid = keeper.store.pages().await.0;

    // Ordinary operations until only the reserve is left.
    let (mut nonces, mut asked) = ([0; WALLETS as usize], 0_usize);
    let full = loop {
        let number = asked % usize::from(WALLETS);
        let paid = payment(&wallet(number as u8), &transfer("ETH", 1), nonces[number]);
        match keeper.ask(sign(&paid)).await {
            Outcome::Signed(_) => nonces[number] += 1,
            other => break other,
        }
        asked += 1;
        assert!(asked < 2_000, "the volume does not fill");
        keeper.look_at(&small).await;
    };
    assert!(grown(unpaid).await <= asked as u64 * PAYMENT, "{} bytes for {asked} payments", grown(unpaid).await);
    assert_eq!(unavailable(full), "VolumeFull");
    assert!(keeper.look_at(&small).await.warning(None).unwrap().starts_with("VolumeFull"));
    let next = payment("wallet-0", &transfer("ETH", 1), nonces[0]);
    let create = CreateWallet { wallet: "late".to_owned(), ..CreateWallet::default() };
    let ordinary = [
        sign(&next),
        sign(&payment("wallet-0", &transfer("ETH", ETH + 1), nonces[0])),
        Operation::Announce(next.clone()),
        Operation::CreateWallet(create),
        Operation::RegisterWallet(registration(Attestation::default())),
    ];
    let before = keeper.chain().await.len();
    for operation in ordinary {
        assert_eq!(unavailable(keeper.ask(operation.clone()).await), "VolumeFull", "{}", operation.name());
    }
    assert_eq!(keeper.chain().await.len(), before, "nothing of it is written");
    assert!(matches!(keeper.ask(Operation::Check(next)).await, Outcome::Allowed(_)), "it stores nothing");

    // The worst day: all of it, for every wallet.
    for number in 0..WALLETS {
        let all: Vec<_> = (0..=nonces[usize::from(number)]).map(Claim::Sequence).collect();
        for some in all.chunks(MAX_BATCH_ITEMS) {
            let settlements = some.iter().map(|claim| Settlement::new(wallet(number), CHAIN, *claim, [number; 32]));
            let settle = request(Operation::Settle(Settle { settlements: settlements.collect() }));
            assert_eq!(keeper.say(Role::Sentinel, &settle).await, Outcome::Done(Done {}));
        }
        let freeze = Freeze { wallet: wallet(number), reason: "r".repeat(300) };
        let freeze = request(Operation::Freeze(freeze));
        assert_eq!(keeper.say(Role::Sentinel, &freeze).await, Outcome::Done(Done {}));
        let ladder = (0..rungs(&local_policy())).map(|rung| evacuation(number, rung)).collect();
        keeper.store.record_evacuations(keeper.now_ms(), ladder).await.unwrap();
    }
    let recorded = keeper.store.evacuations().await.unwrap();
    assert_eq!(recorded as u64, u64::from(WALLETS) * rungs(&local_policy()));
    assert!(rungs(&local_policy()) == 12, "two assets at three nonces, with and without a payment");

    // The limit is real: without end nothing is written, and what was written stays.
    let more = (0..1_000).map(|rung| evacuation(WALLETS, rung)).collect();
    let error = keeper.store.record_evacuations(keeper.now_ms(), more).await.unwrap_err().to_string();
    assert!(error.contains("check the volume's free space"), "{error}");
    assert!(keeper.store.look(0, |ledger| ledger.frozen("wallet-0")).await.unwrap().is_some());
}

#[tokio::test]
async fn what_is_refused_over_the_quota_is_not_decided_and_what_is_stored_stays() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let keeper = &pair.keeper;
    let kept = request(sign(&payment("alice", &transfer("ETH", ETH + 1), 0)));
    assert_eq!(refused(keeper.answer(&kept).await), "OverLimit");
    let used = async |used: Used| {
        keeper.store.decide(0, move |ledger| ledger.note_used(Quoted::Refusals, used)).await.unwrap();
    };
    let minute = keeper.now_ms() / 60_000;
    used(Used { minute, in_minute: 6_000, in_all: 6_000 }).await;
    // Refused by the policy, and before anything is decoded.
    let over = request(sign(&payment("alice", &transfer("ETH", ETH + 1), 0)));
    let unknown = request(sign(&payment("nobody", &transfer("ETH", 1), 0)));
    let records = keeper.chain().await.len();
    for request in [&over, &unknown] {
        assert_eq!(unavailable(keeper.answer(request).await), "RefusalsQuota");
    }
    let told = keeper.ask(Operation::Records(ReadRecords::default())).await;
    assert!(matches!(told, Outcome::Records(Records { records, .. }) if records.len() == 1), "nothing is recorded");
    assert_eq!(keeper.chain().await.len(), records);
    assert_eq!(refused(keeper.answer(&kept).await), "OverLimit", "what is stored is answered");
    signed(keeper.ask(sign(&payment("alice", &transfer("ETH", 1), 0))).await);
    // The same operation in the next minute, under a policy that allows it: nothing had been decided.
    keeper.pass(60_000);
    keeper.under(eth(|eth| eth.per_transaction = (2 * ETH).to_string()), false);
    let again = request(sign(&payment("alice", &transfer("ETH", ETH + 1), 1)));
    signed(keeper.answer(&again).await);
    assert_eq!(refused(keeper.answer(&unknown).await), "WalletUnknown");
    used(Used { minute: 0, in_minute: 0, in_all: 100_000 }).await;
    let late = request(sign(&payment("nobody", &transfer("ETH", 1), 0)));
    assert_eq!(unavailable(keeper.answer(&late).await), "RefusalsQuota");
}

#[tokio::test]
async fn wallets_end_where_the_volume_has_no_room_for_their_evacuation() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let hot = pair.hot("bob").await;
    let late = || Operation::CreateWallet(CreateWallet { wallet: "carol".to_owned(), ..CreateWallet::default() });
    let space = Space { size: 1 << 30, free: 1 << 30 };
    for signer in [&pair.keeper, &pair.cooler] {
        signer.signer.see_room(Room { space, reserve: FIXED, most_wallets: 1 });
        let register = Operation::RegisterWallet(registration(hot.clone()));
        assert_eq!(unavailable(signer.ask(register.clone()).await), "WalletsQuota");
        let known = Operation::RegisterWallet(registration(pair.hot("alice").await));
        assert!(matches!(signer.ask(known).await, Outcome::Registered(_)), "it is there already");
        signer.signer.see_room(Room { space, reserve: FIXED, most_wallets: 2 });
        assert!(matches!(signer.ask(register).await, Outcome::Registered(_)));
    }
    assert_eq!(unavailable(pair.keeper.ask(late()).await), "WalletsQuota");
    pair.keeper.signer.see_room(Room { space, reserve: FIXED, most_wallets: 3 });
    assert!(matches!(pair.keeper.ask(late()).await, Outcome::Created(_)));
}

#[tokio::test]
async fn names_of_no_wallet_are_frozen_up_to_a_number_and_every_wallet_and_everything_always() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let freeze = async |wallet: &str| {
        let freeze = Freeze { wallet: wallet.to_owned(), reason: "odd".to_owned() };
        pair.keeper.say(Role::App, &request(Operation::Freeze(freeze))).await
    };
    let fill =
        |ledger: &Ledger<'_>| (0..1_000).try_for_each(|n| ledger.freeze(&format!("none-{n}"), "app", "").map(drop));
    pair.keeper.store.decide(0, fill).await.unwrap();
    assert_eq!(unavailable(freeze("none-1000").await), "FreezesQuota");
    for known in ["none-7", "alice", ""] {
        assert_eq!(freeze(known).await, Outcome::Done(Done {}), "{known}");
    }
    assert_eq!(unavailable(freeze("none-1000").await), "FreezesQuota", "also while everything is frozen");
    pair.keeper.store.decide(0, |ledger| ledger.thaw("none-7")).await.unwrap();
    assert_eq!(freeze("none-1000").await, Outcome::Done(Done {}));
}
