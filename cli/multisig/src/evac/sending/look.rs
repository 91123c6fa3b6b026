//! Asks the chain how far a wallet has come.

use chain::{Amount, ClientError, Fate, Look};
use futures::future::try_join_all;

use super::{
    course::{Course, Miss},
    watch::Watch,
};

/// How far back an execution that is not ours is looked for, blocks: about a week on Ethereum.
const DEPTH: u64 = 50_000;
/// So often a node is asked again that does not show yet what is in a block.
const GRACE: u32 = 4;

/// What became of what was sent, and what can be played now. Wallets looked at together cost few requests. A wallet that
/// can't be read is not played any more.
pub(super) async fn look(watch: &Watch, mut course: Course, miss: &Miss) -> Course {
    for failures in 0..=GRACE {
        tokio::time::sleep(backoff::delay(failures)).await;
        if let Err(error) = once(watch, &mut course).await {
            course.end(&error.into());
            return course;
        }
        if !course.is_unsettled() {
            break;
        }
    }
    course.missed(miss);
    course
}

async fn once(watch: &Watch, course: &mut Course) -> Result<(), ClientError> {
    let client = watch.client.as_ref();
    let state = watch.ask(|| client.wallet_state(&course.ladder.wallet, &[])).await?;
    let asked = course.saw(state);
    let ladder = &course.ladder;
    let told = asked.into_iter().map(async |place| {
        let rung = &ladder.rungs[place];
        let fate = watch.ask(|| client.fate(&ladder.wallet, &rung.id, &rung.claims, Look::Newest(DEPTH))).await?;
        let moved = match &fate {
            Fate::Done { tx, success: true, place } => {
                let assets = std::slice::from_ref(&rung.asset);
                watch.ask(|| client.moved(&ladder.wallet, &rung.effect, assets, tx, place.block)).await?
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
