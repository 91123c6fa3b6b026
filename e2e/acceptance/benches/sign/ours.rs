//! Our own path: App's envelope to the verified answer.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use acceptance::{
    CHAIN_ID,
    load::{Load, Run},
};
use anyhow::{Context, Result, bail, ensure};
use chain::{Amount, Asset, ChainRules, Claim, Effect, Owners};
use chain_evm::EvmSafe;
use custody::Role;
use protocol::{
    ops::{Attestation, Batch, CreateWallet, Operation, Outcome, Payment, RegisterWallet, Request, Response, Signed},
    subject::Lane,
};
use rand_core::{OsRng, RngCore};
use transport::Caller;

/// Signatures of a batch: each of another wallet, since a wallet's nonces follow one another.
pub(crate) const BATCH: usize = 100;
/// As many as are in flight at most.
pub(crate) const WALLETS: usize = 4 * BATCH;

/// Registered wallets, each with its next nonce.
#[derive(Clone)]
pub(crate) struct Wallets {
    caller: Caller,
    nonces: Arc<Vec<AtomicU64>>,
}

impl Wallets {
    /// Makes them with both signers, in batches.
    pub(crate) async fn create(caller: Caller) -> Result<Self> {
        let wallets = Self { caller, nonces: Arc::new((0..WALLETS).map(|_| AtomicU64::new(0)).collect()) };
        for from in (0..WALLETS).step_by(BATCH) {
            let mut registrations = Vec::new();
            for hot in wallets.created(from).await? {
                registrations.push(RegisterWallet { hot: Some(hot), chains: vec![chain()], salt: Vec::new() });
            }
            for signer in [Role::Keeper, Role::Cooler] {
                let register = registrations.iter().cloned().map(Operation::RegisterWallet).collect();
                for response in wallets.batch(signer, register).await? {
                    ensure!(matches!(response.outcome, Some(Outcome::Registered(_))), "{signer} refuses a wallet");
                }
            }
        }
        Ok(wallets)
    }

    /// Makes wallets that nothing is done with.
    pub(crate) async fn more(&self, count: usize) -> Result<()> {
        for from in (WALLETS..WALLETS + count).step_by(BATCH) {
            self.created(from).await?;
        }
        Ok(())
    }

    /// A batch of new wallets' hot keys.
    async fn created(&self, from: usize) -> Result<Vec<Attestation>> {
        let create = |wallet: usize| CreateWallet { wallet: name(wallet), ..CreateWallet::default() };
        let all = (from..from + BATCH).map(create).map(Operation::CreateWallet).collect();
        let created = self.batch(Role::Keeper, all).await?.into_iter().map(|response| match response.outcome {
            Some(Outcome::Created(hot)) => Ok(hot),
            other => bail!("Keeper did not make a wallet: {other:?}"),
        });
        created.collect()
    }

    /// Keeper's signatures.
    pub(crate) async fn keeper(&self, load: Load) -> Result<Run> {
        let wallets = self.clone();
        load.run(1, move |worker| {
            let wallets = wallets.clone();
            async move { wallets.sign(Role::Keeper, wallets.payment(worker)?).await.map(drop) }
        })
        .await
    }

    /// Both signatures of a payment: hot, then cool.
    pub(crate) async fn both(&self, load: Load) -> Result<Run> {
        let wallets = self.clone();
        load.run(1, move |worker| {
            let wallets = wallets.clone();
            async move {
                // Cooler's nonces must follow one another too: wallets of its own.
                let payment = wallets.payment(2 * BATCH + worker)?;
                let hot = wallets.sign(Role::Keeper, payment.clone()).await?;
                let countersign = Payment { hot_signatures: hot.signatures, hot_head: hot.head, ..payment };
                wallets.sign(Role::Cooler, countersign).await.map(drop)
            }
        })
        .await
    }

    /// Keeper's signatures in batches.
    pub(crate) async fn batches(&self, load: Load) -> Result<Run> {
        let wallets = self.clone();
        load.run(BATCH, move |worker| {
            let wallets = wallets.clone();
            async move {
                let payments = (worker * BATCH..(worker + 1) * BATCH).map(|wallet| wallets.payment(wallet));
                let signs = payments.map(|payment| payment.map(Operation::Sign)).collect::<Result<_>>()?;
                for response in wallets.batch(Role::Keeper, signs).await? {
                    signed(response)?;
                }
                Ok(())
            }
        })
        .await
    }

    fn payment(&self, wallet: usize) -> Result<Payment> {
        let nonce = self.nonces.get(wallet).context("a wallet")?.fetch_add(1, Ordering::Relaxed);
        Ok(Payment { wallet: name(wallet), chain: chain(), unsigned: unsigned(nonce)?, ..Payment::default() })
    }

    async fn sign(&self, signer: Role, payment: Payment) -> Result<Signed> {
        signed(self.ask(signer, Operation::Sign(payment)).await?)
    }

    async fn batch(&self, signer: Role, operations: Vec<Operation>) -> Result<Vec<Response>> {
        let requests = operations.into_iter().map(request).collect();
        match self.ask(signer, Operation::Batch(Batch { requests })).await?.outcome {
            Some(Outcome::Batch(batch)) => Ok(batch.responses),
            other => bail!("{signer} does not answer a batch: {other:?}"),
        }
    }

    async fn ask(&self, signer: Role, operation: Operation) -> Result<Response> {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        Ok(self.caller.call(signer, Lane::Op, &request(operation), deadline).await?)
    }
}

fn signed(response: Response) -> Result<Signed> {
    match response.outcome {
        Some(Outcome::Signed(signed)) => Ok(signed),
        other => bail!("no signature: {other:?}"),
    }
}

fn request(operation: Operation) -> Request {
    let mut operation_id = vec![0; 16];
    OsRng.fill_bytes(&mut operation_id);
    Request { operation_id, operation: Some(operation) }
}

fn name(wallet: usize) -> String {
    format!("bench-{wallet}")
}

fn chain() -> String {
    format!("eip155:{CHAIN_ID}")
}

/// The bytes that are decoded, judged and signed: what rivals sign too.
pub(crate) fn unsigned(nonce: u64) -> Result<Vec<u8>> {
    let assets = [Asset { symbol: "ETH".to_owned(), contract: None }];
    let to = "0x00000000000000000000000000000000005400ff".to_owned();
    let effect = Effect::Transfer { asset: "ETH".to_owned(), to, amount: Amount::from(1_u128) };
    let rules = EvmSafe::new(chain().parse()?)?;
    // The bytes are the same for every wallet; only what is signed names it.
    let wallet = rules.wallet(&owners(&rules)?, [0; 32])?;
    Ok(rules.build(&effect, &wallet, &assets, &[Claim::Sequence(nonce)])?)
}

/// Three owners of no wallet that is used.
pub(crate) fn owners(rules: &EvmSafe) -> Result<Owners> {
    let key = |byte: u8| rules.public_key(&[byte; 32]);
    Ok(Owners { hot: key(1)?, cool: key(2)?, cold: key(3)? })
}
