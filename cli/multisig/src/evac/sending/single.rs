//! One wallet at a time, one call in a transaction: where a chain has nothing that carries more.

use chain::{
    ClientError, Errand,
    execute::{Carried, Errands, Executor, Readiness},
};

use super::{
    course::{Course, Miss},
    follow::{WAIT, missed},
    look::look,
    reason::{Reason, Why},
    watch::{Waits, Watch},
};

const NOT_SEEN: &str = "the node does not show that the wallet is there";

/// How one move ended.
enum Played {
    /// The chain says what became of it; if it did not take place, why that may be.
    Look(Miss),
    Refused(String),
    Stopped(Why),
    /// Nothing more of this wallet.
    Ended(Why),
}

/// Plays all that can be played of a wallet.
pub(super) async fn play(watch: &Watch, mut course: Course) -> Course {
    let mut miss = Miss::new(String::new(), false);
    loop {
        course = look(watch, course, &miss).await;
        let Some(place) = course.plays().first().copied() else { return course };
        if let Some(jammed) = watch.jammed() {
            course.end(&jammed);
            return course;
        }
        course.sends(&[place]);
        match one(watch, &course, place).await {
            Played::Look(reason) => miss = reason,
            Played::Refused(reason) => {
                course.recalled();
                course.refused(place, &reason);
            }
            Played::Stopped(why) => {
                course.recalled();
                course.stop(place, why);
            }
            Played::Ended(why) => course.end(&why),
        }
    }
}

async fn one(watch: &Watch, course: &Course, place: usize) -> Played {
    let ladder = &course.ladder;
    let errand = |purpose: &str| Errand { of: ladder.wallet.address.clone(), purpose: purpose.to_owned() };
    let errands = Errands { creation: errand("creation"), execution: errand("execution") };
    let executor = Executor::new(watch.client.as_ref(), ladder.rules.as_ref(), &ladder.wallet, errands, WAIT);
    if course.wants_creation() {
        match until_ended(watch, || executor.create()).await {
            Ok(Readiness::Ready) => {}
            Ok(Readiness::Impossible(why)) => return Played::Stopped(Why::new(Reason::WouldRevert, why)),
            Ok(Readiness::NotSeen) => return Played::Look(Miss::new(NOT_SEEN, false)),
            Ok(Readiness::Lost(lost)) => return Played::Look(missed(&lost)),
            Err(Why { reason, message }) => {
                return Played::Ended(Why::new(reason, format!("deploying the wallet: {message}")));
            }
        }
    }
    match until_ended(watch, || executor.execute(&ladder.rungs[place].call)).await {
        Ok(Carried::Mined { tx, success: true }) => {
            Played::Look(Miss::new(format!("transaction {tx} had no effect"), false))
        }
        Ok(Carried::Mined { tx, success: false }) => {
            Played::Look(Miss::new(format!("transaction {tx} reverted"), false))
        }
        Ok(Carried::Refused(reason)) => Played::Refused(reason),
        Ok(Carried::OverGas(why)) => Played::Stopped(Why::new(Reason::OverGas, why)),
        Ok(Carried::Lost(lost)) => Played::Look(missed(&lost)),
        Err(why) => Played::Ended(why),
    }
}

/// Follows a call until it has ended; the error says what to do.
async fn until_ended<T, F>(watch: &Watch, carry: impl Fn() -> F) -> Result<T, Why>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let mut failures = 0;
    loop {
        match watch.ask_much(&carry).await {
            Ok(ended) => return Ok(ended),
            // Others have their calls under way: one of them ends first.
            Err(ClientError::Full { .. }) => tokio::time::sleep(WAIT / 10).await,
            Err(error) => match watch.waits(error, &mut failures).await {
                Waits::On => {}
                // Its calls are with this key.
                Waits::Elsewhere(why) | Waits::Never(why) => return Err(why),
            },
        }
    }
}
