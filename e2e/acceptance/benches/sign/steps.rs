//! Where the time goes: the pure steps of a signature one by one, on one core.

use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use chain::{Asset, ChainRules, Payload};
use chain_evm::EvmSafe;
use custody::{CustodyId, Role};
use protocol::{
    envelope::{OwnKeys, Party, Peers, ReplayFilter},
    subject::{Lane, subject},
};
use rand_core::OsRng;

use crate::ours::{owners, unsigned};

const TIMES: u32 = 500;

/// Measures and prints them.
pub(crate) fn print() -> Result<()> {
    println!("\nsteps of a signature, one core, microseconds each:");
    envelopes()?;
    chain()
}

fn measured(step: &str, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    for _ in 0..TIMES {
        run()?;
    }
    println!("  {step:<44} {:8.1}", started.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES));
    Ok(())
}

fn envelopes() -> Result<()> {
    let custody = CustodyId::generate(&mut OsRng);
    let keys = [Role::App, Role::Keeper].map(|role| (role, Arc::new(OwnKeys::generate(&mut OsRng))));
    let party = |own: usize, other: usize| -> Result<Party> {
        let peers = BTreeMap::from([(keys[other].0, vec![keys[other].1.public().clone()])]);
        Ok(Party::new(custody, keys[own].0, keys[own].1.clone(), Peers::new(&peers)?)?)
    };
    let (app, keeper) = (party(0, 1)?, party(1, 0)?);
    let (to, payload) = (subject(custody, Role::Keeper, Lane::Op), unsigned(0)?);
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let mut requests = Vec::new();
    measured("request: encode, sign, seal (App)", || {
        requests.push(app.request(Role::Keeper, &to, &payload, now, &mut OsRng)?);
        Ok(())
    })?;
    let (replays, mut opened) = (ReplayFilter::default(), Vec::new());
    let mut next = requests.iter();
    measured("request: open, verify, decode (Keeper)", || {
        let Some((bytes, _)) = next.next() else { return Ok(()) };
        opened.push(keeper.open_request(bytes, &to, now, &replays)?);
        Ok(())
    })?;
    let (mut answers, mut next) = (Vec::new(), opened.iter());
    measured("answer: encode, sign, seal (Keeper)", || {
        let Some(request) = next.next() else { return Ok(()) };
        answers.push(keeper.respond(request, &payload, now, &mut OsRng)?);
        Ok(())
    })?;
    let mut next = requests.iter().zip(&answers);
    measured("answer: open, verify, decode (App)", || {
        let Some(((_, ticket), answer)) = next.next() else { return Ok(()) };
        black_box(ticket.open_response(answer, now)?);
        Ok(())
    })
}

fn chain() -> Result<()> {
    let rules = EvmSafe::new("eip155:1".parse()?)?;
    let owners = owners(&rules)?;
    measured("wallet: recompute its address (remembered)", || {
        black_box(rules.wallet(&owners, [0; 32])?);
        Ok(())
    })?;
    let wallet = rules.wallet(&owners, [0; 32])?;
    let (assets, bytes) = ([Asset { symbol: "ETH".to_owned(), contract: None }], unsigned(0)?);
    measured("transaction: decode, digest", || {
        black_box(rules.decode(&bytes, &wallet, &assets)?);
        Ok(())
    })?;
    let digest = rules.decode(&bytes, &wallet, &assets)?.id;
    let payload = Payload::Digest(digest);
    measured("sign (secp256k1, RFC 6979): the library alone", || {
        black_box(rules.sign(&[1; 32], &payload)?);
        Ok(())
    })?;
    let signature = rules.sign(&[1; 32], &payload)?;
    measured("verify the own signature (recovery)", || {
        black_box(rules.verify(&owners.hot, &payload, &signature));
        Ok(())
    })
}
