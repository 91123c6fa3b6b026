//! A terminal that shows nothing of what is typed, and keeps nothing of it for the shell.

use std::{
    fs::File,
    io::{IsTerminal, Read},
};

use anyhow::{Context, Result};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// How long a terminal has to be silent until a paste is over, tenths of a second.
const SILENCE: u8 = 2;

/// While a phrase is typed. When it ends, the terminal is as it was.
pub(crate) struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    /// `None`: it is no terminal, and shows nothing by itself.
    pub(crate) fn of(input: &File) -> Result<Option<Self>> {
        if !input.is_terminal() {
            return Ok(None);
        }
        let failed = "cannot switch off the terminal's echo; nothing was read";
        let before = tcgetattr(input).context(failed)?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO;
        tcsetattr(input, OptionalActions::Now, &quiet).context(failed)?;
        Ok(Some(Self { terminal: input.try_clone().context(failed)?, before }))
    }

    /// Takes what a paste has left: the shell would run it, and its history would keep it.
    fn drain(&mut self) {
        let mut draining = self.before.clone();
        draining.local_modes -= LocalModes::ECHO | LocalModes::ICANON;
        draining.special_codes[SpecialCodeIndex::VMIN] = 0;
        draining.special_codes[SpecialCodeIndex::VTIME] = SILENCE;
        if tcsetattr(&self.terminal, OptionalActions::Now, &draining).is_err() {
            return;
        }
        let mut rest = zeroize::Zeroizing::new([0; 256]);
        while self.terminal.read(rest.as_mut_slice()).is_ok_and(|read| read > 0) {}
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.drain();
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}
