//! Writes a plan, a chunk at a time.

use std::io::Write;

use super::{
    PlanHeader, PlannedWallet, StreamError,
    frame::{FrameWriter, Hash},
    header::PLAN,
    wire,
};

/// Header and chunks; the SHA-256 of all of it.
pub(crate) fn write(
    header: &PlanHeader,
    chunks: impl Iterator<Item = Result<Vec<PlannedWallet>, StreamError>>,
    output: impl Write,
) -> Result<Hash, StreamError> {
    let mut frames = FrameWriter::begin(PLAN, output)?;
    frames.put_message(&header.to_wire())?;
    for chunk in chunks {
        frames.put_message(&wire::Chunk { wallets: chunk?.iter().map(PlannedWallet::to_wire).collect() })?;
    }
    Ok(frames.finish()?.1)
}
