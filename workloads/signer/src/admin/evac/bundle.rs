//! A plan of version 1, or the bundle that the cold station has signed: all of it in memory.

use std::io::Write;

use chain::KeyRole;
use chain_adapters::Adapters;
use clock::now_ms;
use evacuation::Bundle;
use workload::place::Place;

use super::{AdminError, Out, Station};

pub(super) async fn sign<W: Write>(
    station: &Station<'_>,
    place: &Place,
    plan: &[u8],
    out: Out<W>,
) -> Result<(), AdminError> {
    out.require_new()?;
    let mut verified = Bundle::parse(plan)?.verify(&station.manifest, &Adapters::all())?;
    let keys = station.keys(place).await?;
    let steps = verified.steps().iter();
    let steps = steps.map(|step| station.about_to_sign(&step.step().wallet, step.wallet(), *step.id())).collect();
    station.store.record_evacuations(now_ms(), steps).await?;
    verified.sign(KeyRole::Cool, |namespace| keys.one(namespace).cloned())?;
    out.whole(&verified.bundle().to_json())
}
