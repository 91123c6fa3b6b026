use alloy_primitives::{Address, Bytes};

use super::*;
use crate::{
    fees::{Fees, Offer},
    relayer::signed::Terms,
};

fn errand(of: &str) -> Errand {
    Errand { of: of.to_owned(), purpose: "payment".to_owned() }
}

fn call(byte: u8) -> Call {
    Call { to: Address::repeat_byte(byte), value: U256::ZERO, data: Bytes::new() }
}

/// A version of a nonce, told apart by what it offers.
fn version(nonce: u64, most: u128) -> Version {
    let terms = Terms { gas: 10, offer: Offer::Eip1559(Fees { max: most, tip: 1 }) };
    let tx = B256::from(U256::from(u128::from(nonce) * 1_000 + most));
    Version { signed: Signed { tx, raw: Vec::new(), nonce, terms, call: call(1) }, empty: false }
}

fn receipt(nonce: u64, most: u128, block: u64) -> Option<Receipt> {
    Some(Receipt { tx: version(nonce, most).signed.tx, block, success: true })
}

/// Calls "4", "5", ... with the nonces from 4 on, sent at block 100 for 20 wei a gas.
fn lane(calls: u64) -> Lane {
    let mut lane = Lane::new("0x00".to_owned(), 4, 4, false);
    lane.seen(100, 4);
    for nonce in 4..4 + calls {
        assert_eq!(lane.reserve(&errand(&nonce.to_string()), "w", &call(1)).0, nonce);
        lane.kept(version(nonce, 20));
    }
    lane
}

#[test]
fn nonces_are_given_in_order_and_a_free_one_again() {
    let mut lane = Lane::new("0x00".to_owned(), 4, 6, false);
    let mut given = || lane.reserve(&errand("a"), "w", &call(1)).0;
    assert_eq!([given(), given(), given()], [6, 7, 8], "4 and 5 are with the network already");
    lane.release(7);
    assert_eq!(lane.reserve(&errand("a"), "w", &call(1)).0, 7);
    lane.kept(version(7, 20));
    lane.release(7);
    assert_eq!(lane.reserve(&errand("a"), "w", &call(1)).0, 9, "what is kept is not free");
}

#[test]
fn what_is_due_follows_from_the_block_the_pool_and_the_base_fee() {
    let mut lane = lane(3);
    assert_eq!(lane.due(4, 10, 3), [], "just sent");
    lane.seen(101, 4);
    assert_eq!(lane.due(7, 10, 3), []);
    assert_eq!(lane.due(5, 10, 3), [Due::Resend(5), Due::Resend(6)], "the pool has only the first");
    assert_eq!(lane.due(7, 21, 3), [4, 5, 6].map(|nonce| Due::Replace(nonce, false)), "the base fee passed all");
    lane.seen(103, 4);
    assert_eq!(lane.due(7, 10, 3), [Due::Replace(4, false)], "the others wait for it");
    assert_eq!(lane.due(4, 10, 3), [Due::Replace(4, true), Due::Resend(5), Due::Resend(6)]);
    lane.kept(version(4, 40));
    assert_eq!(lane.due(7, 10, 3), []);
    for _ in 0..MOST_REFUSALS {
        lane.refused(5, "no".to_owned());
    }
    assert_eq!(lane.due(7, 10, 3), [Due::Vacate(5)]);
    assert_eq!(lane.all_stuck().len(), 1);
}

#[test]
fn whichever_version_is_mined_counts_until_its_block_is_gone() {
    let mut lane = lane(1);
    lane.kept(version(4, 40));
    let follow = lane.find(&errand("4"), &call(1)).unwrap();
    let asked = vec![version(4, 40).signed.tx, version(4, 20).signed.tx];
    assert_eq!(lane.seen(101, 5), [(4, asked)]);
    lane.told(4, receipt(4, 20, 101));
    let tx = version(4, 20).signed.tx.to_string();
    assert_eq!(*follow.borrow(), Standing::Done(Outcome::Mined { tx, success: true }));
    assert_eq!((lane.in_flight(), lane.committed()), (0, U256::ZERO));
    assert!(lane.settle(Some(100)).is_empty() && lane.settle(None).is_empty());
    assert_eq!(lane.seen(101, 4), [], "another block 101, without it");
    assert!(matches!(*follow.borrow(), Standing::Sent(_)));
    assert_eq!(lane.committed(), U256::from(400), "the dearest that may be mined");
    lane.seen(102, 5);
    lane.told(4, receipt(4, 40, 102));
    assert_eq!(lane.settle(Some(102)).len(), 2, "all its versions have ended");
    assert!(lane.is_idle() && lane.find(&errand("4"), &call(1)).is_none());
}

