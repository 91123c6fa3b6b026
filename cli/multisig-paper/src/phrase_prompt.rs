//! A phrase between paper and process: shown once on standard output, read from standard input, which a terminal does
//! not show.

use std::{
    fmt::Display,
    fs::File,
    io::{IsTerminal, Read, Write, stdin, stdout},
    os::fd::AsFd,
};

use anyhow::{Context, Result, bail};
use custody::phrase::{Phrase, PhraseError, WORDS};
use zeroize::Zeroizing;

use crate::quiet::Quiet;

/// 24 words of at most 8 letters need 216 bytes.
const LONGEST: usize = 1024;
const CLEAR_SCREEN: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Shows the words, numbered, four a line. On a terminal the screen is cleared when they are on paper.
pub(crate) fn show(role: impl Display, phrase: &Phrase) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(
        out,
        "The {role} phrase. Write its {WORDS} words on paper in this order; they will not be shown again.\n"
    )?;
    for (index, word) in phrase.words().enumerate() {
        let end = if index % 4 == 3 { "\n" } else { "  " };
        write!(out, "{:>2}. {word:<8}{end}", index + 1)?;
    }
    writeln!(out)?;
    out.flush()?;
    if out.is_terminal() && stdin().is_terminal() {
        eprint!("Press Enter when they are on paper. The screen is then cleared. ");
        let mut input = unbuffered()?;
        while next(&mut input)?.is_some_and(|byte| byte != b'\n') {}
        write!(out, "{CLEAR_SCREEN}")?;
        out.flush()?;
    }
    Ok(())
}

/// Asks for the phrase until it is typed as it was shown.
pub(crate) fn confirm(role: impl Display, phrase: &Phrase) -> Result<()> {
    loop {
        let Some(text) = typed(&format!("Type the {role} phrase back from the paper"))? else {
            bail!("the phrase was not typed back; nothing was written, and the phrase shown must not be used");
        };
        match Phrase::parse(&text) {
            Ok(typed) if typed.entropy() == phrase.entropy() => return Ok(()),
            Ok(_) => eprintln!("this is a different phrase; check the paper and type it again"),
            Err(error) => eprintln!("{error}"),
        }
    }
}

/// Reads a phrase that exists on paper.
pub(crate) fn read(role: impl Display) -> Result<Phrase> {
    ask(&format!("Type the {role} phrase from the paper"))
}

/// Reads one line, without the space around it.
pub(crate) fn line(question: &str) -> Result<String> {
    if stdin().is_terminal() {
        eprintln!("{question}, then Enter.");
    }
    let (mut input, mut text) = (unbuffered()?, String::new());
    while let Some(byte) = next(&mut input)? {
        if byte == b'\n' || text.len() == LONGEST {
            break;
        }
        text.push(if byte.is_ascii() { byte.into() } else { '?' });
    }
    Ok(text.trim().to_owned())
}

/// Reads a phrase of any role.
pub(crate) fn read_any() -> Result<Phrase> {
    ask("Type the phrase from the paper")
}

fn ask(question: &str) -> Result<Phrase> {
    let text = typed(question)?.ok_or(PhraseError::Count(0)).context("no phrase on standard input")?;
    Ok(Phrase::parse(&text)?)
}

/// A phrase, perhaps wrong; whatever a terminal has behind it is taken too. `None`: there is nothing.
fn typed(question: &str) -> Result<Option<Zeroizing<String>>> {
    let mut input = unbuffered()?;
    let _quiet = Quiet::of(&input)?;
    prompt(question);
    words(&mut input)
}

fn prompt(text: &str) {
    if stdin().is_terminal() {
        eprintln!("{text}: {WORDS} words on one or more lines, which are not shown; an empty line ends the input.");
    }
}

/// The process's own buffer of standard input would keep a copy of the phrase that nobody clears.
fn unbuffered() -> Result<File> {
    Ok(File::from(stdin().as_fd().try_clone_to_owned().context("standard input is closed")?))
}

/// Lines until there are 24 words, an empty line, or the end; `None` where there is nothing.
fn words(input: &mut impl Read) -> Result<Option<Zeroizing<String>>> {
    let interactive = stdin().is_terminal();
    // The full size at once: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LONGEST));
    let mut line_start = 0;
    while let Some(byte) = next(input)? {
        if text.len() + 2 > LONGEST {
            bail!("this is too long for a phrase of {WORDS} words");
        }
        // Other scripts are not in the word list: any letter of theirs makes the word unknown.
        text.push(if byte.is_ascii() { byte.into() } else { '?' });
        if byte == b'\n' {
            let count = text.split_whitespace().count();
            let empty = text[line_start..].trim().is_empty();
            line_start = text.len();
            if count >= WORDS || (empty && count > 0) {
                break;
            }
            if interactive {
                eprintln!("{count} of {WORDS} words");
            }
        }
    }
    Ok(if text.trim().is_empty() { None } else { Some(text) })
}

fn next(input: &mut impl Read) -> Result<Option<u8>> {
    let mut byte = Zeroizing::new([0]);
    match input.read_exact(byte.as_mut_slice()) {
        Ok(()) => Ok(Some(byte[0])),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error).context("cannot read standard input"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut input: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(text) = words(&mut input).unwrap() {
            found.push(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        found
    }

    #[test]
    fn a_phrase_may_span_lines_and_ends_with_its_last_word() {
        let twelve = "abandon ".repeat(12);
        let both = format!("{twelve}\n{twelve}\r\nnext");
        assert_eq!(read_all(both.as_bytes()), [format!("{twelve}{twelve}").trim(), "next"]);
    }

    #[test]
    fn an_empty_line_or_the_end_ends_a_short_one() {
        assert_eq!(read_all(b"\n\n one two\n\nthree"), ["one two", "three"]);
        assert_eq!(read_all(b""), [""; 0]);
        assert_eq!(read_all(b" \n \n"), [""; 0]);
    }

    #[test]
    fn endless_input_is_refused() {
        assert!(words(&mut &[b'a'; 4096][..]).is_err());
    }

    #[test]
    fn other_bytes_are_not_words() {
        assert_eq!(read_all(&[0xff, b'\n']), ["?"]);
    }
}
