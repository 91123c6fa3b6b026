//! What the wallets hold, and what the local policy says of each asset.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use anyhow::Result;
use custodies::CHAIN;
use custody::local_policy::{AssetLimits, LocalPolicy, Rolling, TimeLock};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use harness::evm::Anvil;

/// The local policy's highest payment of any asset, in its smallest unit; so are the others.
pub(crate) const PER_TRANSACTION: u128 = 100;
/// In a window, of one wallet.
pub(crate) const PER_WALLET: u128 = 250;
/// In a window, of all wallets.
pub(crate) const TOTAL: u128 = 1_000;
/// What is in each wallet.
pub(crate) const FUNDS: u128 = 10_000;
/// Above this, assets of [`Kind::Intent`] need an intent, and those of [`Kind::Locked`] wait.
pub(crate) const THRESHOLD: u128 = 10;
/// The window of [`Kind::Short`].
pub(crate) const SHORT_WINDOW_SECONDS: u64 = 10;
const LONG_WINDOW_SECONDS: u64 = 3_600;

/// Assets with limits alone, one for each attack that spends: no attack's signatures count in the windows of another.
const PLAIN: usize = 72;

/// How the local policy treats an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The limits above, over a long window.
    Plain,
    /// Over a short window.
    Short,
    /// Above [`THRESHOLD`] only with an intent that App can't sign.
    Intent,
    /// Above [`THRESHOLD`] only after a long wait.
    Locked,
    /// Not named at all.
    Unlisted,
}

/// An asset: symbol and contract.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) symbol: String,
    pub(crate) contract: Address,
}

/// A contract for each asset.
pub(super) async fn deploy_tokens(anvil: &Anvil) -> Result<BTreeMap<Kind, Vec<Token>>> {
    let mut tokens = BTreeMap::new();
    let kinds = [(Kind::Plain, PLAIN), (Kind::Short, 1), (Kind::Intent, 1), (Kind::Locked, 1), (Kind::Unlisted, 1)];
    for (kind, count) in kinds {
        let of_kind: &mut Vec<Token> = tokens.entry(kind).or_default();
        for number in 0..count {
            let contract = anvil.deploy_token().await?.parse()?;
            of_kind.push(Token { symbol: format!("{kind:?}{number}"), contract });
        }
    }
    Ok(tokens)
}

/// What both data centres' admins have written.
pub(super) fn local_policy(tokens: &BTreeMap<Kind, Vec<Token>>, intent_key: &SigningKey) -> LocalPolicy {
    let listed = tokens.iter().filter(|(kind, _)| **kind != Kind::Unlisted);
    let assets = listed.flat_map(|(kind, tokens)| tokens.iter().map(|token| limits(*kind, token)));
    LocalPolicy {
        intent_signers: vec![HEXLOWER.encode(intent_key.verifying_key().as_bytes())],
        loosening_delay_seconds: LONG_WINDOW_SECONDS,
        ..LocalPolicy::new(assets.collect())
    }
}

fn limits(kind: Kind, Token { symbol, contract }: &Token) -> AssetLimits {
    let window_seconds = if kind == Kind::Short { SHORT_WINDOW_SECONDS } else { LONG_WINDOW_SECONDS };
    let rolling = |amount: u128| Some(Rolling { amount: amount.to_string(), window_seconds });
    let locked = || TimeLock::new(&THRESHOLD.to_string(), LONG_WINDOW_SECONDS);
    AssetLimits {
        per_wallet: rolling(PER_WALLET),
        total: rolling(TOTAL),
        intent_above: (kind == Kind::Intent).then(|| THRESHOLD.to_string()),
        time_lock: (kind == Kind::Locked).then(locked),
        ..AssetLimits::new(CHAIN, symbol, &contract.to_string(), 18, &PER_TRANSACTION.to_string())
    }
}
