//! A payment's way from the stored order to the chain, one file a step. Each step is done and on the disk before the
//! next begins, and may be taken again after a crash: operation ids, claims and relayed transactions are stored first.
//!
//! Prepare -> Check -> (Deploy) -> Sign -> Send -> Follow -> Done. What a signer's time lock delays goes through Wait and
//! back to where it was; what the wallet lacks the money for, through Short. What can't be completed once something is
//! signed for it goes through Cancel. A payment's end is reported only once the block that decides it stays: Follow goes
//! back where its block vanishes.

mod ask;
mod cancel;
mod check;
mod deploy;
mod execute;
mod follow;
mod paid;
mod prepare;
mod send;
mod settle;
mod short;
mod sign;
mod step;
mod trouble;
mod wait;

use crate::{
    app::App,
    domain::{Payment, Stage},
};

pub(crate) use trouble::Trouble;

/// Takes the payment's next step.
pub(crate) async fn step(app: &App, payment: Payment) -> Result<(), Trouble> {
    let step = step::Step::load(app, payment).await?;
    match step.payment.stage {
        Stage::Prepare => step.prepare().await,
        Stage::Check => step.check().await,
        Stage::Wait => step.wait().await,
        Stage::Deploy => step.deploy().await,
        Stage::Sign => step.sign().await,
        Stage::Send => step.send().await,
        Stage::Cancel => step.cancel().await,
        Stage::Follow | Stage::Short | Stage::Done => Ok(()),
    }
}

/// Looks at a payment that waits for a block to stay; whether it has a step to take after that.
pub(crate) async fn look(app: &App, payment: Payment) -> Result<bool, Trouble> {
    let step = step::Step::load(app, payment).await?;
    match step.payment.stage {
        Stage::Follow => step.follow().await,
        Stage::Short => step.short().await,
        _ => Ok(true),
    }
}
