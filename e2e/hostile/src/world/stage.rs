//! Everything that runs, started from nothing.

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
use data_center::{Member, Pair};
use ed25519_dalek::SigningKey;
use harness::{Options, evm::Anvil};
use rand_core::OsRng;
use transport::Caller;

use super::{
    assets::{Kind, Token, deploy_tokens, local_policy},
    safe,
};
use crate::stolen::Stolen;

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
    pub(super) fn token(&self, kind: Kind) -> Result<Token> {
        let of_kind = self.tokens.get(&kind).map(Vec::as_slice).unwrap_or_default();
        let position = if kind == Kind::Plain { self.taken.replace(self.taken.get() + 1) } else { 0 };
        of_kind.get(position).cloned().context("there are more attacks than assets; raise PLAIN")
    }

    /// Another user.
    pub(super) fn name(&self) -> String {
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
