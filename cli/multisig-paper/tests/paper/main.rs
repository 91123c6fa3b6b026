//! The offline tools as people and scripts use them: the real binary, real files, phrases on standard input.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod inspect;
mod ladders;
mod terminal;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chain::{Asset, ChainId, ChainRules, Claim};
use chain_adapters::Adapters;
use chain_evm::EvmSafe;
use custody::{
    Role,
    identity::{Identity, PeerKeys},
    manifest::{SignedManifest, VerifiedManifest},
    phrase::{EIP155, Phrase},
    sealed_phrase::SealedCool,
};
use evacuation::{Balance, Bundle, ChainState, ExportedWallet, WalletsExport, plan};
use nkeys::XKey;
use serde_json::Value;
use tempfile::TempDir;

const SAFE: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    fn json(self) -> Value {
        serde_json::from_str(&self.ok().out).unwrap()
    }

    /// Exit code 1 and one line on standard error (beside announcements) that holds `text`.
    fn refused(self, text: &str) {
        assert_eq!(self.code, 1, "{}{}", self.out, self.err);
        let errors: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", self.err);
        assert!(errors[0].contains(text), "{} lacks '{text}'", errors[0]);
        assert!(self.err.trim_end().ends_with(errors[0]), "the error is the last line: {}", self.err);
    }
}

/// A folder per test: a station's disk.
struct Room(TempDir);

impl Room {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn write_bytes(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs `multisig-paper` with `line` split at spaces, in this folder.
    fn run(&self, line: &str, input: &str) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_multisig-paper"))
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may have refused and gone before it reads.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn files(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(self.0.path()).unwrap().map(name).collect();
        names.sort();
        names
    }
}

/// Both phrases and a manifest `manifest.json`, signed by nobody.
struct Ceremony {
    room: Room,
    cool: String,
    cold: String,
}

impl Ceremony {
    fn unsigned() -> Self {
        let room = Room::new();
        let phrase = |role: &str| {
            let made = room.run(&format!("ceremony {role} --out {role}.json -o json"), "").json();
            assert_eq!(made["role"], role);
            assert_eq!(made["publicHalf"], serde_json::from_str::<Value>(&room.read(&format!("{role}.json"))).unwrap());
            made["phrase"].as_str().unwrap().to_owned()
        };
        let (cool, cold) = (phrase("cool"), phrase("cold"));
        let safe = SAFE.to_lowercase();
        room.run(
            &format!("ceremony manifest --cool cool.json --cold cold.json --safe eip155:1={safe} --out manifest.json"),
            "",
        )
        .ok();
        Self { room, cool, cold }
    }

    fn signed() -> Self {
        let ceremony = Self::unsigned();
        ceremony.room.run("ceremony sign manifest.json --role cool", &ceremony.cool).ok();
        ceremony.room.run("ceremony sign manifest.json --role cold", &ceremony.cold).ok();
        ceremony
    }

    fn manifest(&self) -> VerifiedManifest {
        SignedManifest::parse(self.room.read("manifest.json").as_bytes()).unwrap().verify().unwrap()
    }

