//! Cooler's data centre: a real Vault, and the volume that Cooler has left. Until the freeze it registers wallets and
//! signs payments by its own pipeline; afterwards only its local commands are run.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use chain::{Amount, Asset, ChainRules, Claim, Effect, KeyRole, Payload};
use chain_adapters::Adapters;
use chain_evm::EvmSafe;
use custodies::{CHAIN, Custody, own_keys};
use custody::{Role, config::HubLimits, local_policy::LocalPolicy, phrase::EIP155, trust::KeyProtection};
use data_center::RealVault;
use futures::future::join_all;
use policy::Policy;
use protocol::{
    attestation::attest_hot_keys,
    envelope::Peers,
    ops::{HotKeys, NamespaceKey, OPERATION_ID_BYTES, Operation, Outcome, Payment, RegisterWallet, Request},
};
use rand_core::{OsRng, RngCore};
use signer::{
    identity,
    pipeline::{Asker, Lock, Signer, SigningContext, digest, seal_cool_keys},
    store::Store,
};

use crate::{assets::Kind, wallets::Holder};

/// Requests that are answered at the same time: they share commits.
const AT_ONCE: usize = 200;

/// A volume of Cooler's, with the cool key sealed by the Vault.
pub(crate) struct Volume {
    pub(crate) data_dir: PathBuf,
    /// Rewritten before each command, as the kubelet does.
    vault: Arc<RealVault>,
}

impl Volume {
    /// A new one in `folder`, with the documents of this custody, as an agent that was once ready has left it.
    pub(crate) async fn new(
        vault: Arc<RealVault>,
        custody: &Custody,
        local_policy: &LocalPolicy,
        folder: &Path,
    ) -> Result<(Self, Serving)> {
        let data_dir = folder.to_owned();
        std::fs::create_dir_all(&data_dir)?;
        let store = Arc::new(Store::open(&data_dir)?);
        let sealer = vault.sealer(Role::Cooler);
        let mut trust = custody.trust(Role::Cooler);
        trust.peers.remove(&Role::Sentinel);
        (trust.vault, trust.local_policy) = (vault.trust(Role::Cooler), Some(local_policy.clone()));
        let peers = Peers::new(&trust.peers)?;
        store.keep_documents(trust.to_json(), custody.signed.to_json()).await?;
        let keys = Arc::new(identity::open_or_make(&store, &sealer, &mut OsRng).await?);
        let sealed = seal_cool_keys::<anyhow::Error>(&sealer, custody.id(), &custody.cool.keys()).await?;
        ensure!(store.keep_cool_keys(sealed).await?, "the volume has another cool key");
        let rules = Adapters::all().of(policy::chains(local_policy)?)?;
        let policy = Policy::new(local_policy, &[], &HubLimits::default(), &custody.manifest, &rules)?;
        let (protection, manifest) = (KeyProtection::Vault, custody.manifest.clone());
        let context = SigningContext {
            role: Role::Cooler,
            keys,
            peers,
            manifest,
            policy,
            rules,
            sealer,
            protection,
            observed: false,
            trust_digest: [7; 32],
        };
        let signer = Signer::new(store, [0; 16], Arc::new(clock::now_ms));
        signer.serve(Some(Arc::new(context)));
        signer.set_lock(Lock::Open);
        Ok((Self { data_dir, vault }, Serving { signer }))
    }

    /// Where a local command finds everything; nothing answers in the API server's place.
    pub(crate) fn place(&self) -> Vec<String> {
        let token = self.vault.token_file(Role::Cooler);
        vec![
            format!("--data-dir={}", self.data_dir.display()),
            "--kube-dir=/nonexistent".to_owned(),
            format!("--vault-token-file={}", token.display()),
        ]
    }
}

/// Cooler while it still serves App.
pub(crate) struct Serving {
    signer: Signer,
}

impl Serving {
    /// As App asks, with Keeper's word for the hot keys.
    pub(crate) async fn register(&self, custody: &Custody, holders: &[Holder]) -> Result<()> {
        let keeper = own_keys(Role::Keeper, 0);
        let register = |holder: &Holder| {
            let key = NamespaceKey { namespace: EIP155.to_owned(), public_key: holder.hot_key.clone() };
            let (custody_id, wallet) = (custody.id().as_bytes().to_vec(), holder.id.to_string());
            let hot = HotKeys { custody_id, wallet, keys: vec![key] };
            let hot = Some(attest_hot_keys(&hot, keeper.message_key()));
            Operation::RegisterWallet(RegisterWallet { hot, chains: vec![CHAIN.to_owned()], salt: Vec::new() })
        };
        for some in holders.chunks(AT_ONCE) {
            for outcome in join_all(some.iter().map(|holder| self.ask(register(holder)))).await {
                ensure!(matches!(outcome, Ok(Outcome::Registered(_))), "Cooler does not register: {outcome:?}");
            }
        }
        Ok(())
    }

    /// Both signatures on a payment of the coin at the wallet's first nonce: hot's is made here, cool's by Cooler.
    pub(crate) async fn pay(&self, rules: &EvmSafe, holder: &Holder, to: &str, amount: u128) -> Result<Signed> {
        let asset = Asset { symbol: Kind::Eth.symbol().to_owned(), contract: None };
        let effect =
            Effect::Transfer { asset: asset.symbol.clone(), to: rules.address(to)?, amount: Amount::from(amount) };
        let unsigned = rules.build(&effect, &holder.desc, &[asset], &[Claim::Sequence(0)])?;
        let payloads = rules.payloads(&unsigned, &holder.desc, KeyRole::Hot).map_err(|no| anyhow!("{no:?}"))?;
        let sign = |payload: &Payload| rules.sign(&holder.hot_secret, payload);
        let hot: Vec<Vec<u8>> = payloads.iter().map(sign).collect::<Result<_, _>>()?;
        let (wallet, chain) = (holder.id.to_string(), CHAIN.to_owned());
        let payment =
            Payment { wallet, chain, unsigned: unsigned.clone(), hot_signatures: hot.clone(), ..Payment::default() };
        match self.ask(Operation::Sign(payment)).await? {
            Outcome::Signed(signed) => Ok(Signed { unsigned, hot, cool: signed.signatures }),
            Outcome::Unavailable(why) | Outcome::Refused(why) => bail!("{}", why.reason),
            other => bail!("{other:?}"),
        }
    }

    async fn ask(&self, operation: Operation) -> Result<Outcome> {
        let mut operation_id = vec![0; OPERATION_ID_BYTES];
        OsRng.fill_bytes(&mut operation_id);
        let request = Request { operation_id, operation: Some(operation) };
        let key = *own_keys(Role::App, 0).message_key().verifying_key().as_bytes();
        let digest = digest(&request);
        let response = self.signer.answer(Asker { role: Role::App, key }, request, digest).await;
        response.outcome.context("an answer has an outcome")
    }
}

/// A payment with the two signatures that it needs.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) unsigned: Vec<u8>,
    pub(crate) hot: Vec<Vec<u8>>,
    pub(crate) cool: Vec<Vec<u8>>,
}
