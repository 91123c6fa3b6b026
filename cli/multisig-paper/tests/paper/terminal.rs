//! A phrase typed at a terminal: nothing of it is shown, and nothing of a paste is left for the shell.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    process::{Child, Command, Stdio},
};

use rustix::{
    fs::OFlags,
    io::ioctl_fionread,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};

use super::Ceremony;

/// Both ends of a terminal.
struct Terminal {
    person: File,
    program: File,
}

impl Terminal {
    fn new() -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        rustix::fs::fcntl_setfl(&person, OFlags::NONBLOCK).unwrap();
        let program = OpenOptions::new().read(true).write(true).open(name).unwrap();
        Self { person: File::from(person), program }
    }

    fn types(&mut self, text: &str) {
        self.person.write_all(text.as_bytes()).unwrap();
    }

    /// All that it has shown by itself.
    fn shown(&mut self) -> String {
        let (mut shown, mut bytes) = (Vec::new(), [0; 4096]);
        loop {
            match self.person.read(&mut bytes) {
                Ok(read) if read > 0 => shown.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                _ => return String::from_utf8(shown).unwrap(),
            }
        }
    }

    /// The program in the ceremony's folder, at this terminal.
    fn runs(&self, ceremony: &Ceremony, line: &str) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multisig-paper"));
        command.args(line.split_whitespace()).current_dir(ceremony.room.0.path());
        let stdin = self.program.try_clone().unwrap();
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Reads what the program says until it asks for this.
fn asked(child: &mut Child, question: &str) {
    let mut said = BufReader::new(child.stderr.as_mut().unwrap());
    let mut line = String::new();
    while !line.contains(question) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it never asked: {question}");
    }
}

#[test]
fn a_phrase_is_pasted_over_four_lines_and_neither_shown_nor_left_behind() {
    let ceremony = Ceremony::signed();
    ceremony.ladders(3);
    let digest = ceremony.manifest().digest();
    let digits = &digest[digest.len() - 8..];
    let words: Vec<&str> = ceremony.cold.split_whitespace().collect();
    let lines: Vec<String> = words.chunks(6).map(|line| line.join(" ")).collect();
    assert_eq!(lines.len(), 4);
    let mut terminal = Terminal::new();
    let mut child = terminal.runs(&ceremony, "evac sign --manifest manifest.json plan --out cold.sig");
    asked(&mut child, "Type the last 8 digits of the manifest's digest");
    terminal.types(&format!("{digits}\n"));
    asked(&mut child, "Type the cold phrase from the paper");
    assert!(terminal.shown().contains(digits), "what is no secret is shown");
    terminal.types(&format!("{}\n\nrm cold.sig\n{}", lines.join("\n"), words[0]));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(terminal.shown().trim(), "", "nothing of the phrase is shown");
    assert_eq!(ioctl_fionread(&terminal.program).unwrap(), 0, "nothing is left for the shell");
    assert!(tcgetattr(&terminal.program).unwrap().local_modes.contains(LocalModes::ECHO), "it is as it was");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("6 transactions of 3 wallets") && shown.contains("signed by cold"), "{shown}");
    ceremony.verified("cold.sig", chain::KeyRole::Cold);
}
