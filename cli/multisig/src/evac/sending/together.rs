//! Many wallets in one transaction: filled with what a trial lets pass, sent, and followed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use chain::{
    ClientError, Errand, Following, Outcome,
    batch::{Batch, Batched, Batching, Group, Tried},
    execute::Lost,
};
use futures::future::join_all;

use super::{
    course::{Course, Miss},
    follow::{WAIT, missed},
    look::look,
    reason::Why,
    watch::{Waits, Watch},
};

/// Wallets that are looked at for one transaction.
pub(super) const MOST: usize = 256;
/// What is not mined after this time is told.
const LONG: Duration = Duration::from_secs(60);

/// Fills transactions, as full as the chain and the float allow.
pub(super) struct Loader<'a> {
    watch: &'a Watch,
    batching: &'a dyn Batching,
    /// Wallets in one transaction.
    most: usize,
    /// Transactions filled so far.
    filled: u32,
}

/// What filling one comes to.
pub(super) enum Loaded<'a> {
    /// It is with the relayer.
    Sent(Flight<'a>),
    /// Nothing is left to be sent, or nothing can be before what is under way has ended.
    Nothing,
}

/// A transaction under way, and the wallets in it.
pub(super) struct Flight<'a> {
    watch: &'a Watch,
    following: Box<dyn Following>,
    wallets: Vec<Course>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(watch: &'a Watch, batching: &'a dyn Batching) -> Self {
        Self { watch, batching, most: MOST, filled: 0 }
    }

    /// Fills one from the wallets that wait; those of which nothing more is to be played go to `done`. What does not fill
    /// one waits while anything is under way: more may come back from that, and all of it goes together.
    pub(super) async fn load(
        &mut self,
        waiting: &mut VecDeque<Course>,
        done: &mut Vec<Course>,
        under_way: bool,
    ) -> Loaded<'a> {
        loop {
            if let Some(why) = self.watch.jammed() {
                waiting.iter_mut().for_each(|course| course.end(&why));
            }
            let mut wallets = self.ready(waiting, done).await;
            if wallets.is_empty() {
                return Loaded::Nothing;
            }
            let groups: Vec<Group<'_>> = wallets.iter().map(group).collect();
            let batch = match self.watch.ask_much(|| self.batching.batch(&groups)).await {
                Ok(batch) => batch,
                // The node is well: together they are too much for it.
                Err(error) if error.is_away() && wallets.len() > 1 => {
                    self.most = wallets.len() / 2;
                    put_back(waiting, wallets);
                    continue;
                }
                Err(error) => {
                    not_tried(&mut wallets, error);
                    put_back(waiting, wallets);
                    continue;
                }
            };
            let refused = batch.tried.iter().any(|tried| matches!(tried, Tried::Refused(_)));
            let full = batch.full || (!refused && wallets.len() >= self.most.min(company(&wallets)));
            let (mut aboard, left) = sorted(wallets, &batch);
            put_back(waiting, left);
            let Some(batched) = batch.transaction.filter(|_| !aboard.is_empty()) else { continue };
            if !full && (refused || under_way) {
                aboard.iter_mut().for_each(Course::recalled);
                put_back(waiting, aboard);
                // Of what was refused something else may be played.
                match refused {
                    true => continue,
                    false => return Loaded::Nothing,
                }
            }
            match self.send(&batched).await {
                Ok(following) => {
                    self.most = (self.most * 2).min(MOST);
                    return Loaded::Sent(Flight { watch: self.watch, following, wallets: aboard });
                }
                Err(error) => {
                    let waits = self.not_sent(aboard, error, under_way, waiting);
                    if waits {
                        return Loaded::Nothing;
                    }
                }
            }
        }
    }

    /// Wallets of which something can be played, as many as one transaction may hold.
    async fn ready(&self, waiting: &mut VecDeque<Course>, done: &mut Vec<Course>) -> Vec<Course> {
        let mut ready: Vec<Course> = Vec::new();
        while ready.len() < self.most && !waiting.is_empty() {
            let some: Vec<Course> = waiting.drain(..waiting.len().min(self.most - ready.len())).collect();
            // Nothing of them is under way.
            let none = Miss::new("", false);
            let looked = some.into_iter().map(|course| look(self.watch, course, &none));
            let looked = join_all(looked).await.into_iter();
            let (open, ended): (Vec<_>, Vec<_>) = looked.partition(Course::is_open);
            ready.extend(open);
            done.extend(ended);
        }
        // Those that may have more company go first.
        let company = company(&ready);
        let (mut ready, others): (Vec<_>, Vec<_>) = ready.into_iter().partition(|course| course.company() == company);
        waiting.extend(others);
        let rest = ready.split_off(ready.len().min(company));
        put_back(waiting, rest);
        ready
    }

    async fn send(&mut self, batched: &Batched) -> Result<Box<dyn Following>, ClientError> {
        self.filled += 1;
        let errand = Errand { of: format!("batch {}", self.filled), purpose: "execution".to_owned() };
        self.watch.ask(|| self.batching.relay_batch(&errand, batched)).await
    }

    /// Whether to wait for what is under way: until then nothing can be sent.
    fn not_sent(
        &mut self,
        mut aboard: Vec<Course>,
        error: ClientError,
        under_way: bool,
        waiting: &mut VecDeque<Course>,
    ) -> bool {
        aboard.iter_mut().for_each(Course::recalled);
        let poor = matches!(error, ClientError::Float { .. });
        let waits = poor && under_way || matches!(error, ClientError::Full { .. });
        if poor && !under_way && aboard.len() > 1 {
            self.most = aboard.len() / 2;
        } else if matches!(error, ClientError::Journal(_)) {
            self.watch.jam(error.into());
        } else if !waits {
            let why = Why::from(error);
            aboard.iter_mut().for_each(|course| course.end(&why));
        }
        put_back(waiting, aboard);
        waits
    }
}

