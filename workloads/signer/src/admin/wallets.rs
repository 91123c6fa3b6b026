//! Wallet records, for planning an evacuation.

use std::io::Write;

use chain::{ChainId, hex};
use custody::{
    Role,
    local_policy::{AssetLimits, LocalPolicy},
};
use evacuation::{AuditHead, ExportWriter, ExportedAsset, ExportedPayment, ExportedWallet};
use prost::Message;
use protocol::ops::HotKeys;
use signer::store::{ExportedRow, Ledger, RegisteredWallet, Store, StoreError, Unsettled};
use workload::place::Place;

use super::session::{AdminError, documents};

/// `wallets export`: every wallet record with what was signed and is not settled, written one by one. Nothing in it is
/// secret.
pub(crate) async fn export(place: &Place, role: Role, output: impl Write + Send + 'static) -> Result<(), AdminError> {
    let store = Store::open(&place.data_dir)?;
    let (trust, manifest) = documents(place, role, &store).await?;
    let write = move |ledger: &Ledger<'_>| {
        let head = ledger.head()?;
        let assets = listed(trust.local_policy.as_ref());
        let head = AuditHead { count: head.count, hash: hex::encode(head.hash) };
        let mut file = ExportWriter::begin(output, &manifest, &head, &assets).map_err(AdminError::Output)?;
        ledger
            .each_wallet(|row| file.wallet(&exported(row, trust.local_policy.as_ref())?).map_err(AdminError::Output))?;
        file.finish().map_err(AdminError::Output)
    };
    // What fails in between is not the store.
    store.export(0, move |ledger| Ok::<_, StoreError>(write(ledger))).await?
}

fn exported(row: ExportedRow, policy: Option<&LocalPolicy>) -> Result<ExportedWallet, AdminError> {
    let ExportedRow { wallet: registered, outstanding, highest } = row;
    let RegisteredWallet { wallet, hot_keys, salt, addresses, record: _ } = registered;
    let damaged = || AdminError::Damaged(wallet.clone());
    let chain = |chain: String| chain.parse::<ChainId>().map_err(|_| damaged());
    let hot = HotKeys::decode(hot_keys.as_slice()).map_err(|_| damaged())?;
    let keys = hot.keys.into_iter().map(|key| (key.namespace, key.public_key)).collect();
    let salt = salt.try_into().map_err(|_| damaged())?;
    let addresses = addresses.into_iter().map(|(on, address)| Ok((chain(on)?, address)));
    let addresses = addresses.collect::<Result<_, AdminError>>()?;
    let mut exported = ExportedWallet::new(wallet.parse().map_err(|_| damaged())?, &keys, salt, addresses);
    exported.highest =
        highest.into_iter().map(|(on, nonce)| Ok((chain(on)?, nonce))).collect::<Result<_, AdminError>>()?;
    exported.outstanding = outstanding
        .into_iter()
        .map(|payment| {
            let contract = contract(policy, &payment);
            let Unsettled { chain: on, nonce, asset, amount, to } = payment;
            Ok(ExportedPayment { chain: chain(on)?, nonce, asset, contract, amount, to })
        })
        .collect::<Result<_, AdminError>>()?;
    Ok(exported)
}

/// What the local policy lists. An entry of a chain that is none can't be moved.
fn listed(policy: Option<&LocalPolicy>) -> Vec<ExportedAsset> {
    let assets = policy.map(|policy| policy.assets.as_slice()).unwrap_or_default();
    let exported = |listed: &AssetLimits| {
        let (symbol, contract) = (listed.symbol.clone(), listed.asset.clone());
        Some(ExportedAsset { chain: listed.chain.parse().ok()?, symbol, contract })
    };
    assets.iter().filter_map(exported).collect()
}

/// `native` or the contract of a payment's asset, as the local policy of today lists it.
fn contract(policy: Option<&LocalPolicy>, payment: &Unsettled) -> Option<String> {
    let mut assets = policy?.assets.iter();
    let listed = assets.find(|listed| listed.chain == payment.chain && listed.symbol == payment.asset)?;
    Some(listed.asset.clone())
}
