//! Writes a plan.

use std::io::Write;

use super::{
    CHUNK_STEPS, CHUNK_WALLETS, PlanHeader, PlannedWallet, StreamError,
    frame::{FrameWriter, Hash},
    header::PLAN,
    wire,
};

/// Header and chunks; the SHA-256 of all of it.
pub(crate) fn write(header: &PlanHeader, wallets: &[PlannedWallet], output: impl Write) -> Result<Hash, StreamError> {
    let mut frames = FrameWriter::begin(PLAN, output)?;
    frames.put_message(&header.to_wire())?;
    for chunk in chunks(wallets) {
        frames.put_message(&wire::Chunk { wallets: chunk.iter().map(PlannedWallet::to_wire).collect() })?;
    }
    Ok(frames.finish()?.1)
}

/// As many wallets in each as may be.
pub(crate) fn chunks(mut wallets: &[PlannedWallet]) -> Vec<&[PlannedWallet]> {
    let mut chunks = Vec::new();
    while !wallets.is_empty() {
        let within = |steps: &mut usize, wallet: &PlannedWallet| {
            *steps += wallet.ladder.rungs().count();
            (*steps <= CHUNK_STEPS).then_some(())
        };
        let count = wallets.iter().take(CHUNK_WALLETS).scan(0, within).count().max(1);
        let (chunk, rest) = wallets.split_at(count);
        chunks.push(chunk);
        wallets = rest;
    }
    chunks
}
