//! Many wallets in one transaction: filled with what a trial lets pass, sent, and followed.

use std::collections::VecDeque;

use chain::{
    ChainClient, ClientError, Errand, Following, Outcome,
    batch::{Batch, Batched, Batching, Group, Tried},
    execute::Lost,
};
use futures::future::join_all;

use super::{
    course::{Course, Miss},
    follow::{Jam, WAIT, advised, missed},
    look::look,
};
use crate::evac::patiently;

/// Wallets that are looked at for one transaction.
const MOST: usize = 256;

/// Fills transactions, as full as the chain and the float allow.
pub(super) struct Loader<'a> {
    client: &'a dyn ChainClient,
    batching: &'a dyn Batching,
    /// Wallets in one transaction.
    most: usize,
    /// Transactions filled so far.
    filled: u32,
}

/// What filling one comes to.
pub(super) enum Loaded<'a, 'w> {
    /// It is with the relayer.
    Sent(Flight<'a, 'w>),
    /// Nothing is left to be sent, or nothing can be before what is under way has ended.
    Nothing,
}

/// A transaction under way, and the wallets in it.
pub(super) struct Flight<'a, 'w> {
    client: &'a dyn ChainClient,
    following: Box<dyn Following>,
    wallets: Vec<Course<'w>>,
}

impl<'a> Loader<'a> {
    pub(super) fn new(client: &'a dyn ChainClient, batching: &'a dyn Batching) -> Self {
        Self { client, batching, most: MOST, filled: 0 }
    }

    /// Fills one from the wallets that wait; those of which nothing more is to be played go to `done`.
    pub(super) async fn load<'w>(
        &mut self,
        waiting: &mut VecDeque<Course<'w>>,
        done: &mut Vec<Course<'w>>,
        jam: &Jam,
        under_way: bool,
    ) -> Loaded<'a, 'w> {
        loop {
            if let Some(why) = jam.why() {
                waiting.iter_mut().for_each(|course| course.end(&why));
            }
            let mut wallets = self.ready(waiting, done).await;
            if wallets.is_empty() {
                return Loaded::Nothing;
            }
            let groups: Vec<Group<'_>> = wallets.iter().map(group).collect();
            let batch = match patiently(|| self.batching.batch(&groups)).await {
                Ok(batch) => batch,
                Err(error) => {
                    not_tried(&mut wallets, error);
                    put_back(waiting, wallets);
                    continue;
                }
            };
            let (aboard, left) = sorted(wallets, &batch);
            put_back(waiting, left);
            let Some(batched) = batch.transaction.filter(|_| !aboard.is_empty()) else { continue };
            match self.send(&batched).await {
                Ok(following) => {
                    self.most = (self.most * 2).min(MOST);
                    return Loaded::Sent(Flight { client: self.client, following, wallets: aboard });
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
    async fn ready<'w>(&self, waiting: &mut VecDeque<Course<'w>>, done: &mut Vec<Course<'w>>) -> Vec<Course<'w>> {
        let mut ready: Vec<Course<'w>> = Vec::new();
        while ready.len() < self.most && !waiting.is_empty() {
            let some: Vec<Course<'w>> = waiting.drain(..waiting.len().min(self.most - ready.len())).collect();
            let looked = some.into_iter().map(async |mut course| {
                // Nothing of it is under way.
                if let Err(error) = look(self.client, &mut course, &Miss::new("", false)).await {
                    course.end(&advised(error));
                }
                course
            });
            let looked = join_all(looked).await.into_iter();
            let (open, ended): (Vec<_>, Vec<_>) = looked.partition(|course| !course.plays().is_empty());
            ready.extend(open);
            done.extend(ended);
        }
        // Those that may have more company go first.
        let company = ready.iter().map(Course::company).max().unwrap_or_default();
        let (mut ready, others): (Vec<_>, Vec<_>) = ready.into_iter().partition(|course| course.company() == company);
        waiting.extend(others);
        let rest = ready.split_off(ready.len().min(company));
        put_back(waiting, rest);
        ready
    }

    async fn send(&mut self, batched: &Batched) -> Result<Box<dyn Following>, ClientError> {
        self.filled += 1;
        let errand = Errand { of: format!("batch {}", self.filled), purpose: "execution".to_owned() };
        patiently(|| self.batching.relay_batch(&errand, batched)).await
    }

    /// Whether to wait for what is under way: until then nothing can be sent.
    fn not_sent<'w>(
        &mut self,
        mut aboard: Vec<Course<'w>>,
        error: ClientError,
        under_way: bool,
        waiting: &mut VecDeque<Course<'w>>,
    ) -> bool {
        aboard.iter_mut().for_each(Course::recalled);
        let poor = matches!(error, ClientError::Float { .. });
        let waits = poor && under_way;
        if poor && !under_way && aboard.len() > 1 {
            self.most = aboard.len() / 2;
        } else if !waits {
            let why = advised(error);
            aboard.iter_mut().for_each(|course| course.end(&why));
        }
        put_back(waiting, aboard);
        waits
    }
}

fn group<'g>(course: &'g Course<'_>) -> Group<'g> {
    let ladder = &course.ladder;
    let creation = ladder.creation.clone().filter(|_| course.wants_creation());
    let executions = course.plays().into_iter().map(|place| ladder.rungs[place].call.clone()).collect();
    Group { wallet: ladder.wallet, creation, executions }
}

/// The order stays.
fn put_back<'w>(waiting: &mut VecDeque<Course<'w>>, wallets: Vec<Course<'w>>) {
    wallets.into_iter().rev().for_each(|course| waiting.push_front(course));
}

/// Those that are in the batch, and those that are not.
fn sorted<'w>(wallets: Vec<Course<'w>>, batch: &Batch) -> (Vec<Course<'w>>, Vec<Course<'w>>) {
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
                if let Some(first) = plays.first() {
                    course.refused(*first, reason);
                }
                left.push(course);
            }
            Tried::Later => left.push(course),
        }
    }
    (aboard, left)
}

/// A trial could not be made.
fn not_tried(wallets: &mut [Course<'_>], error: ClientError) {
    match (&error, wallets.first_mut()) {
        // Of the first alone: the others are tried without it.
        (ClientError::OverGas { .. }, Some(first)) => {
            if let Some(place) = first.plays().first() {
                first.stop(*place, error.to_string());
            }
        }
        _ => {
            let why = advised(error);
            wallets.iter_mut().for_each(|course| course.end(&why));
        }
    }
}

impl<'w> Flight<'_, 'w> {
    /// Its wallets, when the chain has said what became of them.
    pub(super) async fn landed(mut self, jam: &Jam) -> Vec<Course<'w>> {
        let mut failures = 0;
        let miss = loop {
            match self.following.outcome(WAIT).await {
                Ok(Outcome::Mined { tx, .. }) => break Miss::new(format!("transaction {tx} did not do it"), true),
                Ok(Outcome::Replaced { relayer, claim }) => break missed(&Lost::Replaced { relayer, claim }),
                Ok(Outcome::Rejected(message)) => break missed(&Lost::Rejected(message)),
                Err(error) => {
                    if let Err(why) = jam.wait(error, &mut failures).await {
                        self.wallets.iter_mut().for_each(|course| course.end(&why));
                        break Miss::new(why, false);
                    }
                }
            }
        };
        let client = self.client;
        let looked = self.wallets.into_iter().map(async |mut course| {
            if let Err(error) = look(client, &mut course, &miss).await {
                course.end(&advised(error));
            }
            course
        });
        join_all(looked).await
    }
}
