//! Asks the chain how far a wallet has come.

use chain::{Amount, ChainClient, ClientError, Fate, Look};
use futures::future::try_join_all;

use super::course::{Course, Miss};
use crate::evac::patiently;

/// How far back an execution that is not ours is looked for, blocks: about a week on Ethereum.
const DEPTH: u64 = 50_000;
/// So often a node is asked again that does not show yet what is in a block.
const GRACE: u32 = 4;

/// What became of what was sent, and what can be played now. Wallets looked at together cost few requests.
pub(super) async fn look(client: &dyn ChainClient, course: &mut Course<'_>, miss: &Miss) -> Result<(), ClientError> {
    for failures in 0..=GRACE {
        tokio::time::sleep(backoff::delay(failures)).await;
        once(client, course).await?;
        if !course.is_unsettled() {
            break;
        }
    }
    course.missed(miss);
    Ok(())
}

async fn once(client: &dyn ChainClient, course: &mut Course<'_>) -> Result<(), ClientError> {
    let state = patiently(|| client.wallet_state(course.ladder.wallet, &[])).await?;
    let asked = course.saw(state);
    let ladder = &course.ladder;
    let told = asked.into_iter().map(async |place| {
        let rung = &ladder.rungs[place];
        let fate = patiently(|| client.fate(ladder.wallet, &rung.id, &rung.claims, Look::Newest(DEPTH))).await?;
        let moved = match &fate {
            Fate::Done { tx, success: true, place } => {
                let assets = std::slice::from_ref(&rung.asset);
                patiently(|| client.moved(ladder.wallet, &rung.effect, assets, tx, place.block)).await?
            }
            _ => Amount::ZERO,
        };
        Ok::<_, ClientError>((place, fate, moved))
    });
    for (place, fate, moved) in try_join_all(told).await? {
        course.told(place, fate, moved);
    }
    course.looked();
    Ok(())
}
