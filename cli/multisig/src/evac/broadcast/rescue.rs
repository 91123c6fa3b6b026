//! All wallets, in their order: several transactions under way at a time, each wallet in one of them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    pin::pin,
};

use chain::{ChainClient, ClientError};
use futures::{StreamExt, stream, stream::FuturesUnordered};

use super::{
    course::Course,
    follow::Jam,
    ladder::Ladder,
    report::{Line, Moved, Outcome, Report, Status},
    single::play,
    together::{Loaded, Loader},
};
use crate::evac::{Progress, patiently};

/// Transactions of one wallet each that are under way: nodes hold at least 16 of one account.
const SINGLES: usize = 8;
/// Transactions of many wallets that are under way: pools count their bytes, in sixteen parts of 32 KiB an account.
const BATCHES: usize = 4;

/// Moves all that can be moved.
pub(super) async fn rescue(
    client: &dyn ChainClient,
    ladders: Vec<Ladder<'_>>,
    lines: Vec<Line>,
) -> Result<Report, ClientError> {
    let batching = match client.batching() {
        Some(batching) if patiently(|| batching.carries()).await? => Some(batching),
        _ => None,
    };
    let told = Telling::new(ladders.len(), lines);
    let courses: VecDeque<Course<'_>> = ladders.into_iter().map(Course::new).collect();
    match batching {
        Some(batching) => together(Loader::new(client, batching), courses, &told).await,
        None => {
            let jam = &Jam::default();
            let played = stream::iter(courses).map(|course| play(client, jam, course));
            let mut played = played.buffer_unordered(SINGLES);
            while let Some(course) = played.next().await {
                told.done(&course);
            }
        }
    }
    Ok(told.end())
}

async fn together<'w>(mut loader: Loader<'_>, mut waiting: VecDeque<Course<'w>>, told: &Telling) {
    let (jam, mut flights) = (&Jam::default(), FuturesUnordered::new());
    loop {
        let (mut done, mut landed, busy) = (Vec::new(), Vec::new(), !flights.is_empty());
        let loaded = match flights.len() < BATCHES {
            true => alongside(loader.load(&mut waiting, &mut done, jam, busy), &mut flights, &mut landed).await,
            false => Loaded::Nothing,
        };
        done.iter().for_each(|course| told.done(course));
        match loaded {
            Loaded::Sent(flight) => flights.push(flight.landed(jam)),
            Loaded::Nothing if landed.is_empty() => match flights.next().await {
                Some(wallets) => landed.push(wallets),
                None if waiting.is_empty() => return,
                None => {}
            },
            Loaded::Nothing => {}
        }
        for course in landed.into_iter().flatten().rev() {
            match (course.plays().is_empty(), course.company() < usize::MAX) {
                (true, _) => told.done(&course),
                // What comes earlier in the bundle goes first.
                (false, false) => waiting.push_front(course),
                (false, true) => waiting.push_back(course),
            }
        }
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

/// What is told of each line, and of each wallet while it goes on.
struct Telling {
    lines: Vec<Line>,
    outcomes: RefCell<BTreeMap<usize, Outcome>>,
    progress: Progress,
}

impl Telling {
    fn new(wallets: usize, lines: Vec<Line>) -> Self {
        Self { lines, outcomes: RefCell::default(), progress: Progress::new("moving money", wallets) }
    }

    /// Nothing more is played of a wallet.
    fn done(&self, course: &Course<'_>) {
        let outcomes = course.outcomes();
        let lines = outcomes.iter().filter_map(|(line, outcome)| {
            Some(Moved::new(self.lines.get(*line)?.clone(), outcome.clone()).to_string())
        });
        self.progress.done(&lines.collect::<Vec<_>>().join("\n"));
        self.outcomes.borrow_mut().extend(outcomes);
    }

    fn end(self) -> Report {
        self.progress.end();
        let mut outcomes = self.outcomes.into_inner();
        let lines = self.lines.into_iter().enumerate().map(|(number, line)| {
            let untouched = Outcome { status: Status::Failed, tx: None, message: None };
            Moved::new(line, outcomes.remove(&number).unwrap_or(untouched))
        });
        Report::new(lines.collect())
    }
}
