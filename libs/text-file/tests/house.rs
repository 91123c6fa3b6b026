//! Every program reads what people hand in through this crate. A reader that skips it would call a byte-order mark an
//! unexpected character.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{fs, path::Path};

/// Files that other programs write, for which any other encoding is damage.
const OTHERS: [&str; 6] = [
    "libs/text-file/src/lib.rs",
    // The kubelet's tokens and roots.
    "libs/vault/src/session.rs",
    "libs/workload/src/configmaps.rs",
    "operator/src/roots.rs",
    "workloads/signer/src/cli.rs",
    // A committed file of this repository.
    "operator/src/crd.rs",
];

#[test]
fn files_are_read_by_this_crate_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut found = Vec::new();
    for folder in ["cli", "libs", "operator", "workloads"] {
        look(root, &root.join(folder), &mut found);
    }
    found.sort();
    assert_eq!(found, [""; 0], "use text_file::read or text_file::read_to_string");
    for other in OTHERS {
        assert!(root.join(other).is_file(), "{other} is gone: take it out of the list");
    }
}

fn look(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["tests", "benches", "target"].contains(&name) {
            look(root, &path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            let shown = path.strip_prefix(root).unwrap().display().to_string();
            let text = fs::read_to_string(&path).unwrap();
            let own = text.split("#[cfg(test)]").next().unwrap();
            let reads = own.contains("fs::read(") || own.contains("fs::read_to_string(");
            if reads && !OTHERS.contains(&shown.as_str()) {
                found.push(shown);
            }
        }
    }
}
