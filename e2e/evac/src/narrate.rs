//! What is told while it goes on.

use std::time::Instant;

use anyhow::Result;

/// A new part.
pub(crate) fn chapter(title: &str) {
    println!("\n== {title}");
}

/// A remark.
pub(crate) fn say(line: impl AsRef<str>) {
    println!("   {}", line.as_ref());
}

/// Somebody does something; how long it took, if one noticed.
pub(crate) async fn act<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    println!("   {what} ...");
    let started = Instant::now();
    let done = work.await;
    if started.elapsed().as_secs() >= 2 {
        println!("   {} after {} s", if done.is_ok() { "done" } else { "failed" }, started.elapsed().as_secs());
    }
    done
}
