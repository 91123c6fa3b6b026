//! How a process is harmed while it works.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use custody::Role;
use futures::future::join_all;
use protocol::ops::{Outcome, Request};
use rustix::process::Signal;
use tokio::time::sleep;

use super::scene::Scene;
use crate::{
    files::open,
    killable::{
        process::{Process, asked},
        requests::reason,
        wire::{Ask, Told},
    },
};

/// How long a load takes at most, microseconds: what happens at any time happens within it.
pub(super) const LOAD: u64 = 40_000;
/// How long a start takes, microseconds.
const START: u64 = 150_000;
/// What a full disk still takes of a file, 512-byte blocks: enough for a start.
const ROOM: u64 = 80;

/// What happens to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// It ends at this point.
    Point(&'static str),
    /// It is killed some time after the requests were sent.
    AnyTime,
    /// It is killed, and once more while it starts.
    Twice,
    /// It stands still for a while.
    Stopped,
    /// A second one runs on the same volume.
    TwoProcesses,
    /// Nothing more can be written.
    FullDisk,
}

impl Scene {
    /// Within which something happens under load.
    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.dice.roll(LOAD))
    }

    /// Sends all at once while the victim is harmed. Afterwards it is dead; none where it did not answer.
    pub(super) async fn harm(
        &mut self,
        victim: Role,
        harm: Harm,
        requests: &[(Role, Request)],
    ) -> Result<Vec<Option<Outcome>>> {
        if harm == Harm::FullDisk {
            self.fill_disk(victim).await?;
        }
        let mut twin = None;
        if harm == Harm::TwoProcesses {
            twin = self.custody.signer_mut(victim).process.take();
            self.custody.restart(victim).await?;
        }
        let moment = self.moment();
        let mut process = self.custody.signer_mut(victim).process.take().context("it does not run")?;
        if let Harm::Point(point) = harm {
            process.done(Ask::Arm(point.to_owned())).await?;
        }
        let meanwhile = async {
            match harm {
                Harm::AnyTime | Harm::Twice => {
                    sleep(moment).await;
                    process.kill();
                }
                Harm::Stopped => {
                    sleep(moment).await;
                    process.signal(Signal::STOP);
                    sleep(Duration::from_millis(20)).await;
                    process.signal(Signal::CONT);
                }
                Harm::Point(_) | Harm::TwoProcesses | Harm::FullDisk => {}
            }
        };
        let asking = requests.iter().enumerate().map(|(number, (role, request))| {
            let to = twin.as_ref().filter(|_| number % 2 == 0).unwrap_or(&process);
            said(to, *role, request)
        });
        let (answers, ()) = tokio::join!(join_all(asking), meanwhile);
        if let Harm::Point(point) = harm {
            ensure!(answers.iter().any(Option::is_none) || !process.runs(), "nothing passed the point {point}");
        }
        if harm == Harm::FullDisk {
            ensure!(answers.iter().flatten().any(|answer| reason(answer) == "StoreFailed"), "the disk was not full");
        }
        process.kill();
        process.ended().await?;
        if let Some(twin) = twin {
            twin.kill();
            twin.ended().await?;
        }
        if harm == Harm::Twice {
            let after = Duration::from_micros(self.dice.roll(START));
            self.custody.stillborn(victim, after).await?;
        }
        Ok(answers)
    }

    /// Starts the victim anew with hardly any room.
    async fn fill_disk(&mut self, victim: Role) -> Result<()> {
        self.custody.signer_mut(victim).kill().await?;
        // Else what is there already would be written over.
        let shorten = "PRAGMA wal_checkpoint(TRUNCATE)";
        open(&self.custody.signer(victim).start.data_dir)?.query_row(shorten, [], |_| Ok(()))?;
        self.custody.start_within(victim, None, Some(ROOM)).await?;
        let unlocked = self.custody.unlock(victim).await?;
        ensure!(unlocked.is_ok(), "{unlocked:?}");
        Ok(())
    }
}

async fn said(process: &Process, role: Role, request: &Request) -> Option<Outcome> {
    match process.ask(asked(role, request)).await? {
        Told::Response(response) => response.outcome,
        _ => None,
    }
}
