//! Sends what is to be done for many wallets, and pays for it: what their owners have signed, or only what creates them.
//! What has happened is read from the chain (nonce, digest, and what a token says that it moved), so it may be stopped at
//! any time, started again, and run twice; the journal only spares a later run what this one has pending.
//!
//! `ladder` (what is signed for a wallet) -> `source` (a window of wallets) -> `course` (how far one wallet has come: pure)
//! -> `look` (asks the chain) -> `together` (many wallets in one transaction) or `single` (where the chain carries no more)
//! -> `send` (all wallets). Beside them `payers` and `journal` (who pays, and what they have sent; `zeros` makes that short), `watch` (how they and
//! the node are), `voice` (who hears of it), and `outcome` and `reason` (what became of what).

mod course;
mod follow;
mod journal;
mod ladder;
mod look;
mod outcome;
mod payers;
mod reason;
mod send;
mod single;
mod source;
mod together;
mod voice;
mod watch;
mod zeros;

pub(super) use self::{
    course::Course,
    ladder::{Holding, Ladder, Portion, Rung},
    outcome::{Line, Outcome, Status},
    payers::Paying,
    reason::Reason,
    send::{WINDOW, send},
    source::{Source, Window},
    voice::{Audience, Voice},
    watch::Watch,
};
#[cfg(test)]
pub(super) use self::{payers::Payers, reason::Why};
