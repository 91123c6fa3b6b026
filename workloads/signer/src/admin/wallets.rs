//! Wallet records, for planning an evacuation.

use custody::Role;
use evacuation::{ExportedWallet, WalletsExport};
use prost::Message;
use protocol::ops::HotKeys;
use signer::store::{RegisteredWallet, Store};
use workload::place::Place;

use super::session::{AdminError, documents};

/// `wallets export`: every wallet record, for planning an evacuation. Nothing in it is secret.
pub(crate) async fn export(place: &Place, role: Role) -> Result<WalletsExport, AdminError> {
    let store = Store::open(&place.data_dir)?;
    let (_, manifest) = documents(place, role, &store).await?;
    let wallets = store.wallets().await?.into_iter().map(exported).collect::<Result<_, _>>()?;
    Ok(WalletsExport::new(&manifest, wallets))
}

fn exported(row: RegisteredWallet) -> Result<ExportedWallet, AdminError> {
    let RegisteredWallet { wallet, hot_keys, salt, addresses, record: _ } = row;
    let damaged = || AdminError::Damaged(wallet.clone());
    let hot = HotKeys::decode(hot_keys.as_slice()).map_err(|_| damaged())?;
    let keys = hot.keys.into_iter().map(|key| (key.namespace, key.public_key)).collect();
    let salt = salt.try_into().map_err(|_| damaged())?;
    let addresses = addresses
        .into_iter()
        .map(|(chain, address)| Ok((chain.parse().map_err(|_| damaged())?, address)))
        .collect::<Result<_, AdminError>>()?;
    Ok(ExportedWallet::new(wallet.parse().map_err(|_| damaged())?, &keys, salt, addresses))
}
