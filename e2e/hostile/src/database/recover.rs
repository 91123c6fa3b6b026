//! Reading: what the files alone give.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use custody::{Role, phrase::Phrase, trust::KeyProtection};
use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use protocol::ops::{Operation, Outcome, Payment, Refused};
use rusqlite::{Connection, types::ValueRef};
use sealing::Context;
use zeroize::Zeroizing;

use super::story::{Story, yesterday};
use crate::{
    files::{copy, open},
    killable::{
        PAYEE,
        custody::{Custody, ETH},
    },
    report::{Row, Suite},
};

const BOTH: [Role; 2] = [Role::Keeper, Role::Cooler];
const SEEDS: [(&str, &str); 4] = [
    ("nats_seed FROM identity", "identity.nats.v1"),
    ("message_seed FROM identity", "identity.message.v1"),
    ("xkey_seed FROM identity", "identity.xkey.v1"),
    ("sealed FROM store_key", "store.rows.v1"),
];

/// A sealed value of a file and what it is sealed for.
struct SealedValue {
    context: Context,
    sealed: String,
}

pub(super) async fn attacks(story: &mut Story) -> Result<()> {
    for role in BOTH {
        story
            .attack(&format!("{role}: all bytes of its files and backups read"), async |story| {
                let secrets = secrets(&story.custody, role).await?;
                let texts = secrets.iter().flat_map(|secret| spellings(secret)).collect::<Vec<_>>();
                for folder in [story.custody.signer(role).start.data_dir.clone(), yesterday(&story.custody, role)] {
                    ensure!(!holds(&folder, &texts)?, "a secret of {role} is in {}", folder.display());
                }
                Ok(format!("the Vault's seal: none of {} secrets in any spelling", secrets.len()))
            })
            .await?;
        story
            .attack(&format!("{role}: everything in its file tried as a key"), async |story| {
                let connection = open(&story.custody.signer(role).start.data_dir)?;
                let keys = blobs(&connection)?;
                let sealed = sealed(&story.custody, role, &connection)?;
                for value in &sealed {
                    ensure!(!opens(&value.sealed, &keys)?, "something in the file opens a value of it");
                }
                Ok(format!("the Vault's seal: {} values, {} keys tried", sealed.len(), keys.len()))
            })
            .await?;
        let other = if role == Role::Keeper { Role::Cooler } else { Role::Keeper };
        story
            .attack(&format!("{role}: its values given to {other}'s Vault key"), async |story| {
                let connection = open(&story.custody.signer(role).start.data_dir)?;
                for SealedValue { context, sealed } in sealed(&story.custody, role, &connection)? {
                    story.custody.stolen(other)?.stays_sealed(context, sealed).await?;
                }
                Ok("another key of the Vault".to_owned())
            })
            .await?;
    }
    Ok(())
}

/// Everything that the Vault seals for a signer, opened by whoever has the Vault.
async fn secrets(custody: &Custody, role: Role) -> Result<Vec<Zeroizing<[u8; 32]>>> {
    let connection = open(&custody.signer(role).start.data_dir)?;
    let mut secrets = Vec::new();
    for SealedValue { context, sealed } in sealed(custody, role, &connection)? {
        secrets.push(custody.stolen(role)?.opened(context, sealed).await?);
    }
    ensure!(secrets.len() > SEEDS.len(), "{role} has only {} sealed values", secrets.len());
    if role == Role::Cooler {
        secrets.push(custody.ceremonies.cool.entropy());
    }
    Ok(secrets)
}

fn sealed(custody: &Custody, role: Role, connection: &Connection) -> Result<Vec<SealedValue>> {
    let mut values = Vec::new();
    for (column, purpose) in SEEDS {
        let sealed = connection.query_row(&format!("SELECT {column}"), [], |row| row.get(0))?;
        values.push(SealedValue { context: Context::new(b"", "", purpose), sealed });
    }
    let queries = [
        "SELECT '', 'cool.' || namespace || '.v1', secret FROM cool_keys",
        "SELECT wallet, 'hot.' || namespace || '.v1', secret FROM hot_keys",
        "SELECT wallet, 'entropy.v1', entropy FROM hot",
    ];
    for query in queries {
        let mut query = connection.prepare(query)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let (wallet, purpose, sealed): (String, String, String) = row?;
            values.push(SealedValue { context: custody.context(&wallet, &purpose), sealed });
        }
    }
    ensure!(values.len() > SEEDS.len(), "{role} has no keys");
    Ok(values)
}

/// A secret as bytes, in the usual encodings, and as the phrase that it may be the entropy of.
fn spellings(secret: &[u8; 32]) -> Vec<Vec<u8>> {
    let encodings = [&HEXLOWER, &HEXUPPER, &BASE64_NOPAD, &BASE64URL_NOPAD].map(|encoding| encoding.encode(secret));
    let mut all = vec![secret.to_vec()];
    all.extend(encodings.map(String::into_bytes));
    // Six words in a row are not an accident.
    if let Ok(phrase) = Phrase::from_entropy(secret) {
        all.push(phrase.words().take(6).collect::<Vec<_>>().join(" ").into_bytes());
    }
    all
}