#[test]
fn a_receipt_may_be_late_and_after_that_something_else_has_used_the_nonce() {
    let mut lane = lane(1);
    let follow = lane.find(&errand("4"), &call(1)).unwrap();
    for head in [101, 102] {
        assert_eq!(lane.seen(head, 5).len(), 1);
        lane.told(4, None);
        assert!(matches!(*follow.borrow(), Standing::Sent(_)), "{head}");
    }
    lane.seen(103, 5);
    lane.told(4, None);
    let claim = Claim::Sequence(4);
    assert_eq!(*follow.borrow(), Standing::Done(Outcome::Replaced { relayer: "0x00".to_owned(), claim }));
    assert_eq!((lane.foreign, lane.find(&errand("4"), &call(1)).is_none()), (1, true));
    assert_eq!(lane.settle(None).len(), 1);
    assert_eq!(lane.reserve(&errand("4"), "w", &call(1)).0, 5, "the call is made again at a new nonce");
}

#[test]
fn a_nonce_that_nothing_uses_is_filled_once_the_network_had_time_to_mention_it() {
    let mut lane = Lane::new("0x00".to_owned(), 4, 4, false);
    lane.adopt(errand("6"), version(6, 20).signed);
    lane.seen(100, 4);
    assert_eq!(lane.due(4, 10, 3), [Due::Resend(6)], "an earlier process may not have sent it");
    lane.seen(101, 4);
    assert_eq!(lane.due(4, 10, 3), [Due::Resend(6)]);
    lane.seen(102, 4);
    assert_eq!(lane.due(5, 10, 3), [Due::Resend(6)], "the network has 4, and had 5 not long enough");
    lane.seen(104, 4);
    assert_eq!(lane.due(5, 10, 3), [Due::Fill(5), Due::Resend(6)], "6 is not dearer, it waits for those before it");
    assert_eq!(lane.behind(5), Some(&errand("6")));
    assert_eq!(lane.reserve(&errand("next"), "w", &call(1)).0, 4, "what the network dropped is free");
}

#[test]
fn what_private_endpoints_leave_out_or_refuse_is_given_to_the_nodes_too_the_next_one_alone() {
    let mut lane = Lane::new("0x00".to_owned(), 4, 4, true);
    lane.seen(100, 4);
    for nonce in [4, 5] {
        lane.reserve(&errand(&nonce.to_string()), "w", &call(1));
        lane.kept(version(nonce, 20));
    }
    let open = |lane: &Lane| [4, 5].map(|nonce| lane.is_open_to_all(nonce));
    lane.seen(109, 4);
    // No node shows what was given to private endpoints: they are given it again with each block.
    assert_eq!(lane.due(4, 10, 50), [Due::Resend(4), Due::Resend(5)]);
    assert_eq!((open(&lane), lane.opened), ([false, false], 0));
    lane.seen(110, 4);
    lane.due(4, 10, 50);
    assert_eq!((open(&lane), lane.opened), ([true, false], 1));
    // The other one becomes the next at block 111, and has its own blocks.
    lane.seen(111, 5);
    lane.told(4, receipt(4, 20, 111));
    lane.due(5, 10, 50);
    lane.seen(120, 5);
    lane.due(5, 10, 50);
    assert!(!lane.is_open_to_all(5));
    for _ in 0..MOST_REFUSALS {
        lane.refused(5, "no".to_owned());
    }
    assert_eq!(lane.due(5, 10, 50), [Due::Resend(5)], "what they refuse the nodes may take");
    assert_eq!((lane.is_open_to_all(5), lane.opened), (true, 2));
}
