//! Promises of `multisig audit`, the program itself over files as signers export them.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs, io,
    path::PathBuf,
    process::{Command, Output},
};

use audit::{Decision, EVACUATION_SIGN, Entry, Head, Header, Record, SIGN, next, write};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use protocol::{attestation::attest_audit_head, ops::AuditHead};
use serde_json::{Value, json};
use tempfile::TempDir;

const CUSTODY: [u8; 16] = [7; 16];

/// What is done to the lines of a file.
type Tampering = fn(&mut Vec<String>);

fn entry(role: &str, digest: u8) -> Entry {
    Entry {
        at_ms: 1_700_000_000_000 + u64::from(digest),
        role: role.to_owned(),
        custody_id: CUSTODY.to_vec(),
        requester: "app".to_owned(),
        operation_id: vec![digest; 16],
        operation: SIGN.to_owned(),
        wallet: "alice".to_owned(),
        chain: "eip155:1".to_owned(),
        digest: vec![digest; 32],
        decision: Decision::Signed,
        ..Entry::default()
    }
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// A folder of exports.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The export of a signer with these records, its head attested.
    fn export(&self, name: &str, role: &str, entries: impl IntoIterator<Item = Entry>) {
        let (mut head, mut records) = (Head::EMPTY, Vec::new());
        for entry in entries {
            let (record, after) = next(&head, entry);
            head = after;
            records.push(Ok::<Record, io::Error>(record));
        }
        let statement = AuditHead {
            custody_id: CUSTODY.to_vec(),
            role: role.to_owned(),
            count: head.count,
            hash: head.hash.to_vec(),
            at_ms: 1,
            ..AuditHead::default()
        };
        let attestation = Some(attest_audit_head(&statement, &key()).into());
        let header = Header { attestation, ..Header::new(role, CUSTODY.to_vec(), head) };
        let mut text = Vec::new();
        write(&mut text, &header, records).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// The export of a Keeper that signed these digests.
    fn keeper(&self, name: &str, digests: &[u8]) {
        self.export(name, "keeper", digests.iter().map(|digest| entry("keeper", *digest)));
    }

    /// The same file with its lines changed.
    fn tamper(&self, from: &str, to: &str, change: impl FnOnce(&mut Vec<String>)) {
        let text = fs::read_to_string(self.path(from)).unwrap();
        let mut lines: Vec<_> = text.lines().map(|line| format!("{line}\n")).collect();
        change(&mut lines);
        fs::write(self.path(to), lines.concat()).unwrap();
    }

    fn audit(&self, words: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_multisig"));
        command.current_dir(self.0.path()).arg("audit").args(words.split_whitespace()).output().unwrap()
    }

    fn report(&self, words: &str, code: i32) -> Value {
        let output = self.audit(&format!("{words} -o json"));
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// One line on standard error says what is wrong.
    fn refused(&self, words: &str, code: i32, why: &str) {
        let output = self.audit(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.lines().count() == 1 && said.contains(why), "{said}");
    }
}

#[test]
fn a_whole_chain_is_called_whole() {
    let folder = Folder::new();
    folder.keeper("early", &[1]);
    folder.keeper("late", &[1, 2, 3]);
    let known = HEXLOWER.encode(key().verifying_key().as_bytes());
    let report = folder.report(&format!("verify early late --head early --key {known}"), 0);
    assert_eq!(report["files"][1]["verified"]["head"]["count"], 3);
    assert_eq!(report["files"][1]["verified"]["decisions"], json!({"Signed": 3}));
    assert_eq!(report["files"][1]["attestedBy"], known);
    assert_eq!(report["forks"], json!([]));
    let text = String::from_utf8(folder.audit("verify late").stdout).unwrap();
    assert!(text.contains("whole: 3 record(s)") && text.contains("2023-11-14T22:13:20.001Z"), "{text}");
}

#[test]
fn an_export_from_another_editor_is_read_or_named() {
    let folder = Folder::new();
    folder.keeper("good", &[1]);
    let text = fs::read_to_string(folder.path("good")).unwrap();
    fs::write(folder.path("marked"), format!("\u{feff}{text}")).unwrap();
    assert_eq!(folder.report("verify marked", 0)["files"][0]["verified"]["head"]["count"], 1);
    fs::write(folder.path("wide"), text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>()).unwrap();
    folder.refused("verify wide", 2, "wide: the file is UTF-16; save it as UTF-8");
}

#[test]
fn what_was_removed_changed_inserted_or_reordered_is_named() {
    let folder = Folder::new();
    folder.keeper("good", &[1, 2, 3, 4]);
    let cases: [(&str, Tampering); 4] = [
        ("Removed", |lines| drop(lines.remove(2))),
        ("Changed", |lines| lines[2] = lines[2].replace("alice", "mallory")),
        ("Inserted", |lines| lines.insert(2, lines[1].clone())),
        ("Reordered", |lines| lines.swap(2, 3)),
    ];
    for (kind, change) in cases {
        folder.tamper("good", "bad", change);
        let report = folder.report("verify bad", 1);
        assert_eq!(
            (&report["files"][0]["broken"]["kind"], &report["files"][0]["broken"]["seq"]),
            (&kind.into(), &2.into())
        );
    }
    folder.refused("verify bad", 1, "bad: records were reordered, the first of them at place 2");
}

#[test]
fn a_chain_written_anew_shows_by_a_head_and_by_another_export() {
    let folder = Folder::new();
    folder.keeper("genuine", &[1, 2, 3]);
    folder.keeper("anew", &[1, 9, 3, 4]);
    folder.keeper("old", &[1, 2]);
    folder.tamper("genuine", "head", |lines| lines.truncate(1));
    folder.refused("verify anew --head head", 1, "the published head of 3 record(s) is not in this chain");
    folder.refused("verify old --head head", 1, "rolled back or cut");
    assert_eq!(folder.report("verify genuine anew", 1)["forks"], json!([{"a": "genuine", "b": "anew", "seq": 2}]));
    folder.refused("verify genuine anew", 1, "fork: they differ from record 2 on");
}

#[test]
fn an_attestation_counts_only_by_the_signers_key() {
    let folder = Folder::new();
    folder.keeper("good", &[1]);
    let other = HEXLOWER.encode(SigningKey::from_bytes(&[2; 32]).verifying_key().as_bytes());
    folder.refused(&format!("verify good --key {other}"), 1, "signed by a key that is not approved here");
    folder.keeper("other", &[2]);
    let header = fs::read_to_string(folder.path("other")).unwrap();
    let stolen = header.lines().next().unwrap().split("\"attestation\"").nth(1).unwrap().to_owned();
    folder.tamper("good", "bad", |lines| {
        let own = lines[0].split("\"attestation\"").next().unwrap().to_owned();
        lines[0] = format!("{own}\"attestation\"{stolen}\n");
    });
    folder.refused("verify bad", 1, "the published head of 1 record(s) is not in this chain");
}

#[test]
fn signatures_that_only_one_signer_made_are_named() {
    let folder = Folder::new();
    folder.keeper("keeper", &[1, 2]);
    let sweep = Entry { operation: EVACUATION_SIGN.to_owned(), ..entry("cooler", 9) };
    let both = || [entry("cooler", 1), entry("cooler", 2), sweep.clone()];
    folder.export("cooler", "cooler", both());
    let report = folder.report("compare keeper cooler", 0);
    assert_eq!((&report["both"], &report["evacuations"][0]["digest"]), (&2.into(), &"09".repeat(32).into()));
    folder.export("alone", "cooler", both().into_iter().chain([entry("cooler", 5)]));
    let report = folder.report("compare keeper alone", 1);
    assert_eq!(report["coolerOnly"][0]["operationId"], "05".repeat(16));
    assert_eq!((&report["coolerOnly"][0]["wallet"], &report["keeperOnly"]), (&"alice".into(), &json!([])));
    folder.refused("compare keeper alone", 1, "1 signature(s) of Cooler without Keeper's");
    folder.keeper("ahead", &[1, 2, 3]);
    folder.refused("compare ahead cooler", 1, "1 signature(s) of Keeper without Cooler's");
    let text = String::from_utf8(folder.audit("compare ahead cooler").stdout).unwrap();
    assert!(text.contains("2023-11-14T22:13:20.003Z alice on eip155:1: digest 0303"), "{text}");
}

#[test]
fn a_broken_chain_is_not_compared() {
    let folder = Folder::new();
    folder.keeper("keeper", &[1, 2]);
    folder.export("cooler", "cooler", [entry("cooler", 1)]);
    folder.tamper("keeper", "bad", |lines| drop(lines.remove(1)));
    folder.refused("compare bad cooler", 1, "bad: 1 record(s) were removed, the first of them record 1");
}

#[test]
fn a_file_that_can_not_be_used_ends_with_code_2() {
    let folder = Folder::new();
    folder.keeper("keeper", &[1]);
    folder.export("cooler", "cooler", [entry("cooler", 1)]);
    fs::write(folder.path("text"), "hello\n").unwrap();
    folder.tamper("keeper", "newer", |lines| lines[0] = lines[0].replace("\"version\":1", "\"version\":2"));
    folder.refused("verify missing", 2, "cannot read missing");
    folder.refused("verify text", 2, "text: the first line is not the header of an audit export");
    folder.refused("verify newer", 2, "version 2");
    folder.refused("verify keeper cooler", 2, "cooler belongs to another signer or custody");
    folder.refused("verify keeper --head cooler", 2, "cooler belongs to another signer or custody");
    folder.refused("compare cooler keeper", 2, "cooler is the export of cooler, not of keeper");
}
