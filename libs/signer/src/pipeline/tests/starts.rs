//! Promises about starts: two copies of one volume never both serve, what a chain loses while it is in use is noticed,
//! and Cooler signs only for the present Keeper.

use std::{path::Path, sync::Arc};

use protocol::attestation::audit_head;
use rand_core::OsRng;
use rusqlite::Connection;

use super::*;
use crate::{
    identity,
    pipeline::Lock,
    store::{FILE, Store},
};

impl Pair {
    /// Keeper's head as its loop shows it, and Cooler's answer to it.
    async fn show(&self, keeper: &Running, open: bool) -> Outcome {
        let serving = keeper.signer.serving().unwrap();
        let shown = keeper.signer.own_head(&serving, Role::Cooler, open).await.unwrap().unwrap();
        self.cooler.say(Role::Keeper, &request(Operation::EchoHead(shown))).await
    }

    /// One round of the loop: whether Cooler holds the head now.
    async fn round(&self, keeper: &Running, open: bool) -> Result<bool, String> {
        match self.show(keeper, open).await {
            Outcome::Held(Held { head }) => {
                let serving = keeper.signer.serving().unwrap();
                keeper.signer.vouched(&serving, Role::Cooler, head.as_ref()).await.unwrap()
            }
            other => {
                assert_eq!(refused(other), "Superseded");
                Err(keeper.signer.superseded(Role::Cooler))
            }
        }
    }

    /// Vouched for as any start: asked, and then held.
    async fn vouched(&self, keeper: &Running) -> Result<(), String> {
        keeper.signer.set_lock(Lock::Locked("just started".to_owned()));
        self.round(keeper, false).await?;
        assert!(self.round(keeper, true).await?, "Cooler looks at what it has said itself");
        keeper.signer.set_lock(Lock::Open);
        Ok(())
    }

    /// Another Keeper with the same keys over a copy of the volume.
    async fn copy(&self) -> Running {
        let data_dir = self.vault.data_dir(Role::Keeper).join("copy");
        let _ = std::fs::remove_dir_all(&data_dir);
        std::fs::create_dir(&data_dir).unwrap();
        write(&self.keeper.data_dir, &format!("VACUUM INTO '{}'", data_dir.join(FILE).display()));
        let store = Arc::new(Store::open(&data_dir).unwrap());
        let sealer = self.vault.sealer(Role::Keeper);
        identity::authenticate(&store, &sealer, Role::Keeper, self.keeper.now_ms(), &mut OsRng).await.unwrap();
        let (keys, manifest) = (self.keeper.keys.clone(), self.custody.manifest.clone());
        let copy = Running::over(data_dir, store, keys, manifest, Peers::default(), sealer);
        copy.serve(Role::Keeper, Terms::default());
        copy
    }

    /// The epoch of the head that Cooler holds.
    async fn present(&self) -> u64 {
        let held = self.cooler.store.look(0, |ledger| ledger.held_head(Role::Keeper.as_str())).await.unwrap();
        held.map_or(0, |(held, _)| held.head.epoch)
    }

    /// What a head of Keeper says.
    fn said(&self, head: Option<&Attestation>) -> AuditHead {
        audit_head(head.unwrap(), &[self.keeper.keys.own().message_key().verifying_key()]).unwrap()
    }
}

/// By another connection, as whoever has the volume would.
fn write(data_dir: &Path, sql: &str) {
    let connection = Connection::open(data_dir.join(FILE)).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(sql).unwrap();
}

/// The newest records, and what was signed with them.
fn cut(keeper: &Running, records: u32) {
    write(
        &keeper.data_dir,
        &format!(
            "DELETE FROM audit WHERE seq > (SELECT max(seq) FROM audit) - {records}; DELETE FROM claims;
             DELETE FROM spends; DELETE FROM sums; DELETE FROM windows; DELETE FROM records; DELETE FROM operations"
        ),
    );
}

fn forward(payment: &Payment, hot: &Signed) -> Operation {
    let (hot_signatures, hot_head) = (hot.signatures.clone(), hot.head.clone());
    Operation::Sign(Payment { hot_signatures, hot_head, ..payment.clone() })
}

