//! What App and the sentinel ask of a custody's signers.

use anyhow::{Context, Result, bail};
use chain::{Amount, Asset, ChainRules, Claim, Effect};
use clock::now_ms;
use custodies::CHAIN;
use custody::{Role, trust::KeyProtection};
use futures::future::join_all;
use protocol::{
    attestation::hot_keys,
    ops::{Attestation, CreateWallet, Freeze, Lease, MAX_LEASE_MS, Operation, Outcome, Payment, Request},
};
use rand_core::{OsRng, RngCore};

use super::{
    custody::Custody,
    requests::{Paid, Wallet, countersign, registration, request, settlement, sign, signature},
};

impl Custody {
    /// Something that is done, or fails loudly.
    async fn told(&self, to: Role, by: Role, operation: Operation) -> Result<()> {
        match self.signer(to).process()?.say(by, &request(operation)).await {
            Some(Outcome::Done(_)) => Ok(()),
            other => bail!("{to} answers {by}: {other:?}"),
        }
    }

    /// The sentinel's lease.
    pub(crate) async fn lease(&self, role: Role) -> Result<()> {
        let until_ms = now_ms() + MAX_LEASE_MS - 10_000;
        self.told(role, Role::Sentinel, Operation::Lease(Lease { until_ms })).await
    }

    /// App's request.
    pub(crate) async fn app(&self, to: Role, operation: Operation) -> Result<Outcome> {
        let answer = self.signer(to).process()?.say(Role::App, &request(operation)).await;
        answer.with_context(|| format!("{to} ended"))
    }

    /// The sentinel says that a digest has used a nonce, and both signers show their heads.
    pub(crate) async fn settle(&mut self, wallet: &Wallet, digest: &[u8; 32]) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.told(role, Role::Sentinel, settlement(wallet, digest)).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.show(role).await?;
        }
        Ok(())
    }

    /// A wallet is frozen with both.
    pub(crate) async fn freeze(&mut self, wallet: &Wallet) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            let freeze = Freeze { wallet: wallet.id.clone(), reason: "seen something".to_owned() };
            self.told(role, Role::App, Operation::Freeze(freeze)).await?;
            self.show(role).await?;
        }
        Ok(())
    }

    /// Keeper's attestation of a new wallet's hot keys.
    pub(crate) async fn create(&self, id: &str, client_key: &[u8]) -> Result<Attestation> {
        let create = CreateWallet { wallet: id.to_owned(), client_key: client_key.to_vec() };
        match self.app(Role::Keeper, Operation::CreateWallet(create)).await? {
            Outcome::Created(attestation) => Ok(attestation),
            other => bail!("no wallet: {other:?}"),
        }
    }

    /// The wallet of attested hot keys, registered with both.
    pub(crate) async fn register(&self, hot: &Attestation, client_key: &[u8]) -> Result<Wallet> {
        for role in [Role::Keeper, Role::Cooler] {
            match self.app(role, registration(hot)).await? {
                Outcome::Registered(_) => {}
                other => bail!("{role} does not register: {other:?}"),
            }
        }
        let keys = hot_keys(hot, &[self.keeper.key()?])?;
        let key = keys.keys.iter().find(|key| key.namespace == "eip155").context("no key for eip155")?;
        let owners = self.manifest().owners(self.chain.rules.id(), &key.public_key)?;
        let desc = self.chain.rules.wallet(&owners, [0; 32])?;
        Ok(Wallet { id: keys.wallet, desc, nonce: 0, client_key: client_key.to_vec() })
    }

    /// A wallet that is on the chain and has money.
    pub(crate) async fn wallet(&mut self, id: &str, wei: u128) -> Result<Wallet> {
        let mut client_key = Vec::new();
        if self.protection == KeyProtection::ClientKey {
            client_key = vec![0; 32];
            OsRng.fill_bytes(&mut client_key);
        }
        let hot = self.create(id, &client_key).await?;
        let wallet = self.register(&hot, &client_key).await?;
        if wei > 0 {
            self.chain.open(&wallet.desc, wei).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.show(role).await?;
        }
        Ok(wallet)
    }

    /// A payment at a nonce, unsigned.
    pub(crate) fn pay(&self, wallet: &Wallet, nonce: u64, to: &str, wei: u128) -> Result<Paid> {
        let to = to.to_owned();
        self.unsigned(wallet, nonce, &Effect::Transfer { asset: "ETH".to_owned(), to, amount: Amount::from(wei) })
    }

    /// Any effect at a nonce, unsigned.
    pub(crate) fn unsigned(&self, wallet: &Wallet, nonce: u64, effect: &Effect) -> Result<Paid> {
        let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
        let unsigned = self.chain.rules.build(effect, &wallet.desc, &assets, &[Claim::Sequence(nonce)])?;
        let digest = self.chain.rules.decode(&unsigned, &wallet.desc, &assets)?.id;
        let payment = Payment {
            wallet: wallet.id.clone(),
            chain: CHAIN.to_owned(),
            unsigned,
            client_key: wallet.client_key.clone(),
            ..Payment::default()
        };
        Ok(Paid { payment, digest, hot: None, cool: None })
    }

    /// Both signatures of a payment that nobody minds.
    pub(crate) async fn sign(&self, paid: &mut Paid) -> Result<()> {
        paid.hot = Some(signature(self.app(Role::Keeper, sign(paid)).await?)?);
        paid.cool = Some(signature(self.app(Role::Cooler, countersign(paid)).await?)?);
        Ok(())
    }

    /// Asks all of these at once; none where the process ended before it answered.
    pub(crate) async fn ask_all(&self, to: Role, requests: &[Request]) -> Result<Vec<Option<Outcome>>> {
        let process = self.signer(to).process()?;
        Ok(join_all(requests.iter().map(|request| process.say(Role::App, request))).await)
    }
}
