//! `make hostile`: every attack of every suite, a table, and `target/hostile/report.json`.

mod report;

fn main() {
    let _ = report::Suite::App;
}
