//! All wallets, in their order: several transactions under way at a time, each wallet in one of them, and no more wallets
//! in memory than a window holds.

use std::{collections::VecDeque, pin::pin, time::Duration};

use anyhow::Result;
use chain::batch::Batching;
use evacuation::stream::CHUNK_WALLETS;
use futures::{StreamExt, stream::FuturesUnordered};

use super::{
    course::Course,
    payers::{BATCHES, SINGLES},
    single::play,
    source::{Source, Window},
    together::{Loaded, Loader, MOST},
    voice::Audience,
    watch::Watch,
};

/// Wallets that are held at a time: more than four keys have under way.
pub(in crate::evac) const WINDOW: usize = 4 * CHUNK_WALLETS;
/// After this time what could not be sent is tried again, where nothing of ours is under way.
const PAUSE: Duration = Duration::from_millis(500);

/// Sends all that can be sent, and looks after it; `left`: first what an earlier run has under way is waited for.
pub(in crate::evac) async fn send(
    watch: &Watch,
    left: bool,
    source: &mut Source,
    window: Window,
    told: &dyn Audience,
) -> Result<()> {
    let sent = async {
        if left {
            watch.earlier_ended().await;
        }
        match watch.client.batching() {
            Some(batching) if watch.ask(|| batching.carries()).await? => {
                together(watch, batching, source, window, told).await
            }
            _ => singly(watch, source, told).await,
        }
    };
    tokio::select! {
        done = sent => done,
        never = watch.tend() => match never {},
    }
}

/// The wallets of the next portion; `None`: those were all.
async fn more(source: &mut Source, told: &dyn Audience) -> Result<Option<Vec<Course>>> {
    let Some(portion) = source.next().await? else { return Ok(None) };
    told.takes(portion.lines)?;
    Ok(Some(portion.ladders.into_iter().map(Course::new).collect()))
}

async fn singly(watch: &Watch, source: &mut Source, told: &dyn Audience) -> Result<()> {
    let (mut waiting, mut flights) = (VecDeque::new(), FuturesUnordered::new());
    let (most, mut more) = (SINGLES * watch.keys().max(1), true);
    loop {
        while more && waiting.is_empty() {
            match self::more(source, told).await? {
                Some(courses) => waiting.extend(courses),
                None => more = false,
            }
        }
        while flights.len() < most
            && let Some(course) = waiting.pop_front()
        {
            flights.push(play(watch, course));
        }
        match flights.next().await {
            Some(course) => told.done(&course),
            None => return Ok(()),
        }
    }
}

async fn together(
    watch: &Watch,
    batching: &dyn Batching,
    source: &mut Source,
    mut window: Window,
    told: &dyn Audience,
) -> Result<()> {
    let (mut loader, mut waiting) = (Loader::new(watch, batching), VecDeque::<Course>::new());
    let (most, mut flights, mut more) = (BATCHES * watch.keys().max(1), FuturesUnordered::new(), true);
    loop {
        let (mut done, mut landed, busy) = (Vec::new(), Vec::new(), !flights.is_empty());
        while more && waiting.len() < MOST && window.admits(CHUNK_WALLETS) {
            match alongside(self::more(source, told), &mut flights, &mut landed).await? {
                Some(courses) => {
                    window.took(courses.len());
                    waiting.extend(courses);
                }
                None => more = false,
            }
        }
        let loaded = match flights.len() < most {
            true => alongside(loader.load(&mut waiting, &mut done, busy), &mut flights, &mut landed).await,
            false => Loaded::Nothing,
        };
        let exhausted = !more || !waiting.is_empty() || !window.admits(CHUNK_WALLETS);
        match loaded {
            Loaded::Sent(flight) => flights.push(flight.landed()),
            // All that was loaded had ended before: on to the next.
            Loaded::Nothing if landed.is_empty() && (exhausted && done.is_empty()) => match flights.next().await {
                Some(wallets) => landed.push(wallets),
                None if waiting.is_empty() => return Ok(()),
                // An earlier run's are under way.
                None => tokio::time::sleep(PAUSE).await,
            },
            Loaded::Nothing => {}
        }
        landed.iter().for_each(|_| told.landed());
        for course in landed.into_iter().flatten().rev() {
            match (course.is_open(), course.company() < usize::MAX) {
                (false, _) => done.push(course),
                // What comes earlier in the plan goes first.
                (true, false) => waiting.push_front(course),
                (true, true) => waiting.push_back(course),
            }
        }
        done.iter().for_each(|course| told.done(course));
        window.ended(done.len());
    }
}

/// Does `work` while what is under way goes on: it may hold what the work waits for.
async fn alongside<T, F: Future>(
    work: impl Future<Output = T>,
    flights: &mut FuturesUnordered<F>,
    landed: &mut Vec<F::Output>,
) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            Some(wallets) = flights.next() => landed.push(wallets),
        }
    }
}
