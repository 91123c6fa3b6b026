//! One wallet at a time, one call in a transaction: where a chain has nothing that carries more.

use chain::{
    ChainClient, ClientError, Errand,
    execute::{Carried, Errands, Executor, Readiness},
};

use super::{
    course::{Course, Miss},
    follow::{Jam, WAIT, advised, missed},
    look::look,
};
use crate::evac::patiently;

const NOT_SEEN: &str = "the node does not show that the wallet is there";

/// How one move ended.
enum Played {
    /// The chain says what became of it; if it did not take place, why that may be.
    Look(Miss),
    Refused(String),
    Stopped(String),
    /// Nothing more of this wallet.
    Ended(String),
}

/// Plays all that can be played of a wallet.
pub(super) async fn play<'a>(client: &dyn ChainClient, jam: &Jam, mut course: Course<'a>) -> Course<'a> {
    let mut miss = Miss::new(String::new(), false);
    loop {
        if let Err(error) = look(client, &mut course, &miss).await {
            course.end(&advised(error));
        }
        let Some(place) = course.plays().first().copied() else { return course };
        if let Some(jammed) = jam.why() {
            course.end(&jammed);
            return course;
        }
        course.sends(&[place]);
        match one(client, jam, &course, place).await {
            Played::Look(reason) => miss = reason,
            Played::Refused(reason) => {
                course.recalled();
                course.refused(place, &reason);
            }
            Played::Stopped(message) => {
                course.recalled();
                course.stop(place, message);
            }
            Played::Ended(message) => course.end(&message),
        }
    }
}

async fn one(client: &dyn ChainClient, jam: &Jam, course: &Course<'_>, place: usize) -> Played {
    let ladder = &course.ladder;
    let errand = |purpose: &str| Errand { of: ladder.wallet.address.clone(), purpose: purpose.to_owned() };
    let errands = Errands { creation: errand("creation"), execution: errand("execution") };
    let executor = Executor::new(client, ladder.rules, ladder.wallet, errands, WAIT);
    if course.wants_creation() {
        match until_ended(jam, || executor.create()).await {
            Ok(Readiness::Ready) => {}
            Ok(Readiness::Impossible(why)) => return Played::Stopped(why),
            Ok(Readiness::NotSeen) => return Played::Look(Miss::new(NOT_SEEN, false)),
            Ok(Readiness::Lost(lost)) => return Played::Look(missed(&lost)),
            Err(message) => return Played::Ended(format!("deploying the wallet: {message}")),
        }
    }
    match until_ended(jam, || executor.execute(&ladder.rungs[place].call)).await {
        Ok(Carried::Mined { tx, success: true }) => {
            Played::Look(Miss::new(format!("transaction {tx} had no effect"), false))
        }
        Ok(Carried::Mined { tx, success: false }) => {
            Played::Look(Miss::new(format!("transaction {tx} reverted"), false))
        }
        Ok(Carried::Refused(reason)) => Played::Refused(reason),
        Ok(Carried::OverGas(why)) => Played::Stopped(why),
        Ok(Carried::Lost(lost)) => Played::Look(missed(&lost)),
        Err(message) => Played::Ended(message),
    }
}

/// Follows a call until it has ended; the error says what to do.
async fn until_ended<T, F>(jam: &Jam, carry: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut failures = 0;
    loop {
        match patiently(&carry).await {
            Ok(ended) => return Ok(ended),
            Err(error) => jam.wait(error, &mut failures).await?,
        }
    }
}