#[tokio::test]
async fn of_two_copies_that_take_the_same_epoch_the_second_is_superseded_and_stays_locked() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let copy = pair.copy().await;
    pair.vouched(&pair.keeper).await.unwrap();
    let why = pair.vouched(&copy).await.unwrap_err();
    assert!(why.contains("superseded"), "{why}");
    let paid = payment("alice", &transfer("ETH", 1), 0);
    assert_eq!(unavailable(copy.ask(sign(&paid)).await), "Locked");
    assert!(pair.round(&copy, false).await.unwrap_err().contains("superseded"), "and stays so");
    // What a locked start shows is kept by nobody, and an open one is refused by name.
    assert_eq!(refused(pair.show(&copy, true).await), "Superseded");
    assert_eq!(pair.round(&pair.keeper, true).await, Ok(true));
    signed(pair.keeper.ask(sign(&paid)).await);
}

#[tokio::test]
async fn a_copy_that_starts_later_takes_over_and_the_one_before_locks_itself_at_its_next_showing() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.vouched(&pair.keeper).await.unwrap();
    let before = pair.present().await;
    let copy = pair.copy().await;
    pair.vouched(&copy).await.unwrap();
    assert_eq!(pair.present().await, before + 1);
    assert!(pair.round(&pair.keeper, true).await.unwrap_err().contains("superseded"));
    let paid = payment("alice", &transfer("ETH", 1), 0);
    assert_eq!(unavailable(pair.keeper.ask(sign(&paid)).await), "Locked");
    signed(copy.ask(sign(&paid)).await);
}

#[tokio::test]
async fn an_old_volume_that_its_admin_accepts_starts_after_all_that_the_others_know_of() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let old = pair.copy().await;
    let mut pair = pair;
    for nonce in 0..3 {
        pair = pair.restart().await;
        pair.vouched(&pair.keeper).await.unwrap();
        signed(pair.keeper.ask(sign(&payment("alice", &transfer("ETH", 1), nonce))).await);
        assert_eq!(pair.round(&pair.keeper, true).await, Ok(true));
    }
    let before = pair.present().await;
    assert!(pair.vouched(&old).await.unwrap_err().contains("rolled back"));
    let (own, custody) = (old.keys.own().clone(), pair.custody.id());
    let accept = move |ledger: &Ledger<'_>| ledger.accept_chain(own.message_key(), custody, Role::Keeper);
    old.store.decide(old.now_ms(), accept).await.unwrap();
    old.signer.accept(old.signer.locked_since_ms()).await.unwrap();
    assert_eq!(pair.round(&old, true).await, Ok(true));
    assert!(pair.present().await > before);
    assert!(pair.round(&pair.keeper, true).await.unwrap_err().contains("superseded"));
    // The next start of it is vouched for as any other.
    pair.vouched(&old).await.unwrap();
}

#[tokio::test]
async fn a_chain_that_is_cut_back_while_it_is_in_use_signs_nothing_more_however_long_it_has_grown_since() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.vouched(&pair.keeper).await.unwrap();
    let old = pair.copy().await;
    for nonce in 0..3 {
        signed(pair.keeper.ask(sign(&payment("alice", &transfer("ETH", 1), nonce))).await);
    }
    assert_eq!(pair.round(&pair.keeper, true).await, Ok(true));
    let held = pair.cooler.store.look(0, |ledger| ledger.peer_head(Role::Keeper.as_str())).await.unwrap();
    cut(&pair.keeper, 3);
    assert_eq!(unavailable(pair.keeper.ask(sign(&payment("alice", &transfer("ETH", 2), 0))).await), "Locked");
    let freeze = |n: u32| Operation::Freeze(Freeze { wallet: format!("nobody-{n}"), reason: String::new() });
    for n in 0..6 {
        assert_eq!(pair.keeper.say(Role::App, &request(freeze(n))).await, Outcome::Done(Done {}));
    }
    let serving = pair.keeper.signer.serving().unwrap();
    let why = pair.keeper.signer.own_head(&serving, Role::Cooler, true).await.unwrap().unwrap_err();
    assert!(why.contains("rolled back while it was in use"), "{why}");

    // The same where the process knows nothing of it: an older volume that has grown longer since.
    for n in 0..9 {
        assert_eq!(old.say(Role::App, &request(freeze(n))).await, Outcome::Done(Done {}));
    }
    let why = pair.vouched(&old).await.unwrap_err();
    assert!(why.contains("rolled back: cooler knows record"), "{why}");
    let kept = pair.cooler.store.look(0, |ledger| ledger.peer_head(Role::Keeper.as_str())).await.unwrap();
    assert_eq!(kept, held, "the longer chain has not taken the place of the one that it was cut from");
    old.signer.set_lock(Lock::Open);
    let why = pair.round(&old, true).await.unwrap_err();
    assert!(why.contains("rolled back: cooler knows record"), "noticed while it serves: {why}");
    assert!(old.signer.is_locked());
    let held_on = pair.cooler.store.look(0, |ledger| ledger.peer_head(Role::Keeper.as_str())).await.unwrap();
    assert_eq!(held_on, held);
}

