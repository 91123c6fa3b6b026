//! `RegisterWallet`: each signer recomputes the addresses from the attested hot keys and the manifest's cool and cold
//! keys. Whoever asks names no owner, so foreign owners can't be registered.

use std::sync::Arc;

use audit::{Decision, Entry};
use chain::{ChainId, WalletDesc};
use custody::Role;
use prost::Message;
use protocol::{
    attestation::{attest_wallet_record, hot_keys},
    ops::{Attestation, ChainAddress, HotKeys, Operation, Outcome, RegisterWallet, WalletRecord},
};

use super::{
    context::SigningContext,
    create::wallet_id,
    request::Accepted,
    results::{conclude, finish},
    room,
    signer::Signer,
    stop::Stop,
};
use crate::{
    fault,
    store::{Quoted, Recall, RegisteredWallet, Registration, Store},
};

pub(super) async fn register(
    signer: &Signer,
    serving: &Arc<SigningContext>,
    accepted: Accepted,
) -> Result<Outcome, Stop> {
    let wallet = match recompute(signer, serving, &accepted).await {
        Err(Stop::Refused(refusal)) => return signer.conclude(serving, accepted, Stop::Refused(refusal)).await,
        other => other?,
    };
    fault::point("recomputed");
    let (serving, most) = (serving.clone(), signer.most_wallets());
    let outcome = signer.decide(move |ledger| {
        if let Some(frozen) = ledger.frozen(&wallet.wallet)? {
            return Ok(Err(Stop::frozen(&frozen)));
        }
        if !ledger.has_wallet(&wallet.wallet)? {
            if ledger.recall(&accepted.key)? == Recall::Done {
                return Ok(Err(Stop::unavailable("StoreDamaged", "a wallet's row is gone; restore the volume")));
            }
            if let Err(stop) = room::wallet(ledger, Quoted::Wallets, most)? {
                return Ok(Err(stop));
            }
        }
        let entry = Entry { wallet: wallet.wallet.clone(), ..accepted.entry(&serving, ledger.now_ms()) };
        match registered(wallet.clone(), ledger.register(wallet)?) {
            Ok(outcome) => finish(ledger, &accepted.key, Entry { decision: Decision::Done, ..entry }, outcome),
            Err(Stop::Refused(refusal)) => conclude(ledger, &accepted.key, entry, Stop::Refused(refusal)),
            Err(stop) => Ok(Err(stop)),
        }
    });
    outcome.await?
}

/// The wallet as this signer computes and attests it.
async fn recompute(signer: &Signer, serving: &SigningContext, accepted: &Accepted) -> Result<RegisteredWallet, Stop> {
    let Operation::RegisterWallet(asked) = &accepted.operation else {
        return Err(Stop::refused("Malformed", "this registers no wallet"));
    };
    let (hot, body) = attested(serving, asked)?;
    if serving.role == Role::Keeper {
        require_own(&signer.store, &hot).await?;
    }
    let salt = salt(&asked.salt)?;
    let addresses = addresses(serving, &hot, salt, &asked.chains)?;
    let record = WalletRecord {
        custody_id: hot.custody_id.clone(),
        wallet: hot.wallet.clone(),
        keys: hot.keys.clone(),
        salt: salt.to_vec(),
        addresses: addresses
            .iter()
            .map(|(chain, address)| ChainAddress { chain: chain.clone(), address: address.clone() })
            .collect(),
        manifest_digest: serving.manifest.digest_bytes().to_vec(),
    };
    let attestation = attest_wallet_record(&record, serving.keys.own().message_key());
    Ok(RegisteredWallet {
        wallet: hot.wallet,
        hot_keys: body,
        salt: salt.to_vec(),
        addresses,
        record: attestation.encode_to_vec(),
    })
}

/// The hot keys, believed only with the signature of one of Keeper's approved keys.
fn attested(serving: &SigningContext, asked: &RegisterWallet) -> Result<(HotKeys, Vec<u8>), Stop> {
    let missing = || Stop::refused("AttestationNotBelieved", "the request carries no attestation of hot keys");
    let attestation = asked.hot.as_ref().ok_or_else(missing)?;
    let hot = hot_keys(attestation, &serving.keeper_keys())?;
    if hot.custody_id != serving.custody_id().as_bytes() {
        return Err(Stop::refused("OtherCustody", "these hot keys were made for another custody"));
    }
    wallet_id(&hot.wallet)?;
    Ok((hot, attestation.body.clone()))
}

