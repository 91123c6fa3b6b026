//! Only the adapters themselves, the registries and tests name a chain's own types: a second chain is added without an
//! edit anywhere else.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What nobody else names.
const NAMES: [&str; 5] = ["EvmSafe", "chain_evm", "chain-evm", "alloy_", "alloy-"];

/// Where all code is.
const ROOTS: [&str; 6] = ["cli", "e2e", "fuzz", "libs", "operator", "workloads"];

/// Who may, with what it is.
const ALLOWED: [(&str, &str); 10] = [
    ("libs/chain/evm", "the pure adapter"),
    ("libs/chain/evm-client", "the networked adapter"),
    ("libs/chain/adapters", "the registry of pure adapters"),
    ("libs/chain/clients", "the registry of networked adapters"),
    ("e2e/harness/src/evm.rs", "the node of tests, with the contracts that it starts with"),
    ("e2e/data-center/src", "the sentinel of tests reads its own node"),
    ("e2e/demo/src", "the demonstration plays a thief, who brings the contract's interface along"),
    ("e2e/evac/src", "the thief who runs in front of the rescue, and the account of what moved"),
    ("e2e/hostile/src", "attackers build what no adapter would build"),
    ("fuzz/bodies/src", "the bodies that fuzz an adapter"),
];

#[test]
fn only_adapters_registries_and_tests_name_a_chains_own_types() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
    let mut files = Vec::new();
    ROOTS.iter().for_each(|root| collect(&workspace.join(root), &mut files));
    assert!(files.len() > 300, "only {} files were found", files.len());
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(workspace).unwrap();
        if !is_test(path) && !ALLOWED.iter().any(|(allowed, _)| path.starts_with(allowed)) {
            found.extend(
                named(&fs::read_to_string(&file).unwrap()).map(|name| format!("{} names {name}", path.display())),
            );
        }
    }
    assert!(found.is_empty(), "ask `chain_adapters` or `chain_clients` instead:\n{}", found.join("\n"));
}

/// What each exception is there for: one that is needed no more goes.
#[test]
fn every_exception_is_used() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(3).unwrap();
    for (allowed, what) in ALLOWED {
        let mut files = Vec::new();
        collect(&workspace.join(allowed), &mut files);
        let used = files.iter().any(|file| named(&fs::read_to_string(file).unwrap()).next().is_some());
        assert!(used, "{allowed} ({what}) names nothing of a chain any more");
    }
}

fn named(text: &str) -> impl Iterator<Item = &'static str> + '_ {
    // Tests below the code, and the dependencies that are only theirs.
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = code.split("[dev-dependencies]").next().unwrap();
    NAMES.into_iter().filter(move |name| code.contains(name))
}

fn is_test(path: &Path) -> bool {
    let of_tests = ["e2e", "fuzz"].iter().any(|root| path.starts_with(root)) && path.ends_with("Cargo.toml");
    of_tests
        || path.components().any(|part| ["tests", "benches"].contains(&part.as_os_str().to_str().unwrap()))
        || path.ends_with("tests.rs")
}

/// Sources and manifests.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_dir() && !path.ends_with("target") {
        fs::read_dir(path).unwrap().for_each(|entry| collect(&entry.unwrap().path(), files));
    } else if path.extension().is_some_and(|extension| extension == "rs") || path.ends_with("Cargo.toml") {
        files.push(path.to_owned());
    }
}
