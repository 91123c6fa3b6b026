//! The place of one attack: wallets with money of an asset of their own, so that what moved is this attack's.

use std::cell::Cell;

use anyhow::{Context, Result, anyhow, bail, ensure};
use chain::{Amount, Asset, ChainRules, Claim, Effect, KeyRole};
use custodies::CHAIN;
use custody::Role;
use futures::future::join_all;
use prost::Message;
use protocol::ops::{Batch, CreateWallet, HotKeys, Operation, Outcome, RegisterWallet, Request, Response};

use super::{
    assets::{FUNDS, Kind, Token},
    safe::SafeTx,
    signing::{self, ask},
    stage::World,
    wallet::Wallet,
};

/// Wallets and their money.
pub(crate) struct Arena<'a> {
    pub(crate) world: &'a World,
    pub(crate) token: Token,
    pub(crate) wallets: Vec<Wallet>,
    before: u128,
    legitimate: Cell<u128>,
}

impl World {
    /// `count` new wallets, each with [`FUNDS`] of one asset of `kind`.
    pub(crate) async fn arena(&self, kind: Kind, count: usize) -> Result<Arena<'_>> {
        let token = self.token(kind)?;
        let wallets = self.wallets(count).await?;
        for wallet in &wallets {
            self.anvil.fund_token(&token.contract.to_string(), &wallet.desc.address, FUNDS).await?;
        }
        let mut arena = Arena { world: self, token, wallets, before: 0, legitimate: Cell::new(0) };
        arena.before = arena.balance().await?;
        Ok(arena)
    }

    /// New wallets, as App makes them, in batches.
    pub(crate) async fn wallets(&self, count: usize) -> Result<Vec<Wallet>> {
        let create = |wallet| Operation::CreateWallet(CreateWallet { wallet, ..CreateWallet::default() });
        let created = self.batch(Role::Keeper, (0..count).map(|_| create(self.name())).collect()).await?;
        let wallets: Vec<Wallet> = created.into_iter().map(|outcome| self.created(outcome)).collect::<Result<_>>()?;
        let register = |wallet: &Wallet| {
            let (hot, chains) = (Some(wallet.hot.clone()), vec![CHAIN.to_owned()]);
            Operation::RegisterWallet(RegisterWallet { hot, chains, salt: Vec::new() })
        };
        for signer in [Role::Keeper, Role::Cooler] {
            let registered = self.batch(signer, wallets.iter().map(register).collect()).await?;
            let all = registered.iter().all(|outcome| matches!(outcome, Outcome::Registered(_)));
            ensure!(all, "{signer} did not register: {registered:?}");
        }
        Ok(wallets)
    }

    fn created(&self, outcome: Outcome) -> Result<Wallet> {
        let Outcome::Created(hot) = outcome else { bail!("no wallet was made: {outcome:?}") };
        let keys = HotKeys::decode(hot.body.as_slice())?;
        let key = keys.keys.iter().find(|key| key.namespace == "eip155").context("there is a key for EVM chains")?;
        let owners = self.pair.custody.manifest().owners(self.rules.id(), &key.public_key)?;
        let desc = self.rules.wallet(&owners, [0; 32])?;
        let [hot_owner, cool, cold] = &desc.owner_addresses;
        let owners = [hot_owner.parse()?, cool.parse()?, cold.parse()?];
        Ok(Wallet { id: keys.wallet, address: desc.address.parse()?, owners, desc, hot })
    }

    /// Several operations of App in one envelope, with an outcome each.
    pub(crate) async fn batch(&self, signer: Role, operations: Vec<Operation>) -> Result<Vec<Outcome>> {
        let item = |operation| Request { operation_id: signing::operation_id(), operation: Some(operation) };
        let batch = Operation::Batch(Batch { requests: operations.into_iter().map(item).collect() });
        match ask(self, signer, batch).await? {
            Outcome::Batch(answers) => {
                let outcome = |response: Response| response.outcome.context("an answer has an outcome");
                answers.responses.into_iter().map(outcome).collect()
            }
            other => bail!("{signer} answers a batch with {other:?}"),
        }
    }
}

impl Arena<'_> {
    /// The only wallet, or the first.
    pub(crate) fn wallet(&self) -> &Wallet {
        &self.wallets[0]
    }

    /// A transfer of this asset to the thief.
    pub(crate) fn theft(&self, amount: u128, nonce: u64) -> SafeTx {
        SafeTx::transfer(self.token.contract, self.world.thief, amount, nonce)
    }

    /// What all wallets hold.
    pub(crate) async fn balance(&self) -> Result<u128> {
        let balance = |wallet: &Wallet| {
            let address = wallet.desc.address.clone();
            async move { self.world.anvil.token_balance(&self.token.contract.to_string(), &address).await }
        };
        join_all(self.wallets.iter().map(balance)).await.into_iter().sum()
    }

    /// What left the wallets and nobody asked for.
    pub(crate) async fn moved(&self) -> Result<u128> {
        let gone = self.before.checked_sub(self.balance().await?).context("the wallets hold more than before")?;
        gone.checked_sub(self.legitimate.get()).context("a legitimate payment did not arrive")
    }

    /// Explains what somebody was entitled to move.
    pub(crate) fn explain(&self, amount: u128) {
        self.legitimate.set(self.legitimate.get() + amount);
    }

    /// The next nonce, by the chain.
    pub(crate) async fn nonce(&self, wallet: &Wallet) -> Result<u64> {
        Ok(self.world.rpc.safe(wallet.address, &[]).await?.nonce)
    }

    /// A payment as App makes it: checked, signed by both, executed, its settlement attested.
    pub(crate) async fn pay(&self, wallet: &Wallet, amount: u128) -> Result<()> {
        let world = self.world;
        world.chain().deploy(wallet).await?;
        let to = world.friend.to_string();
        let effect = Effect::Transfer { asset: self.token.symbol.clone(), to, amount: Amount::from(amount) };
        let assets = [Asset { symbol: self.token.symbol.clone(), contract: Some(self.token.contract.to_string()) }];
        let unsigned =
            world.rules.build(&effect, &wallet.desc, &assets, &[Claim::Sequence(self.nonce(wallet).await?)])?;
        let hot = world.hot(wallet, &unsigned).await?.map_err(|reason| anyhow!("keeper: {reason}"))?;
        let cool = world.cool(wallet, &unsigned, &hot).await?.map_err(|reason| anyhow!("cooler: {reason}"))?;
        let signatures = [(KeyRole::Hot, vec![hot]), (KeyRole::Cool, vec![cool])];
        let call = world.rules.assemble(&unsigned, &wallet.desc, &signatures)?;
        world.chain().send(&call).await?.map_err(|reason| anyhow!("the chain: {reason}"))?;
        world.pair.sentinel.attest(&wallet.id, wallet.address).await;
        self.explain(amount);
        Ok(())
    }
}