#[tokio::test]
async fn cooler_signs_only_with_a_head_of_the_present_keeper_once_app_has_forwarded_one() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    pair.vouched(&pair.keeper).await.unwrap();
    let first = payment("alice", &transfer("ETH", 1), 0);
    let hot = signed(pair.keeper.ask(sign(&first)).await);
    // An App of the version before.
    signed(pair.cooler.ask(countersign(&first, &hot)).await);
    let second = payment("alice", &transfer("ETH", 1), 1);
    let early = signed(pair.keeper.ask(sign(&second)).await);
    signed(pair.cooler.ask(forward(&second, &early)).await);
    let held = pair.cooler.store.look(0, |ledger| ledger.peer_head(Role::Keeper.as_str())).await.unwrap();
    assert_eq!(held, Some(early.head.clone().unwrap().encode_to_vec()), "what was countersigned is held");
    let third = payment("alice", &transfer("ETH", 1), 2);
    let stale = signed(pair.keeper.ask(sign(&third)).await);
    assert_eq!(unavailable(pair.cooler.ask(countersign(&third, &stale)).await), "KeeperHeadMissing");
    let forged = Signed {
        head: Some(attest_audit_head(&pair.said(stale.head.as_ref()), pair.cooler.keys.own().message_key())),
        ..stale.clone()
    };
    assert_eq!(refused(pair.cooler.ask(forward(&third, &forged)).await), "AttestationNotBelieved");
    assert_eq!(refused(pair.keeper.ask(forward(&third, &stale)).await), "Malformed");
    let check = Payment { hot_head: stale.head.clone(), ..third.clone() };
    assert_eq!(refused(pair.cooler.ask(Operation::Check(check)).await), "Malformed");

    // Keeper starts anew, unheard of by Cooler: its head itself says so, and the head of before is worth nothing then.
    let copy = pair.copy().await;
    let present = signed(copy.ask(sign(&payment("alice", &transfer("ETH", 1), 3))).await);
    signed(pair.cooler.ask(forward(&third, &Signed { head: present.head.clone(), ..stale.clone() })).await);
    assert_eq!(pair.present().await, pair.said(present.head.as_ref()).epoch);
    let fourth = payment("alice", &transfer("ETH", 1), 3);
    let old = Signed { head: stale.head.clone(), ..present.clone() };
    assert_eq!(unavailable(pair.cooler.ask(forward(&fourth, &old)).await), "KeeperSuperseded");
    signed(pair.cooler.ask(forward(&fourth, &present)).await);
}

#[tokio::test]
async fn a_later_head_is_the_same_operation_and_a_stored_answer_comes_with_the_present_one() {
    let pair = Pair::start().await;
    pair.wallet("alice").await;
    let paid = payment("alice", &transfer("ETH", 1), 0);
    let asked = request(sign(&paid));
    let hot = signed(pair.keeper.answer(&asked).await);
    let pair = pair.restart().await;
    let again = signed(pair.keeper.answer(&asked).await);
    assert_eq!((again.digest.clone(), again.signatures.clone()), (hot.digest.clone(), hot.signatures.clone()));
    let (then, now) = (pair.said(hot.head.as_ref()), pair.said(again.head.as_ref()));
    assert_eq!((now.epoch, now.count), (then.epoch + 1, then.count));
    assert_ne!(now.instance, then.instance);

    let first = request(forward(&paid, &hot));
    let cool = signed(pair.cooler.answer(&first).await);
    let later = Request { operation: Some(forward(&paid, &again)), ..first.clone() };
    assert_eq!(signed(pair.cooler.answer(&later).await).signatures, cool.signatures, "no OperationIdReused");
    let other = Request { operation: Some(forward(&payment("alice", &transfer("ETH", 2), 1), &again)), ..first };
    assert_eq!(refused(pair.cooler.answer(&other).await), "OperationIdReused");
}
