//! One word for each thing: what `docs/glossary.md` calls by another name does not come back, and what documents point
//! at is there. Needs no servers, only `git`.

use std::{collections::BTreeSet, fs, process::Command};

use harness::servers::repository;

/// What is not said, what is said instead, and how it is found.
const BANNED: [(&str, &str, Found); 9] = [
    ("observer", "sentinel", Found::Anywhere),
    ("trust bundle", "member trust", Found::Anywhere),
    ("trustbundle", "MemberTrust", Found::Anywhere),
    ("trust_bundle", "member_trust", Found::Anywhere),
    ("floor", "local policy", Found::AsWord),
    ("floors", "local policies", Found::AsWord),
    ("platform team", "hub admin", Found::Anywhere),
    ("hub's admin", "hub admin", Found::Anywhere),
    ("telephone", "out of band", Found::Anywhere),
];

/// Where banned words stay (a path's beginning), and why.
const ALLOWED: [(&str, &str); 5] = [
    ("docs/glossary.md", "says which words are not used"),
    ("e2e/acceptance/tests/words.rs", "names them to refuse them"),
    ("libs/signer/src/history/v1.rs", "reads histories that were exported with them"),
    ("libs/signer/src/store/schema", "migrates stores that hold them"),
    ("libs/signer/tests/old-database/", "was made by a signer that still used them"),
];

/// Lists of other people's modules.
const SKIPPED: [&str; 4] = ["Cargo.lock", "go.sum", "go.mod", "package-lock.json"];

/// How much of a name a banned word has to be.
#[derive(Clone, Copy, PartialEq)]
enum Found {
    /// Also within another word.
    Anywhere,
    /// Between characters that no name has, and not called: `floor()` is arithmetic.
    AsWord,
}

fn tracked() -> BTreeSet<String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(repository()).output();
    let listed = listed.expect("git runs");
    assert!(listed.status.success(), "this test reads the tracked files: {}", String::from_utf8_lossy(&listed.stderr));
    let names = String::from_utf8(listed.stdout).expect("tracked names are UTF-8");
    names.split_terminator('\0').map(str::to_owned).collect()
}

fn contains(line: &str, word: &str, how: Found) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + word.len()..].chars().next());
        how == Found::Anywhere || !before.is_some_and(in_name) && !after.is_some_and(|c| in_name(c) || c == '(')
    })
}

#[test]
fn no_word_that_the_glossary_replaced_comes_back() {
    let (mut found, mut used) = (Vec::new(), BTreeSet::new());
    for file in tracked().iter().filter(|file| !SKIPPED.iter().any(|name| file.ends_with(name))) {
        // Deleted, but not committed yet.
        let Ok(bytes) = fs::read(repository().join(file)) else { continue };
        let text = format!("{file}\n{}", String::from_utf8_lossy(&bytes)).to_lowercase();
        for (number, line) in text.lines().enumerate() {
            for (word, instead, how) in BANNED {
                if !contains(line, word, how) {
                    continue;
                }
                match ALLOWED.iter().position(|(path, _)| file.starts_with(path)) {
                    Some(allowed) => drop(used.insert(allowed)),
                    None => found.push(format!("{file}:{number}: {word:?}, say {instead:?}: {}", line.trim())),
                }
            }
        }
    }
    assert!(found.is_empty(), "words of before (docs/glossary.md):\n{}", found.join("\n"));
    let stale: Vec<_> = (0..ALLOWED.len()).filter(|at| !used.contains(at)).map(|at| ALLOWED[at]).collect();
    assert!(stale.is_empty(), "exceptions that nothing needs: {stale:?}");
}

#[test]
fn a_word_is_told_from_a_part_of_another_one() {
    assert!(contains("above the floor", "floor", Found::AsWord));
    assert!(!contains("x.floor()", "floor", Found::AsWord));
    assert!(!contains("floored", "floor", Found::AsWord));
    assert!(contains("anobservers", "observer", Found::Anywhere));
}

/// Links between documents, without those to other sites.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for file in tracked().iter().filter(|file| file.ends_with(".md")) {
        let path = repository().join(file);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let folder = path.parent().unwrap();
        broken.extend(links(&text).filter(|link| !folder.join(link).exists()).map(|link| format!("{file}: {link}")));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Paths stand in backquotes and begin with a folder of the repository; a part in capitals is the reader's to fill in.
#[test]
fn the_files_that_documents_name_are_there() {
    let tracked = tracked();
    let folders: BTreeSet<_> =
        tracked.iter().filter_map(|file| file.split_once('/')).map(|(folder, _)| folder).collect();
    let to_fill_in = |path: &str| path.split('/').any(|part| !part.is_empty() && part.chars().all(char::is_uppercase));
    let is_path = |text: &str| {
        text.split_once('/').is_some_and(|(folder, _)| folders.contains(folder))
            && !text.contains(char::is_whitespace)
            && !to_fill_in(text)
    };
    let (mut named, mut missing) = (0, Vec::new());
    for file in tracked.iter().filter(|file| file.ends_with(".md")) {
        let Ok(text) = fs::read_to_string(repository().join(file)) else { continue };
        for path in text.split('`').skip(1).step_by(2).filter(|text| is_path(text)) {
            named += 1;
            if !repository().join(path).exists() {
                missing.push(format!("{file}: {path}"));
            }
        }
    }
    assert!(named > 40, "only {named} paths were found");
    assert!(missing.is_empty(), "{missing:#?}");
}