fn holds(folder: &Path, texts: &[Vec<u8>]) -> Result<bool> {
    let mut read = 0;
    for file in std::fs::read_dir(folder)? {
        let bytes = std::fs::read(file?.path())?;
        read += bytes.len();
        // By their first four bytes, or each text is sought in each place.
        let firsts: BTreeSet<&[u8]> = texts.iter().filter_map(|text| text.get(..4)).collect();
        for (at, window) in bytes.windows(4).enumerate() {
            if firsts.contains(window) && texts.iter().any(|text| bytes[at..].starts_with(text)) {
                return Ok(true);
            }
        }
    }
    ensure!(read > 0, "{} is empty", folder.display());
    Ok(false)
}

/// All byte strings and texts of 32 bytes in all tables.
fn blobs(connection: &Connection) -> Result<BTreeSet<[u8; 32]>> {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let tables = tables.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let mut found = BTreeSet::new();
    for table in tables {
        let mut query = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = query.column_count();
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                if let ValueRef::Blob(bytes) | ValueRef::Text(bytes) = row.get_ref(column)? {
                    found.extend(bytes.windows(32).filter_map(|window| <[u8; 32]>::try_from(window).ok()));
                }
            }
        }
    }
    Ok(found)
}

/// Whether one of the keys opens a value as AES-256-GCM, which is what Transit uses.
fn opens(sealed: &str, keys: &BTreeSet<[u8; 32]>) -> Result<bool> {
    let text = sealed.rsplit(':').next().unwrap_or_default();
    let bytes = BASE64.decode(text.as_bytes())?;
    let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LEN).context("a sealed value is short")?;
    for key in keys {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?);
        let mut ciphertext = ciphertext.to_vec();
        if key.open_in_place(Nonce::try_assume_unique_for_key(nonce)?, Aad::empty(), &mut ciphertext).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeper without a Vault's seal: the keys that its clients have.
pub(super) async fn client_keys() -> Result<Vec<Row>> {
    let mut custody = Custody::new(KeyProtection::ClientKey).await?;
    let alice = custody.wallet("alice", ETH).await?;
    let bob = custody.wallet("bob", 0).await?;
    let mut rows = Vec::new();
    let mut row = |attack: &str, refused_by: &str| {
        rows.push(Row::new(Suite::Database, attack, refused_by.to_owned(), 0));
    };
    let folder = custody.keeper.start.data_dir.clone();
    let keys = [&alice, &bob].map(|wallet| wallet.client_key.clone());
    let texts: Vec<_> =
        keys.iter().filter_map(|key| Some(spellings(key.as_slice().try_into().ok()?))).flatten().collect();
    ensure!(!holds(&folder, &texts)?, "a client's key is in the files");
    row("keeper with clients' keys: all bytes of its files read", "the clients' keys are not in them");

    let connection = open(&folder)?;
    let query = "SELECT secret FROM hot_keys WHERE wallet = 'alice'";
    let secret: String = connection.query_row(query, [], |row| row.get(0))?;
    let context = custody.context("alice", "hot.eip155.v1");
    custody.stolen(Role::Keeper)?.stays_sealed(context, secret.clone()).await?;
    ensure!(!opens(&secret, &blobs(&connection)?)?, "a client's value opens by something in the file");
    drop(connection);
    row(
        "keeper with clients' keys: its Vault and everything in its file as keys",
        "AES-256-GCM under the client's key",
    );

    let paid = custody.pay(&alice, 0, PAYEE, 1)?;
    let with = |wallet: &str, key: &[u8]| {
        let (wallet, client_key) = (wallet.to_owned(), key.to_vec());
        Operation::Check(Payment { wallet, client_key, ..paid.payment.clone() })
    };
    let wrong = custody.app(Role::Keeper, with("alice", &bob.client_key)).await?;
    let nobody = custody.app(Role::Keeper, with("nobody", &bob.client_key)).await?;
    let (Outcome::Refused(wrong), Outcome::Refused(nobody)) = (wrong, nobody) else {
        anyhow::bail!("a wrong key is served");
    };
    let same = |Refused { reason, message }: Refused| (reason, message.replace("alice", "nobody"));
    ensure!(same(wrong) == same(nobody), "a wrong key is refused otherwise than no wallet");
    row("keeper with clients' keys: another client's key", "keeper: WalletUnknown, as for no wallet");

    let aside = custody.aside("with-client-keys");
    custody.keeper.kill().await?;
    copy(&folder, &aside)?;
    let connection = open(&folder)?;
    connection.execute_batch(
        "UPDATE hot SET verifier = (SELECT verifier FROM hot WHERE wallet = 'bob') WHERE wallet = 'alice'",
    )?;
    drop(connection);
    row("keeper with clients' keys: a wallet's verifier replaced by another's", &tampered(&mut custody).await?);

    let connection = open(&folder)?;
    let key = sealing::ClientKey::from_slice(&bob.client_key)?;
    let verifier = key.verifier(custody.context("alice", "entropy.v1"));
    connection.execute("UPDATE hot SET verifier = ?1 WHERE wallet = 'alice'", [verifier])?;
    drop(connection);
    row("keeper with clients' keys: a verifier made for the thief's key", &tampered(&mut custody).await?);
    // None of these got a signature, and all that was paid in is there.
    ensure!(custody.chain.anvil.balance(&alice.desc.address).await? == ETH, "something left alice's wallet");
    Ok(rows)
}

async fn tampered(custody: &mut Custody) -> Result<String> {
    let told = custody.start(Role::Keeper, None).await.err().context("it starts")?;
    ensure!(format!("{told:#}").contains("StoreTampered"), "{told:#}");
    Ok("keeper: StoreTampered".to_owned())
}
