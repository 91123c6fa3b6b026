//! The second implementation of the protocol agrees with the test vectors.

#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else than it expects")]

use harness::{go_app::GoApp, servers::repository};

#[test]
fn an_implementation_in_another_language_passes_the_same_vectors_both_ways() {
    let vectors = repository().join("libs/protocol/vectors").display().to_string();
    let output = GoApp::build().unwrap().run(["vectors", &vectors]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    print!("{said}");
}
