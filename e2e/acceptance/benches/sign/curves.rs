//! What each side's signature costs as bare arithmetic: the least that anybody could need.

use std::{hint::black_box, time::Instant};

use anyhow::{Result, ensure};
use chain::{ChainRules, Payload};
use chain_evm::EvmSafe;
use ed25519_dalek::{Signer, SigningKey};

use crate::{dirk::Dirk, ours::unsigned};

const TIMES: u32 = 2_000;

/// Microseconds of one core for a signature.
pub(crate) struct Curves {
    /// secp256k1, which the chain wants of us.
    pub(crate) ours: f64,
    /// The same, believed only when it is verified, as no signature leaves a signer otherwise.
    pub(crate) verified: f64,
    /// ed25519 over the same bytes.
    pub(crate) transit: f64,
    /// BLS12-381.
    pub(crate) dirk: f64,
}

pub(crate) fn measure(dirk: &Dirk) -> Result<Curves> {
    let rules = EvmSafe::new("eip155:1".parse()?)?;
    let (payload, bytes) = (Payload::Digest([7; 32]), unsigned(0)?);
    let public = rules.public_key(&[1; 32])?;
    let verified = || {
        let signature = rules.sign(&[1; 32], &payload)?;
        ensure!(rules.verify(&public, &payload, &signature), "a signature fits");
        Ok(())
    };
    let key = SigningKey::from_bytes(&[1; 32]);
    Ok(Curves {
        ours: each(|| rules.sign(&[1; 32], &payload).map(|signature| drop(black_box(signature))))?,
        verified: each(verified)?,
        transit: each(|| {
            black_box(key.sign(&bytes));
            anyhow::Ok(())
        })?,
        dirk: dirk.curve()?,
    })
}

fn each<E>(mut sign: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let begun = Instant::now();
    for _ in 0..TIMES {
        sign()?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(TIMES))
}
