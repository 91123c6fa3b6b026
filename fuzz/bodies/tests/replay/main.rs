//! Every committed input of every fuzz target, without the fuzzer: what it begins with, and what it has found.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

mod seeds;

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use chain_adapters::Adapters;
use custody::{
    config::{Credentials, MemberConfig},
    local_policy::LocalPolicy,
    manifest::SignedManifest,
    report::Report,
    trust::MemberTrust,
};
use fuzz_bodies::{SEPARATOR, TARGETS};
use jiff::Timestamp;
use policy_file::policy::{Loaded, Request};

/// Set to write the seeds anew.
const WRITE: &str = "MULTISIG_WRITE_SEEDS";

/// Inputs that were committed because a bug was found with them. A file that is gone is a promise that is gone.
const REGRESSIONS: usize = 0;

fn folder(kind: &str, target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(kind).join(target)
}

/// By file name; none where the folder is missing.
fn inputs(kind: &str, target: &str) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder(kind, target)) else { return BTreeMap::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())).collect()
}

/// The number of inputs that kept all promises.
fn replay(kind: &str) -> usize {
    let mut count = 0;
    for target in TARGETS {
        let inputs = inputs(kind, target.name);
        for (name, bytes) in &inputs {
            let kept = catch_unwind(AssertUnwindSafe(|| (target.body)(bytes))).is_ok();
            assert!(kept, "fuzz/{kind}/{}/{name} breaks a promise", target.name);
        }
        let _ = writeln!(std::io::stderr(), "fuzz {kind}: {}: {} inputs", target.name, inputs.len());
        count += inputs.len();
    }
    count
}

#[test]
fn every_input_of_the_corpora_keeps_the_promises() {
    assert_eq!(replay("corpus"), seeds::all().len());
}

#[test]
fn every_input_that_once_broke_one_keeps_it_now() {
    assert_eq!(replay("regressions"), REGRESSIONS);
}

/// A seed that is refused at the door would leave the room behind it unsearched.
#[test]
fn the_good_documents_among_the_seeds_are_read() {
    let seeds = seeds::all();
    let named = |target, name| {
        let found = seeds.iter().find(|seed| (seed.target, seed.name.as_str()) == (target, name));
        std::str::from_utf8(&found.unwrap().bytes[1..]).unwrap()
    };
    let policy = |name| named("policy_file", name);
    MemberTrust::parse(policy("trust").as_bytes()).unwrap().complete().unwrap();
    SignedManifest::parse(policy("manifest").as_bytes()).unwrap();
    serde_json::from_str::<LocalPolicy>(policy("localPolicy")).unwrap().validate().unwrap();
    serde_json::from_str::<MemberConfig>(policy("config")).unwrap();
    serde_json::from_str::<Report>(policy("report")).unwrap();
    serde_json::from_str::<Credentials>(policy("credentials")).unwrap();
    for name in ["try-transfer", "try-cancel", "try-trust"] {
        let (file, request) = policy(name).split_once(SEPARATOR).unwrap();
        Request::parse(request, &Loaded::parse(file).unwrap(), Timestamp::UNIX_EPOCH).unwrap();
    }
    audit::read(named("audit_reader", "keeper").as_bytes()).unwrap();
    let rules = Adapters::all().rules(&"eip155:1".parse().unwrap()).unwrap();
    rules.read(named("transaction", "json").as_bytes()).unwrap();
}

#[test]
fn the_corpora_are_what_this_version_makes() {
    let mut made: BTreeMap<&str, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for seeds::Seed { target, name, bytes } in seeds::all() {
        if env::var_os(WRITE).is_some() {
            fs::create_dir_all(folder("corpus", target)).unwrap();
            fs::write(folder("corpus", target).join(&name), &bytes).unwrap();
        }
        let twice = made.entry(target).or_default().insert(name.clone(), bytes);
        assert!(twice.is_none(), "two seeds {name} of {target}");
    }
    for target in TARGETS {
        assert!(
            made.get(target.name) == Some(&inputs("corpus", target.name)),
            "fuzz/corpus/{} is not what this version makes; write it anew with {WRITE}=1",
            target.name
        );
    }
}
