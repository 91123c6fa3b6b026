//! One custody for the suites that look at the signers' files: a real Vault, the real Safe on an EVM node, both signers
//! as processes with Production trust, and the sentinel in a small way.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Result, anyhow, bail, ensure};
use custody::{
    Role,
    config::{MemberConfig, NatsConfig},
    local_policy::{AssetLimits, LocalPolicy, Rolling},
    manifest::VerifiedManifest,
    trust::{KeyProtection, MemberTrust, Profile},
};
use data_center::RealVault;
use protocol::{
    envelope::OwnKeys,
    ops::{Operation, Outcome},
};
use rand_core::OsRng;
use sealing::Context;
use serde_json::json;

use super::{
    chain::Chain,
    process::Process,
    requests::request,
    sentinel::Sentinel,
    signer::Signer,
    wire::{Ask, Told, Voucher, Vouchers},
};
use crate::{
    files::copy,
    stolen::{Stolen, context},
};

/// 1 ETH, wei.
pub(crate) const ETH: u128 = 1_000_000_000_000_000_000;
/// The local policy's limits, wei.
const PER_TRANSACTION: u128 = 4 * ETH;
/// Of one wallet in a day, wei.
const PER_WALLET: u128 = 10 * ETH;
const DAY_SECONDS: u64 = 24 * 3600;

/// All of it.
pub(crate) struct Custody {
    pub(crate) chain: Chain,
    pub(crate) keeper: Signer,
    pub(crate) cooler: Signer,
    pub(crate) ceremonies: custodies::Custody,
    pub(super) protection: KeyProtection,
    vault: RealVault,
    app: OwnKeys,
    own: OwnKeys,
    sentinel: Sentinel,
    folder: tempfile::TempDir,
}

/// A state to come back to.
pub(crate) struct Kept {
    sentinel: Sentinel,
    block: String,
}

impl Custody {
    /// Everything decided, both signers unlocked.
    pub(crate) async fn new(protection: KeyProtection) -> Result<Self> {
        harness::install_crypto();
        let (vault, chain) = (RealVault::start().await, Chain::start().await?);
        let (ceremonies, folder) = (custodies::Custody::random(), tempfile::tempdir()?);
        let signer = |role| Signer::new(role, &vault, folder.path(), ceremonies.signed.to_json());
        let (keeper, cooler) = (signer(Role::Keeper), signer(Role::Cooler));
        let (app, own, sentinel) = (OwnKeys::generate(&mut OsRng), OwnKeys::generate(&mut OsRng), Sentinel::default());
        let mut custody = Self { chain, keeper, cooler, ceremonies, protection, vault, app, own, sentinel, folder };
        custody.decide().await?;
        Ok(custody)
    }

