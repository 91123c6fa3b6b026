//! Rows that fit each other: put back as they were, with the tally of that time or without one, and what could make the
//! rows of a file mean something else.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use custody::Role;
use rusqlite::Connection;
use tokio::process::Command;

use super::story::{Story, yesterday};
use crate::files::open;

const BOTH: [Role; 2] = [Role::Keeper, Role::Cooler];
/// All that is counted, and what counts it.
const ROWS: [&str; 10] =
    ["claims", "spends", "sums", "windows", "settled", "freezes", "records", "wallets", "addresses", "tally"];
const NO_TALLY: &str = "DELETE FROM tally";
const NO_KEY: &str = "DELETE FROM tally; DELETE FROM store_key";
const TRIGGER: &str = "
    CREATE TRIGGER forget AFTER INSERT ON audit BEGIN DELETE FROM claims WHERE wallet = 'alice' AND nonce = 1; END";
const NO_RULE: &str = "DROP INDEX one_payment_a_nonce";

pub(super) async fn attacks(story: &mut Story) -> Result<()> {
    let cases: [(&str, &str, &str); 4] = [
        ("the tally taken away", NO_TALLY, "its tally is missing"),
        ("the tally and its key taken away, as if there had never been one", NO_KEY, "its store key is missing"),
        ("a trigger that forgets a watermark later", TRIGGER, "another form"),
        ("the rule that a nonce has one payment taken away", NO_RULE, "another form"),
    ];
    for role in BOTH {
        for (name, sql, found) in cases {
            story.attack(&format!("{role}: {name}"), async |story| story.tampered(role, sql, found).await).await?;
        }
        story
            .attack(&format!("{role}: yesterday's rows and tally under today's audit chain"), async |story| {
                put_back(story, role, &ROWS).await?;
                story.finds(role, "its rows are as they were at record").await
            })
            .await?;
        for (table, name) in [("claims", "watermarks"), ("spends", "amounts"), ("settled", "settlements")] {
            story
                .attack(&format!("{role}: yesterday's {name} alone"), async |story| {
                    put_back(story, role, &[table]).await?;
                    story.finds(role, &format!("table {table}")).await
                })
                .await?;
        }
        story
            .attack(&format!("{role}: a watermark that its index does not lead to"), async |story| {
                hide(story, role).await?;
                story.finds(role, "table claims and what it is sought by disagree").await
            })
            .await?;
    }
    story
        .attack("cooler: keeper's store key and tally", async |story| {
            let keeper = story.custody.keeper.start.data_dir.join(signer::store::FILE);
            let edit = |connection: &Connection| replace(connection, &keeper, &["store_key", "tally"]);
            story.write(Role::Cooler, edit).await?;
            story.does_not_start(Role::Cooler, "a sealed value does not open").await?;
            Ok("the Vault's key: it does not start".to_owned())
        })
        .await?;
    freezes(story).await
}

/// What an admin freezes while neither the process nor the Vault is there.
async fn freezes(story: &mut Story) -> Result<()> {
    story
        .attack("keeper: frozen by its admin while it is down, then started", async |story| {
            freeze(story).await?;
            story.custody.restart(Role::Keeper).await?;
            story.keeper_refuses(|story| &story.carol, 0, "Frozen").await?;
            let told = story.steal(|story| &story.bob, 0).await?;
            ensure!(told[0] == "Frozen", "{told:?}");
            Ok("keeper: Frozen".to_owned())
        })
        .await?;
    story
        .attack("keeper: a freeze of its admin taken away before it starts", async |story| {
            freeze(story).await?;
            story
                .tampered(Role::Keeper, "DELETE FROM freezes WHERE requester = 'admin'", "as they were at record")
                .await
        })
        .await
}

async fn freeze(story: &mut Story) -> Result<()> {
    story.custody.keeper.kill().await?;
    let mut command = Command::new(keeper()?);
    let nowhere = "/nonexistent";
    command.args(["freeze", "--reason=theft", "--kube-dir", nowhere, "--vault-token-file", nowhere, "--data-dir"]);
    command.arg(&story.custody.keeper.start.data_dir).stdin(Stdio::null());
    let told = command.output().await?;
    ensure!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    Ok(())
}

fn keeper() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let mut folders = own.ancestors().skip(1).take(2).map(|folder| folder.join("keeper"));
    folders.find(|path| path.is_file()).context("keeper is not built: run `cargo build -p signer-workload` first")
}

/// Tables as yesterday's backup has them.
async fn put_back(story: &mut Story, role: Role, tables: &[&str]) -> Result<()> {
    let before = yesterday(&story.custody, role).join(signer::store::FILE);
    story.write(role, |connection| replace(connection, &before, tables)).await
}

fn replace(connection: &Connection, from: &std::path::Path, tables: &[&str]) -> Result<()> {
    connection.execute("ATTACH ?1 AS other", [from.to_str().context("a path that is no text")?])?;
    for table in tables {
        connection.execute_batch(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM other.{table}"))?;
    }
    Ok(())
}

/// Its rows get other places, and the index stays as it is.
async fn hide(story: &mut Story, role: Role) -> Result<()> {
    let schema = |connection: &Connection, sql: &str| -> Result<()> {
        connection.pragma_update(None, "writable_schema", true)?;
        connection.execute_batch(sql)?;
        Ok(connection.pragma_update(None, "writable_schema", "RESET")?)
    };
    let out = "CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'nonces';
               DELETE FROM sqlite_schema WHERE name = 'nonces'";
    story.write(role, |connection| schema(connection, out)).await?;
    let connection = open(&story.custody.signer(role).start.data_dir)?;
    connection.execute_batch("UPDATE claims SET rowid = rowid + 1000")?;
    schema(&connection, "INSERT INTO sqlite_schema SELECT * FROM kept")?;
    drop(connection);
    Ok(open(&story.custody.signer(role).start.data_dir)?.execute_batch("DROP TABLE kept")?)
}
