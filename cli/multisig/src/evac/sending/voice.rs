//! Who hears how it goes.

use std::{
    cell::Cell,
    io::IsTerminal,
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{course::Course, outcome::Line};

/// Logs have a line so often at most.
const BETWEEN: Duration = Duration::from_secs(5);

/// Hears of all wallets.
pub(in crate::evac) trait Audience {
    /// More wallets begin, and these are their lines.
    fn takes(&self, lines: Vec<Line>) -> Result<()>;

    /// Nothing more is played of a wallet.
    fn done(&self, course: &Course);

    /// A transaction of many wallets has ended.
    fn landed(&self);
}

/// Standard error: a bar for people, lines for logs.
#[derive(Clone)]
pub(in crate::evac) struct Voice {
    bar: ProgressBar,
    /// When a log last had a line.
    told: Cell<Option<Instant>>,
}

impl Voice {
    /// Of so many wallets; `doing` is what happens to them.
    pub(in crate::evac) fn new(doing: &str, wallets: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(wallets), ProgressDrawTarget::stderr());
        let style = format!("{doing}: {{pos}} of {{len}} wallets [{{wide_bar}}] {{msg}}");
        bar.set_style(ProgressStyle::with_template(&style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, told: Cell::default() }
    }

    /// One line.
    pub(in crate::evac) fn say(&self, line: &str) {
        if std::io::stderr().is_terminal() {
            self.bar.println(line);
        } else {
            eprintln!("{line}");
        }
    }

    /// One wallet more is done, and what that comes to.
    pub(in crate::evac) fn done(&self, so_far: String) {
        self.bar.inc(1);
        self.bar.set_message(so_far);
    }

    /// Logs hear how far it is, where they have not for a while.
    pub(in crate::evac) fn so_far(&self) {
        let lately = self.told.get().is_some_and(|told| told.elapsed() < BETWEEN);
        if !lately && !std::io::stderr().is_terminal() {
            self.told.set(Some(Instant::now()));
            let (done, of) = (self.bar.position(), self.bar.length().unwrap_or_default());
            eprintln!("{done} of {of} wallets, {}", self.bar.message());
        }
    }

    pub(in crate::evac) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
