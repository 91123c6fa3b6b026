//! Where the attacks happen: Keeper and Cooler with trust of profile Production, each in a data centre of its own, one
//! broker, a sentinel, and a chain with the real Safe contracts.

mod arena;
pub(crate) mod safe;
mod signing;
mod wallet;
mod wire;

use std::{
    cell::Cell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy_primitives::Address;
use anyhow::{Context, Result, ensure};
use chain_evm::EvmSafe;
use chain_evm_client::Rpc;
use custodies::CHAIN;
use custody::local_policy::{AssetLimits, LocalPolicy, Rolling, TimeLock};
use data_center::{Member, Pair};
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use harness::{Options, evm::Anvil};
use rand_core::OsRng;
use transport::Caller;

use crate::stolen::Stolen;

pub(crate) use arena::Arena;
pub(crate) use signing::{Granted, asked, operation_id, reason};
pub(crate) use wallet::Wallet;
pub(crate) use wire::{Tapped, Wire, next, tapped};

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
const PLAIN: usize = 64;

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

/// Everything that runs.
pub(crate) struct World {
    pub(crate) pair: Pair,
    pub(crate) anvil: Anvil,
    pub(crate) rpc: Rpc,
    pub(crate) rules: EvmSafe,
    /// App's side of the broker.
    pub(crate) app: Caller,
    /// What App has dropped.
    pub(crate) dropped: transport::Metrics,
    /// Where an attacker wants the money.
    pub(crate) thief: Address,
    /// Somebody whom App pays.
    pub(crate) friend: Address,
    /// Pays gas and owns nothing else.
    pub(crate) relayer: String,
    /// Signs intents; App does not hold it.
    pub(crate) intent_key: SigningKey,
    /// Keeper's secrets, for what Cooler has to refuse on its own.
    pub(crate) keeper: Stolen,
    tokens: BTreeMap<Kind, Vec<Token>>,
    taken: Cell<usize>,
    names: Cell<usize>,
}

impl World {
    /// From nothing to serving.
    pub(crate) async fn start() -> Result<Self> {
        harness::install_crypto();
        let anvil = Anvil::start(31337, Options::default()).await?;
        let tokens = deploy_tokens(&anvil).await?;
        let intent_key = SigningKey::generate(&mut OsRng);
        let local_policy = local_policy(&tokens, &intent_key);
        let pair = Pair::start(&binaries()?, local_policy, Rpc::new(&anvil.url())?).await;
        let dropped = transport::Metrics::default();
        let app = pair.custody.app_of(&pair.signers, dropped.clone()).await;
        let relayer = anvil.dev_accounts()?.get(1).context("anvil has accounts")?.address.clone();
        Ok(Self {
            rpc: Rpc::new(&anvil.url())?,
            rules: EvmSafe::new(CHAIN.parse()?)?,
            app,
            dropped,
            thief: Address::repeat_byte(0xba),
            friend: Address::repeat_byte(0xf1),
            relayer,
            intent_key,
            keeper: stolen(&pair.keeper)?,
            tokens,
            taken: Cell::new(0),
            names: Cell::new(0),
            pair,
            anvil,
        })
    }

    /// The chain, for somebody who sends transactions.
    pub(crate) fn chain(&self) -> safe::Sender<'_> {
        safe::Sender { anvil: &self.anvil, rules: &self.rules, relayer: &self.relayer }
    }

    /// An asset of this kind; of [`Kind::Plain`] one that nobody has used.
    fn token(&self, kind: Kind) -> Result<Token> {
        let of_kind = self.tokens.get(&kind).map(Vec::as_slice).unwrap_or_default();
        let position = if kind == Kind::Plain { self.taken.replace(self.taken.get() + 1) } else { 0 };
        of_kind.get(position).cloned().context("there are more attacks than assets; raise PLAIN")
    }

    fn name(&self) -> String {
        format!("user-{}", self.names.replace(self.names.get() + 1))
    }
}

fn stolen(member: &Member) -> Result<Stolen> {
    Stolen::new(member.data_dir(), member.vault_trust(), member.vault_token_file(), member.custody_id())
}

/// Folder of this program, where the signers are too.
fn binaries() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().map(Path::to_owned).context("a program has a folder")?;
    for name in ["keeper", "cooler"] {
        ensure!(folder.join(name).is_file(), "{name} is not built: run `make hostile`, which builds it");
    }
    Ok(folder)
}

async fn deploy_tokens(anvil: &Anvil) -> Result<BTreeMap<Kind, Vec<Token>>> {
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
fn local_policy(tokens: &BTreeMap<Kind, Vec<Token>>, intent_key: &SigningKey) -> LocalPolicy {
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
    let locked = || TimeLock { above: THRESHOLD.to_string(), delay_seconds: LONG_WINDOW_SECONDS };
    AssetLimits {
        per_wallet: rolling(PER_WALLET),
        total: rolling(TOTAL),
        intent_above: (kind == Kind::Intent).then(|| THRESHOLD.to_string()),
        time_lock: (kind == Kind::Locked).then(locked),
        ..AssetLimits::new(CHAIN, symbol, &contract.to_string(), 18, &PER_TRANSACTION.to_string())
    }
}