/// Keeper registers its own keys only: another's, even well attested, it could never sign with.
async fn require_own(store: &Store, hot: &HotKeys) -> Result<(), Stop> {
    for key in &hot.keys {
        let own = store.hot_key(&hot.wallet, &key.namespace).await?;
        if own.is_none_or(|own| own.public_key != key.public_key) {
            return Err(Stop::refused("NotMyKey", format!("keeper holds no such hot key for wallet {}", hot.wallet)));
        }
    }
    Ok(())
}

fn salt(salt: &[u8]) -> Result<[u8; 32], Stop> {
    match salt {
        [] => Ok([0; 32]),
        salt => salt.try_into().map_err(|_| Stop::refused("Malformed", "a salt has 32 bytes, or none for zero")),
    }
}

/// Addresses on the chains asked for, ordered by chain.
fn addresses(
    serving: &SigningContext,
    hot: &HotKeys,
    salt: [u8; 32],
    chains: &[String],
) -> Result<Vec<(String, String)>, Stop> {
    let mut addresses = Vec::with_capacity(chains.len());
    for chain in chains {
        let wallet = wallet(serving, hot, salt, chain)?;
        addresses.push((wallet.chain.to_string(), wallet.address));
    }
    addresses.sort();
    if addresses.is_empty() || addresses.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Stop::refused("Malformed", "name at least one chain, and each chain once"));
    }
    Ok(addresses)
}

/// A wallet from its attested hot key and the manifest.
fn wallet(serving: &SigningContext, hot: &HotKeys, salt: [u8; 32], chain: &str) -> Result<WalletDesc, Stop> {
    let (chain, rules) = serving.rules(chain)?;
    let key = hot_key(hot, &chain)?;
    let wrong = |error: chain::ChainError| Stop::refused("WalletNotPossible", error.to_string());
    let owners = serving.manifest.owners(&chain, key).map_err(wrong)?;
    rules.wallet(&owners, salt).map_err(wrong)
}

/// The one key for the chain's family.
fn hot_key<'a>(hot: &'a HotKeys, chain: &ChainId) -> Result<&'a [u8], Stop> {
    let mut keys = hot.keys.iter().filter(|key| key.namespace == chain.namespace());
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(&key.public_key),
        _ => {
            Err(Stop::refused("WalletNotPossible", format!("the hot keys have not one key for {}", chain.namespace())))
        }
    }
}

/// A registered wallet from its row and the manifest; a row that was changed is not believed.
pub(super) async fn recomputed(
    store: &Store,
    serving: &SigningContext,
    wallet: &str,
    chain: &ChainId,
) -> Result<WalletDesc, Stop> {
    let row = store.wallet(wallet).await?.ok_or_else(|| unknown(wallet, chain))?;
    let address = row.addresses.iter().find(|(known, _)| known == chain.as_str());
    let (_, address) = address.ok_or_else(|| unknown(wallet, chain))?;
    let damaged = || Stop::unavailable("StoreDamaged", "a wallet's row is not what was registered; restore the volume");
    let hot = HotKeys::decode(row.hot_keys.as_slice()).map_err(|_| damaged())?;
    let salt = row.salt.as_slice().try_into().map_err(|_| damaged())?;
    let desc = self::wallet(serving, &hot, salt, chain.as_str())?;
    if desc.address != *address || hot.wallet != wallet {
        return Err(damaged());
    }
    Ok(desc)
}

/// The refusal for a wallet that is not there, or not for whoever asks.
pub(super) fn unknown(wallet: &str, chain: &ChainId) -> Stop {
    Stop::refused("WalletUnknown", format!("wallet '{wallet}' is not registered on {chain}"))
}

/// The same content again gets the record that is there; other content is refused.
fn registered(asked: RegisteredWallet, outcome: Registration) -> Result<Outcome, Stop> {
    let present = match outcome {
        Registration::Present(present) => present,
        Registration::AddressTaken(address) => {
            return Err(Stop::refused("AddressTaken", format!("{address} is registered for another wallet")));
        }
    };
    let RegisteredWallet { wallet, hot_keys, salt, addresses, record } = present;
    if hot_keys != asked.hot_keys || salt != asked.salt || addresses != asked.addresses {
        let message = format!("wallet {wallet} is registered with other keys, salt or chains; it can't be changed");
        return Err(Stop::refused("WalletDiffers", message));
    }
    let unreadable = || Stop::unavailable("StoreDamaged", "a stored wallet record is not readable; restore the volume");
    Attestation::decode(record.as_slice()).map(Outcome::Registered).map_err(|_| unreadable())
}
