//! `make hostile`: every attack of every suite, a table, and `target/hostile/report.json`.

mod crash;
mod database;
mod report;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut words = std::env::args().skip(1);
    let points = words.next().and_then(|points| points.parse().ok()).unwrap_or(200);
    let seed = words.next().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let rows = if points == 0 { database::run().await? } else { crash::run(points, seed).await? };
    for row in rows {
        println!("{:60} {:10} {}", row.attack, row.moved, row.refused_by);
    }
    Ok(())
}