    /// What admins and hub do: Vaults, trust, the cool phrase.
    async fn decide(&mut self) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.write(role)?;
            self.start(role, None).await?;
            let public = self.signer(role).process()?.public.clone();
            self.signer_mut(role).public = Some(public);
        }
        let words = self.ceremonies.cool.words().collect::<Vec<_>>().join(" ");
        self.cooler.process()?.done(Ask::Cool(words)).await?;
        for role in [Role::Keeper, Role::Cooler] {
            self.signer_mut(role).kill().await?;
            self.write(role)?;
        }
        self.start_both().await
    }

    /// Writes what a signer starts from, with the keys that are known by now.
    fn write(&mut self, role: Role) -> Result<()> {
        let other = if role == Role::Keeper { Role::Cooler } else { Role::Keeper };
        let mut peers = BTreeMap::from([
            (Role::App, vec![self.app.public().clone()]),
            (Role::Sentinel, vec![self.own.public().clone()]),
        ]);
        peers.extend(self.signer(other).public.clone().map(|public| (other, vec![public])));
        let rolling = |amount: u128| Some(Rolling { amount: amount.to_string(), window_seconds: DAY_SECONDS });
        let eth = AssetLimits {
            per_wallet: rolling(PER_WALLET),
            total: rolling(1_000 * ETH),
            ..custodies::eth(&PER_TRANSACTION.to_string())
        };
        let trust = MemberTrust {
            profile: Profile::Production,
            vault: self.vault.trust(role),
            peers,
            local_policy: Some(LocalPolicy { loosening_delay_seconds: DAY_SECONDS, ..LocalPolicy::new(vec![eth]) }),
            keys: if role == Role::Keeper { self.protection } else { KeyProtection::Vault },
            images: vec![format!("sha256:{}", "0".repeat(64))],
            ..self.ceremonies.trust(role)
        };
        let config = self.ceremonies.config();
        let nats = NatsConfig { ca_bundle: trust.vault.ca_bundle.clone(), ..config.nats };
        let config = MemberConfig { nats, ..config };
        let signer = self.signer_mut(role);
        (signer.start.trust, signer.start.config) = (trust.to_json(), serde_json::to_string(&config)?);
        std::fs::write(&signer.start_file, serde_json::to_string(&signer.start)?)?;
        Ok(())
    }

    pub(crate) fn signer(&self, role: Role) -> &Signer {
        if role == Role::Keeper { &self.keeper } else { &self.cooler }
    }

    pub(crate) fn signer_mut(&mut self, role: Role) -> &mut Signer {
        if role == Role::Keeper { &mut self.keeper } else { &mut self.cooler }
    }

    pub(crate) fn manifest(&self) -> &VerifiedManifest {
        &self.ceremonies.manifest
    }

    /// What a value of this custody is sealed for.
    pub(crate) fn context(&self, wallet: &str, purpose: &str) -> Context {
        context(self.ceremonies.id(), wallet, purpose)
    }

    /// What whoever has a signer's files and its Vault's token has of it.
    pub(crate) fn stolen(&self, role: Role) -> Result<Stolen> {
        let (data_dir, token_file) = (self.signer(role).start.data_dir.clone(), self.vault.token_file(role));
        Stolen::new(data_dir, self.vault.trust(role), token_file, self.ceremonies.id())
    }

    /// Starts a signer; it is locked.
    pub(crate) async fn start(&mut self, role: Role, fault: Option<&str>) -> Result<()> {
        self.start_within(role, fault, None).await
    }

    /// As [`Self::start`]; no file of it grows beyond so many 512-byte blocks.
    pub(crate) async fn start_within(&mut self, role: Role, fault: Option<&str>, blocks: Option<u64>) -> Result<()> {
        // Into the same file, as the kubelet does.
        self.vault.token_file(role);
        let signer = self.signer_mut(role);
        signer.process = Some(Process::start(&signer.start_file, &signer.log, fault, blocks).await?);
        Ok(())
    }

    /// Starts a signer and kills it while it starts.
    pub(crate) async fn stillborn(&self, role: Role, after: Duration) -> Result<()> {
        // Into the same file, as the kubelet does.
        self.vault.token_file(role);
        let signer = self.signer(role);
        Process::stillborn(&signer.start_file, &signer.log, after).await
    }

    /// Asks both vouchers, as the broker's loop does, and gives the lease. Why it stays locked otherwise.
    pub(crate) async fn unlock(&mut self, role: Role) -> Result<std::result::Result<(), String>> {
        if let Err(why) = self.vouch(role).await? {
            return Ok(Err(why));
        }
        self.lease(role).await?;
        // Unlocked, it shows its head to be held.
        self.show(role).await?;
        Ok(Ok(()))
    }

    /// Shows the head of a signer that serves to the other one and the sentinel, who hold it from then on.
    pub(crate) async fn show(&mut self, role: Role) -> Result<()> {
        // Twice: a head that is not the one that they were shown before is looked for first.
        for _ in 0..2 {
            if let Err(why) = self.vouch(role).await? {
                bail!("{role} is locked: {why}");
            }
        }
        Ok(())
    }

    /// Shows a signer's head to the others and tells it what they held before; why it is locked. The other signer need
    /// not run while this one serves.
    async fn vouch(&mut self, role: Role) -> Result<std::result::Result<(), String>> {
        let other = if role == Role::Keeper { Role::Cooler } else { Role::Keeper };
        let mut held = Vec::new();
        for voucher in [other, Role::Sentinel] {
            let shown = match self.signer(role).process()?.ask(Ask::Head(voucher.to_string())).await {
                Some(Told::Head(head)) => head,
                Some(Told::Failed(why)) => return Ok(Err(why)),
                other => bail!("{role} shows no head: {other:?}"),
            };
            let answer = if voucher == Role::Sentinel {
                let signer = if role == Role::Keeper { &self.keeper } else { &self.cooler };
                self.sentinel.echo(signer, &shown)?
            } else if let Some(process) = &self.signer(other).process {
                process.say(role, &request(Operation::EchoHead(shown))).await.ok_or_else(|| anyhow!("{other} ended"))?
            } else {
                continue;
            };
            match answer {
                Outcome::Held(answer) => held.push(Voucher { role: voucher.to_string(), held: answer.head }),
                answer => bail!("{voucher} does not vouch: {answer:?}"),
            }
        }
        match self.signer(role).process()?.ask(Ask::Vouch(Vouchers { held })).await {
            Some(Told::Done(_)) => Ok(Ok(())),
            Some(Told::Failed(why)) => Ok(Err(why)),
            other => bail!("{role} answers {other:?}"),
        }
    }

    /// Starts and unlocks.
    pub(crate) async fn restart(&mut self, role: Role) -> Result<()> {
        self.start(role, None).await?;
        self.unlocked(role).await
    }

    /// Starts and unlocks both. Neither vouches for the other before it runs.
    pub(crate) async fn start_both(&mut self) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.start(role, None).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            self.unlocked(role).await?;
        }
        Ok(())
    }

    /// All that there is, to come back to: both signers' files, what the sentinel holds, the chain.
    pub(crate) async fn keep(&mut self) -> Result<Kept> {
        for role in [Role::Keeper, Role::Cooler] {
            self.signer_mut(role).kill().await?;
            copy(&self.signer(role).start.data_dir, &self.aside(&format!("kept-{role}")))?;
        }
        // As of these files: a start of them is then the next one to the sentinel too.
        let sentinel = self.sentinel.clone();
        self.start_both().await?;
        let block = self.chain.anvil.rpc("evm_snapshot", json!([])).await?;
        Ok(Kept { sentinel, block })
    }

    /// Back to it.
    pub(crate) async fn back(&mut self, kept: &mut Kept) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.signer_mut(role).kill().await?;
            copy(&self.aside(&format!("kept-{role}")), &self.signer(role).start.data_dir)?;
        }
        self.sentinel = kept.sentinel.clone();
        let reverted: bool = self.chain.anvil.rpc("evm_revert", json!([kept.block])).await?;
        ensure!(reverted, "the chain does not go back");
        kept.block = self.chain.anvil.rpc("evm_snapshot", json!([])).await?;
        self.start_both().await?;
        Ok(())
    }

    /// Unlocks what nobody has any doubt of.
    pub(crate) async fn unlocked(&mut self, role: Role) -> Result<()> {
        match self.unlock(role).await? {
            Ok(()) => Ok(()),
            Err(why) => bail!("{role} stays locked: {why}"),
        }
    }

    /// A place for copies.
    pub(crate) fn aside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
