//! The key that App's backups are sealed to: its private half is a phrase of its own, on paper.

use anyhow::Result;
use clap::{Args, Subcommand};
use custody::{phrase::Phrase, sealed_backup};
use rand_core::OsRng;
use serde_json::json;

use crate::{Output, phrase_prompt};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make the backup phrase: it is shown once, and the key that goes into App's configuration is printed.
    Key(Key),
    /// Print the key of a backup phrase that is on paper (read from standard input).
    Show,
}

#[derive(Args)]
pub(crate) struct Key {
    /// Do not ask for the phrase to be typed back. Implied by `-o json`, which prints the phrase for a script.
    #[arg(long)]
    no_confirm: bool,
}

pub(crate) fn run(command: Command, output: Output) -> Result<()> {
    let phrase = match &command {
        Command::Show => phrase_prompt::read("backup")?,
        Command::Key(key) => {
            let phrase = Phrase::generate(&mut OsRng);
            if output == Output::Text {
                phrase_prompt::show("backup", &phrase)?;
                if !key.no_confirm {
                    phrase_prompt::confirm("backup", &phrase)?;
                }
            }
            phrase
        }
    };
    let recipient = sealed_backup::key(&phrase).public_key();
    match (output, command) {
        (Output::Text, _) => println!("backups are sealed to: {recipient}"),
        (Output::Json, Command::Show) => println!("{}", json!({"recipient": recipient})),
        (Output::Json, Command::Key(_)) => {
            let words: Vec<&str> = phrase.words().collect();
            println!("{}", json!({"phrase": words.join(" "), "recipient": recipient}));
        }
    }
    Ok(())
}
