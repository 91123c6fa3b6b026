//! App's database as a source of wallets: what both signers attested to App. It is only read.

use std::{collections::BTreeMap, path::Path};

use anyhow::Result;
use chain::ChainId;
use custody::{WalletId, manifest::VerifiedManifest};
use evacuation::{ExportedWallet, Sources};
use protocol::{
    exact,
    ops::{Attestation, WalletRecord},
};
use rusqlite::{Connection, OpenFlags, Row};

use super::wrong_file;

/// What is read of each wallet that App has given out. One that is not attested has no address yet.
const WALLETS: &str = "SELECT id, hot_key, address, keeper_attestation FROM wallets WHERE address IS NOT NULL";

/// All attested wallets, into the present source.
pub(super) fn read(path: &Path, sources: &mut Sources<'_>, manifest: &VerifiedManifest) -> Result<()> {
    let not_apps = |error: rusqlite::Error| wrong_file(path, &format!("this is not App's database: {error}"));
    let connection = open(path).map_err(not_apps)?;
    let mut statement = connection.prepare(WALLETS).map_err(not_apps)?;
    let mut rows = statement.query([]).map_err(not_apps)?;
    while let Some(row) = rows.next().map_err(not_apps)? {
        let id: String = row.get("id").map_err(not_apps)?;
        let id: WalletId = id.parse().map_err(|error| wrong_file(path, &error))?;
        let taken = match record(&id, row, manifest).map_err(not_apps)? {
            Ok(record) => sources.record(&record),
            Err(why) => sources.unsound(&id, why),
        };
        taken.map_err(|error| wrong_file(path, &error))?;
    }
    Ok(())
}

/// App may be running, and then its newest writes are in a file beside the database.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    let beside = |suffix: &str| Path::new(&[path.as_os_str(), suffix.as_ref()].join("".as_ref())).exists();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if beside("-wal") {
        Connection::open_with_flags(path, flags)?
    } else {
        // Nothing is beside it, and so nothing need be made there to read it.
        let mut uri = String::from("file:");
        for byte in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
                other => uri.push_str(&format!("%{other:02X}")),
            }
        }
        Connection::open_with_flags(uri + "?immutable=1", flags | OpenFlags::SQLITE_OPEN_URI)?
    };
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// The record that Keeper attested, or why it can't be one. Whose signature that is does not matter here: the address
/// has to be that of the keys.
fn record(
    id: &WalletId,
    row: &Row<'_>,
    manifest: &VerifiedManifest,
) -> rusqlite::Result<Result<ExportedWallet, &'static str>> {
    let (attestation, hot_key): (Vec<u8>, Vec<u8>) = (row.get("keeper_attestation")?, row.get("hot_key")?);
    let address: String = row.get("address")?;
    let attested = exact::decode::<Attestation>(&attestation).ok();
    let Some(record) = attested.and_then(|it| exact::decode::<WalletRecord>(&it.body).ok()) else {
        return Ok(Err("what Keeper attested of it can't be read"));
    };
    let WalletRecord { custody_id, wallet, keys, salt, addresses, .. } = record;
    if custody_id != manifest.custody_id().as_bytes() {
        return Ok(Err("Keeper attested it for another custody"));
    }
    if wallet != id.as_str() || !keys.iter().any(|key| key.public_key == hot_key) {
        return Ok(Err("its hot key is not the one that Keeper attested"));
    }
    if !addresses.iter().any(|known| known.address == address) {
        return Ok(Err("its address is not the one that Keeper attested"));
    }
    let keys: BTreeMap<String, Vec<u8>> = keys.into_iter().map(|key| (key.namespace, key.public_key)).collect();
    let on = addresses.into_iter().map(|known| Some((known.chain.parse::<ChainId>().ok()?, known.address)));
    let (Ok(salt), Some(addresses)) = (salt.try_into(), on.collect::<Option<BTreeMap<_, _>>>()) else {
        return Ok(Err("what Keeper attested of it can't be read"));
    };
    Ok(Ok(ExportedWallet::new(id.clone(), &keys, salt, addresses)))
}
