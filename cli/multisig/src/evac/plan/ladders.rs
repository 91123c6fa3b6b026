//! The plan of version 2: drawn up, written, and read again as a station reads it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufReader, BufWriter, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use chain::Capacity;
use evacuation::{
    States,
    stream::{Block, Draft, OpenedPlan, OwnerPair, Request, Summary},
};

use super::{Outlook, Prepared, outcome::Planned};
use crate::{
    evac::{patiently, write as write_whole},
    output::Output,
};

/// What a plan is drawn up from.
pub(in crate::evac) struct Drawn<'a> {
    pub(in crate::evac) prepared: &'a Prepared,
    pub(in crate::evac) states: &'a States,
    pub(in crate::evac) block: Block,
    pub(in crate::evac) rebasing: &'a BTreeSet<String>,
    pub(in crate::evac) to: Option<&'a String>,
    pub(in crate::evac) owners: OwnerPair,
}

/// Hands over the plan as it would be, and what its broadcast comes to where the chain says what it carries.
pub(in crate::evac) async fn draw<T>(
    drawn: &Drawn<'_>,
    with: impl FnOnce(&Draft<'_>, Option<Outlook>) -> Result<T>,
) -> Result<T> {
    let Drawn { prepared, states, block, rebasing, to, owners } = drawn;
    let capacity: Option<Capacity> = patiently(|| prepared.client.capacity()).await?;
    let request = Request {
        roster: &prepared.merged.roster,
        states,
        signed: &prepared.signed,
        manifest: &prepared.manifest,
        chain: &prepared.chain,
        block: block.clone(),
        assets: &prepared.assets,
        rebasing,
        prices: &prepared.prices,
        least: prepared.least,
        work_price: capacity.map(|capacity| capacity.price),
        destination: *to,
        owners: *owners,
    };
    let draft = Draft::new(&request, &prepared.adapters)?;
    let outlook = capacity.map(|capacity| Outlook::new(&draft, &capacity));
    with(&draft, outlook)
}

/// Writes the plan, and says what is in it. What a station would refuse is refused here, and then there is no file.
pub(super) async fn write(drawn: &Drawn<'_>, out: &Path, output: Output) -> Result<()> {
    draw(drawn, |draft, outlook| {
        let mut seen = None;
        write_whole(out, |file| {
            let digest = draft.write(BufWriter::new(&mut *file))?;
            file.seek(SeekFrom::Start(0)).context("cannot read the plan again")?;
            seen = Some((as_a_station(file, drawn.prepared, digest)?, digest));
            Ok(())
        })?;
        let (summary, digest) = seen.context("the plan was not written")?;
        output.print(&Planned::new(out, &summary, &digest, drawn, draft, outlook))
    })
    .await
}

fn as_a_station(file: &File, prepared: &Prepared, digest: [u8; 32]) -> Result<Summary> {
    let mut plan = OpenedPlan::open(BufReader::new(file))?.verify(&prepared.manifest, &prepared.adapters)?;
    while plan.next_chunk()?.is_some() {}
    ensure!(plan.digest() == digest, "the plan is not on the disk as it was written; is the disk damaged?");
    Ok(plan.summary().clone())
}
