//! Older files, and files whose history was written anew: the others know better, or the chain shows it.

use anyhow::{Context, Result, bail, ensure};
use audit::{Head, Record};
use custody::Role;
use data_encoding::HEXLOWER;
use prost::Message;
use protocol::ops::{Freeze, Operation, Outcome};
use rusqlite::Connection;

use super::story::{Story, Whose, yesterday};
use crate::{
    files::{copy, open},
    killable::{
        PAYEE, THIEF,
        custody::ETH,
        evidence::export,
        requests::{sign, signature},
        wire::{Ask, Nothing},
    },
};

/// What is done to a chain.
type Rewrite = fn(&Connection) -> Result<()>;
/// What is done to the records of a chain, and what finds it.
type Edit = (&'static str, &'static str, &'static str);

const BOTH: [Role; 2] = [Role::Keeper, Role::Cooler];
const EMPTY: &str =
    "DELETE FROM audit; DELETE FROM claims; DELETE FROM spends; DELETE FROM sums; DELETE FROM operations;
    DELETE FROM settled; DELETE FROM freezes";

pub(super) async fn attacks(story: &mut Story) -> Result<()> {
    let cases: [(&str, Whose, u64); 3] = [
        ("keeper: yesterday's copy, and another payment at the same nonce", |story| &story.alice, 1),
        ("keeper: yesterday's copy of a frozen wallet", |story| &story.carol, 0),
        ("keeper: yesterday's copy after a spent limit", |story| &story.dave, 2),
    ];
    for (name, whose, nonce) in cases {
        story
            .attack(name, async |story| {
                rolled_back(story.roll_back(Role::Keeper).await?)?;
                story.keeper_refuses(whose, nonce, "Locked").await
            })
            .await?;
    }
    story
        .attack("cooler: yesterday's copy, and another payment at the same nonce", async |story| {
            rolled_back(story.roll_back(Role::Cooler).await?)?;
            let told = story.steal(|story| &story.alice, 1).await?;
            ensure!(told == ["NonceUsed", "Locked"], "{told:?}");
            Ok("keeper: NonceUsed; cooler: Locked".to_owned())
        })
        .await?;
    growth(story).await?;
    together(story).await?;
    acceptance(story).await?;
    anew(story).await?;
    edits(story).await
}

fn rolled_back(locked: Option<String>) -> Result<()> {
    let why = locked.context("a copy of yesterday is vouched for")?;
    ensure!(why.contains("rolled back"), "locked for another reason: {why}");
    Ok(())
}

/// While it is locked a signer still takes freezes and settlements, so its chain grows.
async fn growth(story: &mut Story) -> Result<()> {
    story
        .attack("keeper: yesterday's copy, whose chain then grows past the newer one", async |story| {
            rolled_back(story.roll_back(Role::Keeper).await?)?;
            for number in 0..60 {
                let freeze = Freeze { wallet: format!("nobody-{number}"), reason: String::new() };
                let outcome = story.custody.app(Role::Keeper, Operation::Freeze(freeze)).await?;
                ensure!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
            }
            for _ in 0..3 {
                rolled_back(story.custody.unlock(Role::Keeper).await?.err())?;
            }
            story.keeper_refuses(|story| &story.alice, 1, "Locked").await
        })
        .await
}

/// Both signers' files at once; the sentinel is in neither data centre.
async fn together(story: &mut Story) -> Result<()> {
    story
        .attack("both: yesterday's copies at once", async |story| {
            for role in BOTH {
                story.custody.signer_mut(role).kill().await?;
                copy(&yesterday(&story.custody, role), &story.custody.signer(role).start.data_dir)?;
            }
            for role in BOTH {
                story.custody.start(role, None).await?;
            }
            for role in BOTH {
                let why = story.custody.unlock(role).await?.err().context("it is vouched for")?;
                ensure!(why.contains("rolled back: sentinel knows"), "{role} stays locked: {why}");
            }
            let told = story.steal(|story| &story.alice, 1).await?;
            ensure!(told == ["Locked", "Locked"], "{told:?}");
            Ok("keeper: Locked; cooler: Locked; rolled back: sentinel knows".to_owned())
        })
        .await?;
    let cases = [
        (
            "both: yesterday's copies at once, and no head of the other in them",
            true,
            "DELETE FROM heads",
            "table heads",
        ),
        ("both: emptied of all that was signed", false, EMPTY, "audit chain is not the one of its tally"),
    ];
    for (name, old, sql, found) in cases {
        story
            .attack(name, async |story| {
                let mut told = Vec::new();
                for role in BOTH {
                    story.custody.signer_mut(role).kill().await?;
                    if old {
                        copy(&yesterday(&story.custody, role), &story.custody.signer(role).start.data_dir)?;
                    }
                    told.push(story.tampered(role, sql, found).await?);
                }
                Ok(told.join("; "))
            })
            .await?;
    }
    Ok(())
}

/// Only the admin accepts an older chain, and only through the signer's own key.
async fn acceptance(story: &mut Story) -> Result<()> {
    story
        .attack("keeper: yesterday's copy with an acceptance that nobody signed", async |story| {
            let sql = "INSERT INTO overrides (id, attestation) VALUES (1, x'0a0112'), (2, x'00'), (9000, x'')";
            story.put_back(Role::Keeper).await?;
            story.tampered(Role::Keeper, sql, "table overrides").await
        })
        .await?;
    story
        .attack("keeper: yesterday's copy with its own signed head as an acceptance", async |story| {
            // As Cooler was shown it.
            let connection = open(&yesterday(&story.custody, Role::Cooler))?;
            let query = "SELECT hex(attestation) FROM heads WHERE role = 'keeper'";
            let head: String = connection.query_row(query, [], |row| row.get(0))?;
            let sql = format!("INSERT INTO overrides (id, attestation) VALUES (1, x'{head}')");
            story.put_back(Role::Keeper).await?;
            story.tampered(Role::Keeper, &sql, "table overrides").await
        })
        .await?;
    story
        .attack("keeper: yesterday's copy that its admin accepts, on the record", async |story| {
            accepted(story).await?;
            story.cooler_refuses(|story| &story.alice, 1, "NonceUsed").await
        })
        .await?;
    story
        .attack("keeper: an acceptance of before, used again with yesterday's copy", async |story| {
            let acceptance = accepted(story).await?;
            let paid = story.custody.pay(&story.bob, 0, PAYEE, ETH)?;
            signature(story.custody.app(Role::Keeper, sign(&paid)).await?)?;
            story.custody.show(Role::Keeper).await?;
            let sql = format!("INSERT INTO overrides (id, attestation) VALUES (1, x'{acceptance}')");
            story.put_back(Role::Keeper).await?;
            story.tampered(Role::Keeper, &sql, "table overrides").await
        })
        .await?;
    story
        .attack("keeper: an acceptance taken away", async |story| {
            accepted(story).await?;
            story.tampered(Role::Keeper, "DELETE FROM overrides", "table overrides").await
        })
        .await
}

/// Yesterday's copy, accepted; the acceptance's row, hex.
async fn accepted(story: &mut Story) -> Result<String> {
    rolled_back(story.roll_back(Role::Keeper).await?)?;
    story.custody.keeper.process()?.done(Ask::Accept(Nothing {})).await?;
    story.custody.unlocked(Role::Keeper).await?;
    let connection = open(&story.custody.keeper.start.data_dir)?;
    let row: Vec<u8> = connection.query_row("SELECT attestation FROM overrides", [], |row| row.get(0))?;
    Ok(HEXLOWER.encode(&row))
}

/// A chain that was cut or written anew, each record with its right hash.
async fn anew(story: &mut Story) -> Result<()> {
    let cases: [(&str, Rewrite); 3] = [
        ("keeper: the newest record cut off", |connection| {
            Ok(connection.execute_batch("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")?)
        }),
        ("keeper: the chain written anew from its middle on, hashes and all", |connection| {
            rewrite(connection, |record| record.at_ms += 1)
        }),
        ("keeper: a signature's record written anew as a refusal", |connection| {
            rewrite(connection, |record| record.decision = "Refused".to_owned())
        }),
    ];
    for (name, edit) in cases {
        story
            .attack(name, async |story| {
                story.write(Role::Keeper, edit).await?;
                story.finds(Role::Keeper, "audit chain is not the one of its tally").await
            })
            .await?;
    }
    story
        .attack("keeper: emptied of all that was signed", async |story| {
            story.tampered(Role::Keeper, EMPTY, "audit chain is not the one of its tally").await
        })
        .await
}

fn rewrite(connection: &Connection, change: impl Fn(&mut Record)) -> Result<()> {
    let lines = export(connection)?.lines;
    let (mut head, middle) = (Head::EMPTY, lines.len() as u64 / 2);
    for line in lines {
        let mut record = line.record;
        record.previous = head.hash.to_vec();
        if record.seq >= middle {
            change(&mut record);
        }
        head = record.head();
        let update = "UPDATE audit SET record = ?1, hash = ?2 WHERE seq = ?3";
        connection.execute(update, (record.encode_to_vec(), head.hash, i64::try_from(head.count)?))?;
    }
    Ok(())
}

/// Single records, hashes as they were: the lock may not notice, the auditor does.
async fn edits(story: &mut Story) -> Result<()> {
    let edits: [Edit; 4] = [
        ("a record changed", "UPDATE audit SET record = CAST(record || x'1a00' AS BLOB) WHERE seq = 3", "3"),
        ("a record taken out", "DELETE FROM audit WHERE seq = 3", "3"),
        (
            "a record put in",
            "UPDATE audit SET seq = -seq WHERE seq > 3; UPDATE audit SET seq = 1 - seq WHERE seq < 0;
             INSERT INTO audit SELECT 4, hash, record FROM audit WHERE seq = 2",
            "4",
        ),
        (
            "two records exchanged",
            "UPDATE audit SET seq = -3 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4;
             UPDATE audit SET seq = 4 WHERE seq = -3",
            "3",
        ),
    ];
    for role in BOTH {
        for (name, sql, record) in edits {
            story
                .attack(&format!("{role}: {name}"), async |story| {
                    story.write(role, |connection| Ok(connection.execute_batch(sql)?)).await?;
                    let connection = open(&story.custody.signer(role).start.data_dir)?;
                    match audit::verify(&export(&connection)?, &[]) {
                        Ok(_) => bail!("the auditor does not see it"),
                        Err(broken) => {
                            let broken = broken.to_string();
                            ensure!(broken.contains(record), "found elsewhere: {broken}");
                            Ok("audit verify".to_owned())
                        }
                    }
                })
                .await?;
        }
    }
    story
        .attack("both: a signature that only one of the chains has", async |story| {
            // Keeper's, which somebody who has its whole data centre asked for.
            let paid = story.custody.pay(&story.bob, 0, THIEF, ETH)?;
            signature(story.custody.app(Role::Keeper, sign(&paid)).await?)?;
            let [keeper, cooler] = [Role::Keeper, Role::Cooler].map(|role| {
                let connection = open(&story.custody.signer(role).start.data_dir)?;
                export(&connection)
            });
            let compared = audit::compare(&keeper?, &cooler?);
            ensure!(!compared.keeper_only.is_empty(), "{compared:?}");
            Ok("audit compare names it".to_owned())
        })
        .await
}
