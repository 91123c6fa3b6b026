//! What the audience reads.

use std::time::Instant;

use anyhow::Result;

/// A new part of the story.
pub(crate) fn chapter(title: &str) {
    println!("\n== {title}");
}

/// A remark.
pub(crate) fn say(line: &str) {
    println!("   {line}");
}

/// Somebody does something; who, what, and how long it took.
pub(crate) async fn act<T>(who: &str, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    println!("   [{who}] {what} ...");
    let started = Instant::now();
    let done = work.await;
    if started.elapsed().as_secs() >= 2 {
        println!("   [{who}] {} after {} s", if done.is_ok() { "done" } else { "failed" }, started.elapsed().as_secs());
    }
    done
}