/// How many wallets may be in one transaction with that of these which may have most company.
fn company(wallets: &[Course]) -> usize {
    wallets.iter().map(Course::company).max().unwrap_or_default()
}

fn group(course: &Course) -> Group<'_> {
    let ladder = &course.ladder;
    let creation = ladder.creation.clone().filter(|_| course.wants_creation());
    let executions = course.plays().into_iter().map(|place| ladder.rungs[place].call.clone()).collect();
    Group { wallet: &ladder.wallet, creation, executions }
}

/// The order stays.
fn put_back(waiting: &mut VecDeque<Course>, wallets: Vec<Course>) {
    wallets.into_iter().rev().for_each(|course| waiting.push_front(course));
}

/// Those that are in the batch, and those that are not.
fn sorted(wallets: Vec<Course>, batch: &Batch) -> (Vec<Course>, Vec<Course>) {
    let (mut aboard, mut left) = (Vec::new(), Vec::new());
    for (mut course, tried) in wallets.into_iter().zip(&batch.tried) {
        let plays = course.plays();
        match tried {
            Tried::In { executions, refused } => {
                let (sent, others) = plays.split_at(plays.len().min(*executions));
                course.sends(sent);
                if let (Some(reason), Some(next)) = (refused, others.first()) {
                    course.refused(*next, reason);
                }
                aboard.push(course);
            }
            Tried::Refused(reason) => {
                course.refused_first(reason);
                left.push(course);
            }
            Tried::Later => left.push(course),
        }
    }
    (aboard, left)
}

/// A trial could not be made.
fn not_tried(wallets: &mut [Course], error: ClientError) {
    match (&error, wallets.first_mut()) {
        // Of the first alone: the others are tried without it.
        (ClientError::OverGas { .. }, Some(first)) => first.stop_first(error.into()),
        _ => {
            let why = Why::from(error);
            wallets.iter_mut().for_each(|course| course.end(&why));
        }
    }
}

impl Flight<'_> {
    /// Its wallets, when the chain has said what became of them.
    pub(super) async fn landed(mut self) -> Vec<Course> {
        let (mut failures, mut told) = (0, (Instant::now(), 0));
        let miss = loop {
            match self.following.outcome(WAIT).await {
                Ok(Outcome::Mined { tx, .. }) => break Miss::new(format!("transaction {tx} did not do it"), true),
                Ok(Outcome::Replaced { relayer, claim }) => break missed(&Lost::Replaced { relayer, claim }),
                Ok(Outcome::Rejected(message)) => break missed(&Lost::Rejected(message)),
                Err(error) => {
                    self.tell(&error, &mut told);
                    match self.watch.waits(error, &mut failures).await {
                        Waits::On => {}
                        // They are loaded again, by a key that can.
                        Waits::Elsewhere(why) => break Miss::new(why.message, false),
                        Waits::Never(why) => {
                            self.wallets.iter_mut().for_each(|course| course.end(&why));
                            break Miss::new(why.message, false);
                        }
                    }
                }
            }
        };
        join_all(self.wallets.into_iter().map(|course| look(self.watch, course, &miss))).await
    }

    /// Now and then, that it is not mined: since when, and how often that was told.
    fn tell(&self, error: &ClientError, (since, times): &mut (Instant, u32)) {
        if since.elapsed() >= LONG * (*times + 1) {
            *times += 1;
            let (wallets, seconds) = (self.wallets.len(), since.elapsed().as_secs());
            self.watch.voice.say(&format!(
                "a transaction of {wallets} wallets is not mined after {seconds} s and is made dearer by and by, up to \
                 --max-fee: {error}"
            ));
        }
    }
}