    /// `plan.json` for one wallet with native coin and a token.
    fn plan(&self) -> Bundle {
        let (manifest, chain): (_, ChainId) = (self.manifest(), "eip155:1".parse().unwrap());
        let hot = Phrase::from_entropy(&[1; 32]).unwrap().keys().public_key(EIP155).unwrap().to_vec();
        let rules = EvmSafe::new(chain.clone()).unwrap();
        let address = rules.wallet(&manifest.owners(&chain, &hot).unwrap(), [0; 32]).unwrap().address;
        let id: custody::WalletId = "alice".parse().unwrap();
        let record =
            ExportedWallet::new(id.clone(), &[(EIP155.into(), hot)].into(), [0; 32], [(chain.clone(), address)].into());
        let balance = |symbol: &str, contract: Option<&str>, amount: u128| Balance {
            asset: Asset { symbol: symbol.into(), contract: contract.map(str::to_owned) },
            amount: amount.into(),
        };
        let token = format!("0x{}", "0b".repeat(20));
        let balances = vec![balance("ETH", None, 77), balance("USD", Some(&token), 5)];
        let states = [((id, chain), ChainState { created: false, next: vec![Claim::Sequence(0)], balances })].into();
        let export = WalletsExport::new(&manifest, vec![record]);
        let bundle = plan(&export, &states, &manifest, &Adapters::all(), &BTreeMap::new()).unwrap();
        self.room.write("plan.json", &bundle.to_json());
        bundle
    }
}

/// The words between the numbers that the ceremony prints.
fn shown_phrase(out: &str) -> String {
    let words: Vec<&str> = out
        .split_whitespace()
        .zip(out.split_whitespace().skip(1))
        .filter(|(number, _)| number.strip_suffix('.').is_some_and(|number| number.parse::<u8>().is_ok()))
        .map(|(_, word)| word)
        .collect();
    words.join(" ")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_ceremony_shows_the_phrase_and_writes_only_its_public_half() {
    let room = Room::new();
    let run = room.run("ceremony cold --out cold.json --no-confirm", "").ok();
    let phrase = Phrase::parse(&shown_phrase(&run.out)).unwrap();
    assert_eq!(room.files(), ["cold.json"]);
    assert_eq!(mode(&room.path("cold.json")), 0o644);
    let half = room.read("cold.json");
    assert!(half.contains("\"role\": \"cold\""));
    let long = |word: &&str| word.len() > 4;
    assert!(phrase.words().filter(long).all(|word| !half.contains(word)), "no word of the phrase is in the file");
}

#[test]
fn without_typing_it_back_nothing_is_written() {
    let room = Room::new();
    room.run("ceremony cool --out cool.json", "").refused("nothing was written");
    let other = "abandon ".repeat(23) + "art\n";
    let run = room.run("ceremony cool --out cool.json", &other);
    assert!(run.err.contains("different phrase"), "{}", run.err);
    run.refused("nothing was written");
    assert_eq!(room.files(), [""; 0]);
}

#[test]
fn the_whole_ceremony_ends_with_a_manifest_that_both_have_signed() {
    let ceremony = Ceremony::unsigned();
    let room = &ceremony.room;
    let show = || room.run("ceremony show manifest.json -o json", "").json();
    assert_eq!((show()["signedBy"].to_string(), show()["complete"].clone()), ("[]".to_owned(), false.into()));
    let run = room.run("ceremony sign manifest.json --role cool", &ceremony.cool).ok();
    assert!(run.out.contains(SAFE), "what is signed is shown first, with checksums: {}", run.out);
    assert!(run.out.contains("signed by cool, not yet by cold"));
    let digest = show()["digest"].as_str().unwrap().to_owned();
    assert!(run.out.contains(&format!("revision 1, digest ends with {}.", &digest[digest.len() - 8..])), "{}", run.out);
    assert_eq!(show()["complete"], false);
    let signed = room.run("ceremony sign manifest.json --role cold -o json", &ceremony.cold).json();
    assert_eq!(signed["complete"], true);
    let shown = show();
    assert_eq!(shown["signedBy"], serde_json::json!(["cool", "cold"]));
    assert_eq!(shown["safeDestinations"], serde_json::json!({"eip155:1": [SAFE]}));
    assert_eq!(shown["revision"], 1);
    let manifest = ceremony.manifest();
    assert_eq!(shown["digest"], manifest.digest());
    assert_eq!(shown["custodyId"], manifest.custody_id().to_string());
    assert!(room.run("ceremony show manifest.json", "").ok().out.contains("complete"));
    assert_eq!(room.files(), ["cold.json", "cool.json", "manifest.json"], "nothing is left behind");
}

#[test]
fn a_next_manifest_keeps_the_custody_and_raises_the_revision() {
    let ceremony = Ceremony::signed();
    let compose = format!("ceremony manifest --cool cool.json --cold cold.json --safe eip155:1={SAFE}");
    let next = format!("{compose} --previous manifest.json --out next.json -o json");
    let next = ceremony.room.run(&next, "").json();
    assert_eq!(next["revision"], 2);
    assert_eq!(next["custodyId"], ceremony.manifest().custody_id().to_string());
    ceremony.room.run(&format!("{compose} --previous next.json --out third.json"), "").refused("not signed by cool");
    let id = "0123456789abcdef0123456789abcdef";
    let named = ceremony.room.run(&format!("{compose} --custody-id {id} --out named.json -o json"), "").json();
    assert_eq!(named["custodyId"], id);
}

#[test]
fn a_wrong_phrase_changes_nothing() {
    let ceremony = Ceremony::unsigned();
    let before = ceremony.room.read("manifest.json");
    let sign = |input: &str| ceremony.room.run("ceremony sign manifest.json --role cool", input);
    sign(&ceremony.cold).refused("not the cool phrase");
    sign(&("abandon ".repeat(23) + "art")).refused("not the cool phrase");
    sign("abandon abandon").refused("has 24 words, this one has 2");
    sign(&("abandon ".repeat(23) + "abandom")).refused("word 24 is not in the BIP39 English word list");
    sign(&"abandon ".repeat(24)).refused("checksum");
    sign("").refused("no phrase on standard input");
    assert_eq!(ceremony.room.read("manifest.json"), before);
}

#[test]
fn no_file_is_overwritten() {
    let ceremony = Ceremony::signed();
    ceremony.plan();
    ceremony.room.write("kept", "precious");
    let xkey = XKey::new_from_raw([7; 32]).public_key();
    for (line, input) in [
        ("ceremony cold --no-confirm --out kept".to_owned(), ""),
        (format!("ceremony manifest --cool cool.json --cold cold.json --safe eip155:1={SAFE} --out kept"), ""),
        (format!("cool seal --manifest manifest.json --to {xkey} --out kept"), ceremony.cool.as_str()),
        ("evac sign --manifest manifest.json plan.json --out kept".to_owned(), ceremony.cold.as_str()),
    ] {
        let run = ceremony.room.run(&line, input);
        assert!(!run.out.contains("1."), "no phrase is shown in vain");
        run.refused("kept already exists");
    }
    assert_eq!(ceremony.room.read("kept"), "precious");
}

#[test]
fn malformed_manifests_have_one_clear_line() {
    let ceremony = Ceremony::signed();
    let room = &ceremony.room;
    let good = room.read("manifest.json");
    for (text, why) in [
        ("", "malformed manifest"),
        ("{}", "missing field"),
        (&good.replacen('{', "{\"x\":1,", 1), "unknown field"),
        (&good.replace("\"payload\": \"e", "\"payload\": \"f"), "malformed manifest"),
    ] {
        room.write("bad.json", text);
        room.run("ceremony show bad.json", "").refused(why);
        room.run("ceremony sign bad.json --role cool", &ceremony.cool).refused(why);
    }
    room.write("bad.json", &format!("\u{feff}{good}"));
    assert_eq!(room.run("ceremony show bad.json", "").ok().out, room.run("ceremony show manifest.json", "").ok().out);
    room.write_bytes("bad.json", &good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    room.run("ceremony show bad.json", "").refused("bad.json: the file is UTF-16; save it as UTF-8");
    let mut document: Value = serde_json::from_str(&good).unwrap();
    let signatures = document["signatures"].as_array_mut().unwrap();
    let other = signatures[0]["signature"].clone();
    signatures[1]["signature"] = other;
    room.write("bad.json", &document.to_string());
    room.run("ceremony show bad.json", "").refused("the cold signature does not fit");
    room.run("ceremony show absent.json", "").refused("cannot read absent.json");
}

#[test]
fn halves_and_destinations_are_checked_when_the_manifest_is_made() {
    let ceremony = Ceremony::unsigned();
    let compose = |halves: &str| ceremony.room.run(&format!("ceremony manifest {halves} --out new.json"), "");
    let safe = format!("--safe eip155:1={SAFE}");
    compose(&format!("--cool cold.json --cold cold.json {safe}")).refused("the cool half says that it is cold");
    compose(&format!("--cool cool.json --cold manifest.json {safe}")).refused("malformed public half");
    compose(&format!("--cool cool.json --cold cold.json {safe} {safe}")).refused("named twice");
    let misread = SAFE.replace("5aA", "5AA");
    for bad in [format!("eip155:1={misread}"), "eip155:1".to_owned(), format!("solana:1={SAFE}"), "=".to_owned()] {
        let run = compose(&format!("--cool cool.json --cold cold.json --safe {bad}"));
        assert_eq!(run.code, 2, "wrong usage: {}", run.err);
    }
    assert_eq!(ceremony.room.files(), ["cold.json", "cool.json", "manifest.json"]);
}

#[test]
fn the_cool_phrase_is_sealed_to_cooler_alone() {
    let ceremony = Ceremony::signed();
    let (room, cooler) = (&ceremony.room, XKey::new_from_raw([7; 32]));
    let seal = format!("cool seal --manifest manifest.json --to {}", cooler.public_key());
    room.run(&format!("{seal} --out sealed.json"), &ceremony.cool).ok();
    let sealed = SealedCool::parse(room.read("sealed.json").as_bytes()).unwrap();
    let opened = custody::sealed_phrase::open(&sealed, &cooler, &ceremony.manifest()).unwrap();
    assert_eq!(opened.words().collect::<Vec<_>>().join(" "), ceremony.cool);
    room.run(&format!("{seal} --out other.json"), &ceremony.cold).refused("not the cool phrase");
    room.run("cool seal --manifest manifest.json --to Xyz --out other.json", &ceremony.cool).refused("not an XKey");
    room.run("cool seal --manifest manifest.json --to nowhere --out other.json", "").refused("neither an XKey");
    assert!(!room.files().contains(&"other.json".to_owned()));
}

#[test]
fn a_half_signed_manifest_seals_and_evacuates_nothing() {
    let ceremony = Ceremony::unsigned();
    let room = &ceremony.room;
    room.run("ceremony sign manifest.json --role cool", &ceremony.cool).ok();
    room.run("cool seal --manifest manifest.json --to X --out s.json", &ceremony.cool).refused("not signed by cold");
    room.write("plan.json", "{}");
    room.run("evac sign --manifest manifest.json plan.json --out b.json", &ceremony.cold)
        .refused("not signed by cold; run `multisig-paper ceremony sign");
}

#[test]
fn an_identity_is_sealed_to_when_it_is_proven_and_coolers() {
    let ceremony = Ceremony::signed();
    let (room, cooler) = (&ceremony.room, XKey::new_from_raw([7; 32]));
    let message = Phrase::from_entropy(&[8; 32]).unwrap().keys().identity();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let keys = PeerKeys { message_key: hex(message.verifying_key().as_bytes()), xkey: cooler.public_key() };
    let identity = |role| Identity {
        role,
        custody_id: Some(ceremony.manifest().custody_id()),
        nats_user: "U".into(),
        message_proof: custody::identity::prove(
            &message,
            &custody::identity::statement(role, Some(ceremony.manifest().custody_id()), "U", &keys),
        ),
        keys: keys.clone(),
        nats_proof: String::new(),
    };
    let seal = |identity: &Identity, out: &str| {
        room.write("identity.json", &serde_json::to_string(identity).unwrap());
        let line = format!("cool seal --manifest manifest.json --to identity.json --out {out} -o json");
        room.run(&line, &ceremony.cool)
    };
    let sealed = seal(&identity(Role::Cooler), "sealed.json");
    let print = custody::identity::fingerprint(Role::Cooler, &keys);
    assert!(sealed.err.contains(&print), "shown before the phrase is asked for");
    assert_eq!(sealed.json()["fingerprint"], print);
    let sealed = SealedCool::parse(room.read("sealed.json").as_bytes()).unwrap();
    custody::sealed_phrase::open(&sealed, &cooler, &ceremony.manifest()).unwrap();
    seal(&identity(Role::Keeper), "no.json").refused("identity of keeper");
    let forged = Identity { message_proof: "00".repeat(64), ..identity(Role::Cooler) };
    seal(&forged, "no.json").refused("does not prove possession");
    room.write("identity.json", "{}");
    room.run("cool seal --manifest manifest.json --to identity.json --out no.json", "").refused("is not an identity");
}

#[test]
fn an_evacuation_is_shown_and_signed_at_both_stations() {
    let ceremony = Ceremony::signed();
    let (room, plan) = (&ceremony.room, ceremony.plan());
    let run = room
        .run("evac sign --manifest manifest.json plan.json --role cool --out cool-signed.json", &ceremony.cool)
        .ok();
    for shown in ["alice", &plan.steps[0].address, "77", "native coin", "USD 0x0B0b", SAFE] {
        assert!(run.out.contains(shown), "{shown} in {}", run.out);
    }
    let signed = "evac sign --manifest manifest.json cool-signed.json --out bundle.json -o json";
    let signed = room.run(signed, &ceremony.cold).json();
    assert_eq!(signed["role"], "cold");
    assert_eq!(signed["steps"][1]["signedBy"], serde_json::json!(["cool", "cold"]));
    let bundle = Bundle::parse(room.read("bundle.json").as_bytes())
        .unwrap()
        .verify(&ceremony.manifest(), &Adapters::all())
        .unwrap();
    assert!(bundle.steps().iter().all(|step| step.call().is_ok()));
}

#[test]
fn a_wrong_phrase_or_a_changed_plan_evacuates_nothing() {
    let ceremony = Ceremony::signed();
    let (room, plan) = (&ceremony.room, ceremony.plan());
    let sign = |input: &str| room.run("evac sign --manifest manifest.json plan.json --out bundle.json", input);
    sign(&ceremony.cool).refused("not the cold phrase");
    let mut redirected = plan.clone();
    redirected.steps[0].destination = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB".to_owned();
    room.write("plan.json", &redirected.to_json());
    sign(&ceremony.cold).refused("the transaction's destination is");
    let mut painted = plan.clone();
    painted.steps[0].asset = "ETH\u{1b}[2J".to_owned();
    room.write("plan.json", &painted.to_json());
    sign(&ceremony.cold).refused("symbol");
    room.write("plan.json", "{\"version\":9}");
    sign(&ceremony.cold).refused("version 9");
    assert!(!room.files().contains(&"bundle.json".to_owned()));
    let other = Ceremony::signed();
    other.room.write("plan.json", &plan.to_json());
    other
        .room
        .run("evac sign --manifest manifest.json plan.json --out bundle.json", &other.cold)
        .refused("which is not the manifest given");
}

#[test]
fn help_says_what_each_command_does() {
    let room = Room::new();
    for line in [
        "",
        "ceremony",
        "ceremony cold",
        "ceremony manifest",
        "ceremony sign",
        "cool seal",
        "evac sign",
        "chain keys",
        "chain wallet",
        "chain decode",
    ] {
        let help = room.run(&format!("{line} --help"), "").ok().out;
        assert!(help.contains("Usage: multisig-paper"), "{help}");
        assert!(!help.contains("phrase-file"), "a phrase is typed, not stored");
    }
    assert_eq!(room.run("ceremony warm", "").code, 2);
}

#[test]
fn no_network_crate_is_linked() {
    let linked = harness::crates::linked("multisig-paper").unwrap();
    let links = |name: &str| linked.iter().any(|linked| linked == name);
    assert!(links("custody") && links("chain-evm"), "{linked:?}");
    let network = [
        "async-nats",
        "axum",
        "curl",
        "h2",
        "hickory-resolver",
        "hyper",
        "kube",
        "transport",
        "mio",
        "openssl",
        "quinn",
        "reqwest",
        "rustls",
        "socket2",
        "tokio",
        "ureq",
        "vault",
        "vaultrs",
    ];
    assert_eq!(network.into_iter().filter(|name| links(name)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_backup_phrase_is_shown_once_and_its_key_can_be_read_from_the_paper_again() {
    let room = Room::new();
    let made = room.run("backup key -o json", "").json();
    let (phrase, recipient) = (made["phrase"].as_str().unwrap(), made["recipient"].as_str().unwrap());
    assert_eq!(custody::sealed_backup::key(&Phrase::parse(phrase).unwrap()).public_key(), recipient);
    assert_eq!(room.run("backup show -o json", phrase).json()["recipient"], recipient);
    let shown = room.run("backup key --no-confirm", "").ok();
    assert!(
        shown.out.contains("The backup phrase.") && shown.out.contains("backups are sealed to: X"),
        "{}",
        shown.out
    );
    room.run("backup key", "other words").refused("was not typed back");
    room.run("backup show", "abandon").refused("24 words");
}
