//! Whom a payment pays: wallets of this custody, or others. This signer's own registry says so, never the asker.

use std::collections::BTreeMap;

use chain::{ChainId, Transaction};

use super::{context::SigningContext, create::wallet_id, signer::Signer, stop::Stop};

/// The destinations that are wallets of this custody, with their ids; each is recomputed from its keys and the
/// manifest.
pub(super) async fn internal(
    signer: &Signer,
    serving: &SigningContext,
    chain: &ChainId,
    transaction: &Transaction,
) -> Result<BTreeMap<String, String>, Stop> {
    let mut internal = BTreeMap::new();
    for (_, to, _) in transaction.transfers() {
        if internal.contains_key(to) {
            continue;
        }
        if let Some(wallet) = signer.store.wallet_at(chain.as_str(), to).await? {
            let desc = signer.recalled(serving, &wallet, chain).await?;
            if desc.address == to {
                internal.insert(to.to_owned(), wallet);
            }
        }
    }
    Ok(internal)
}

/// The payer named a wallet: the transaction pays it and nobody else.
pub(super) async fn require(
    wallet: &str,
    signer: &Signer,
    serving: &SigningContext,
    chain: &ChainId,
    transaction: &Transaction,
) -> Result<(), Stop> {
    let wallet = wallet_id(wallet)?;
    let desc = signer.recalled(serving, wallet.as_str(), chain).await?;
    let mut transfers = transaction.transfers().peekable();
    if transfers.peek().is_none() {
        return Err(Stop::refused("NotThatWallet", format!("a cancel pays nobody, so it can't pay wallet {wallet}")));
    }
    match transfers.find(|(_, to, _)| *to != desc.address) {
        None => Ok(()),
        Some((_, to, _)) => {
            let own = &desc.address;
            let message = format!("wallet {wallet} is to be paid, whose address on {chain} is {own} and not {to}");
            Err(Stop::refused("NotThatWallet", message))
        }
    }
}
