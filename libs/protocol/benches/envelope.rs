//! What a message costs with an ephemeral key of its own, and with one that serves for a while: printed side by side.
//! `cargo bench -p protocol`.

#![allow(clippy::unwrap_used, reason = "a figure that can't be had is none")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use custody::{CustodyId, Role, identity::PeerKeys};
use protocol::envelope::{MAX_EPHEMERAL_MS, OwnKeys, Party, Peers, ReplayFilter};
use rand_core::OsRng;

const SUBJECT: &str = "ms.07070707070707070707070707070707.keeper.op";
const MESSAGES: u64 = 2_000;
const ROUNDS: usize = 5;

fn main() {
    let [app, keeper] = [OwnKeys::generate(&mut OsRng), OwnKeys::generate(&mut OsRng)].map(Arc::new);
    let party = |role, own: &Arc<OwnKeys>, peer, peers: PeerKeys| {
        let peers = Peers::new(&BTreeMap::from([(peer, vec![peers])])).unwrap();
        Party::new(CustodyId::from_slice(&[7; 16]).unwrap(), role, own.clone(), peers).unwrap()
    };
    let sender = party(Role::App, &app, Role::Keeper, keeper.public().clone());
    let receiver = party(Role::Keeper, &keeper, Role::App, app.public().clone());
    println!("one request of {MESSAGES}, the best of {ROUNDS} rounds, one thread");
    for payload in [200, 100_000] {
        for (label, step_ms) in [("a new ephemeral key each", MAX_EPHEMERAL_MS), ("one ephemeral key", 0)] {
            let rounds = (0..ROUNDS).map(|_| round(&sender, &receiver, &vec![1; payload], step_ms));
            let (seal, open) = rounds.min().unwrap();
            println!(
                "{payload:>7} bytes, {label:<25} seal {:>6} ns, open {:>6} ns",
                per_message(seal),
                per_message(open)
            );
        }
    }
}

/// Seals and opens, `step_ms` of the messages' clock apart.
fn round(sender: &Party, receiver: &Party, payload: &[u8], step_ms: u64) -> (Duration, Duration) {
    let (replays, mut sealing, mut opening) = (ReplayFilter::default(), Duration::ZERO, Duration::ZERO);
    for count in 0..MESSAGES {
        let now_ms = 1_800_000_000_000 + count * step_ms;
        let start = Instant::now();
        let (bytes, _) = sender.request(Role::Keeper, SUBJECT, payload, now_ms, &mut OsRng).unwrap();
        let sealed = Instant::now();
        receiver.open_request(&bytes, SUBJECT, now_ms, &replays).unwrap();
        sealing += sealed - start;
        opening += sealed.elapsed();
    }
    (sealing, opening)
}

fn per_message(total: Duration) -> u128 {
    total.as_nanos() / u128::from(MESSAGES)
}
