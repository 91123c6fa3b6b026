//! The signers' own binaries, with broker and API server, killed while payments run.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use chain::{Amount, Asset, ChainRules, Claim, Effect, Payload, WalletDesc};
use custodies::CHAIN;
use custody::{
    Role,
    identity::PeerKeys,
    phrase::{Keys, Phrase},
    report::WorkloadState,
};
use data_center::{Member, Process};
use protocol::{
    attestation::{attest_hot_keys, hot_keys},
    ops::{Attestation, CreateWallet, HotKeys, NamespaceKey, Operation, Outcome, Payment, Request},
    subject::Lane,
};
use rand_core::OsRng;
use tokio::time::{Instant, sleep};
use transport::Caller;

use super::{dice::Dice, harm::LOAD};
use crate::{
    killable::{
        PAYEE, THIEF,
        chain::Chain,
        requests::{Paid, countersign, reason, registration, request, sign},
    },
    refusals::{By, Refusals},
    report::{Row, Suite},
};

/// How often each is killed.
const KILLS: u64 = 5;
/// What the test's local policy lets one payment move at most, wei, is more than either of these.
const AMOUNTS: [(&str, u128); 2] = [(PAYEE, 100), (THIEF, 200)];
/// Until it serves again.
const PATIENCE: Duration = Duration::from_secs(90);
/// For one answer.
const CALL: Duration = Duration::from_secs(5);

/// One signer as a process, and the two other keys of its wallet.
struct Signer {
    role: Role,
    member: Member,
    app: Caller,
    chain: Chain,
    wallet: WalletDesc,
    /// The hot key where Cooler runs.
    hot: Keys,
}

/// Kills all of a signer again and again.
pub(super) async fn killed(role: Role, dice: &mut Dice) -> Result<Row> {
    let (signer, mut process) = Signer::start(role).await?;
    let mut moved = 0;
    for nonce in 0..KILLS {
        let rivals = AMOUNTS.map(|(to, wei)| signer.pay(nonce, to, wei)).into_iter().collect::<Result<Vec<_>>>()?;
        let requests: Vec<_> = rivals
            .iter()
            .map(|paid| request(if role == Role::Keeper { sign(paid) } else { countersign(paid) }))
            .collect();
        let moment = Duration::from_micros(dice.roll(LOAD));
        let asking = futures::future::join_all(requests.iter().map(|request| signer.ask(request, CALL)));
        let (first, ()) = tokio::join!(asking, async {
            sleep(moment).await;
            process.kill().await;
        });
        process = signer.member.run();
        moved += signer.again(rivals, &requests, first).await.with_context(|| format!("nonce {nonce}"))?;
    }
    ensure!(process.terminate().await == Some(0), "{role} does not end in order");
    let attack = format!("all of {role}, with broker and API server, killed while payments run (x{KILLS})");
    let held = Refusals::all(By::Party(role), ["NonceUsed", "the same signature"].map(str::to_owned));
    Ok(Row::new(Suite::Crash, &attack, held.to_string(), moved))
}

impl Signer {
    async fn start(role: Role) -> Result<(Self, Process)> {
        let own = std::env::current_exe()?;
        let binary: PathBuf = own.parent().context("no folder")?.join(role.as_str());
        ensure!(binary.is_file(), "{role} is not built: run `cargo build -p signer-workload` first");
        let member = Member::start(role, binary).await;
        let process = member.run();
        member.decide_everything().await;
        let keys = if role == Role::Cooler {
            let keys = member.state(WorkloadState::AwaitingCoolKey).await.identity.context("no identity")?.keys;
            let sealed =
                custody::sealed_phrase::seal(&member.cool, member.manifest(), &keys.xkey, &mut OsRng)?.to_json();
            let imported = member.exec(&["import"], &sealed).await;
            ensure!(imported.status.success(), "{imported:?}");
            keys
        } else {
            member.report_with(|report| report.identity.is_some()).await.identity.context("no identity")?.keys
        };
        member.state(WorkloadState::Serving).await;
        let (app, chain, hot) = (member.app(&keys).await, Chain::start().await?, Phrase::generate(&mut OsRng).keys());
        let attested = attested(role, &member, &app, &hot).await?;
        let wallet = wallet(role, &member, &chain, &keys, &attested)?;
        let signer = Self { role, member, app, chain, wallet, hot };
        match signer.ask(&request(registration(&attested)), PATIENCE).await {
            Some(Outcome::Registered(_)) => {}
            other => bail!("not registered: {other:?}"),
        }
        signer.chain.open(&signer.wallet, 1_000_000).await?;
        Ok((signer, process))
    }

    /// A payment; to Cooler with hot's signature.
    fn pay(&self, nonce: u64, to: &str, wei: u128) -> Result<Paid> {
        let rules = &self.chain.rules;
        let (to, assets) = (to.to_owned(), [Asset { symbol: "ETH".to_owned(), contract: None }]);
        let effect = Effect::Transfer { asset: "ETH".to_owned(), to, amount: Amount::from(wei) };
        let unsigned = rules.build(&effect, &self.wallet, &assets, &[Claim::Sequence(nonce)])?;
        let digest = rules.decode(&unsigned, &self.wallet, &assets)?.id;
        let (wallet, chain) = ("alice".to_owned(), CHAIN.to_owned());
        let hot = match self.role {
            Role::Cooler => Some(rules.sign(&*self.hot.secret("eip155")?, &Payload::Digest(digest))?),
            _ => None,
        };
        Ok(Paid { payment: Payment { wallet, chain, unsigned, ..Payment::default() }, digest, hot, cool: None })
    }

    async fn ask(&self, request: &Request, patience: Duration) -> Option<Outcome> {
        self.app.call(self.role, Lane::Op, request, Instant::now() + patience).await.ok()?.outcome
    }

    /// Until it serves again.
    async fn answered(&self, request: &Request) -> Result<Outcome> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.ask(request, CALL).await {
                Some(Outcome::Unavailable(_)) | None if Instant::now() < deadline => {
                    sleep(Duration::from_millis(200)).await;
                }
                Some(Outcome::Unavailable(why)) => bail!("{} does not serve again: {why:?}", self.role),
                None => bail!("{} does not answer again; its log: {}", self.role, self.member.log()),
                Some(outcome) => return Ok(outcome),
            }
        }
    }

    /// The same requests again: one of them has the nonce, whoever heard of it before. What moved beside it.
    async fn again(&self, mut rivals: Vec<Paid>, requests: &[Request], first: Vec<Option<Outcome>>) -> Result<u128> {
        let mut won = BTreeMap::new();
        for (number, request) in requests.iter().enumerate().rev() {
            let after = self.answered(request).await?;
            for outcome in first[number].iter().chain([&after]) {
                match outcome {
                    Outcome::Signed(signed) => {
                        let before = won.entry(number).or_insert_with(|| signed.signatures.clone());
                        ensure!(*before == signed.signatures, "two signatures for one payment");
                    }
                    Outcome::Unavailable(_) => {}
                    other => ensure!(reason(other) == "NonceUsed", "{other:?}"),
                }
            }
        }
        ensure!(won.len() == 1, "{} payments were signed at one nonce", won.len());
        let mut explained = None;
        for (number, signature) in won {
            let paid = &mut rivals[number];
            explained = Some(paid.digest);
            if self.role == Role::Cooler {
                paid.cool = Some(signature.concat());
            } else {
                // Cooler, which would sign what hot has signed.
                let cool = self.member.cool.keys().secret("eip155")?;
                paid.cool = Some(self.chain.rules.sign(&cool, &Payload::Digest(paid.digest))?);
                paid.hot = Some(signature.concat());
            }
        }
        let all: Vec<_> = rivals.iter().collect();
        self.chain.cash(&self.wallet, &all, explained.as_ref()).await
    }
}

/// The wallet's hot keys: Keeper's, or such as Keeper would have attested.
async fn attested(role: Role, member: &Member, app: &Caller, hot: &Keys) -> Result<Attestation> {
    if role == Role::Keeper {
        let create = CreateWallet { wallet: "alice".to_owned(), ..CreateWallet::default() };
        let request = request(Operation::CreateWallet(create));
        return match app.call(role, Lane::Op, &request, Instant::now() + PATIENCE).await?.outcome {
            Some(Outcome::Created(attestation)) => Ok(attestation),
            other => bail!("no wallet: {other:?}"),
        };
    }
    let keys = vec![NamespaceKey { namespace: "eip155".to_owned(), public_key: hot.public_key("eip155")?.to_vec() }];
    let custody_id = member.custody_id().as_bytes().to_vec();
    Ok(attest_hot_keys(&HotKeys { custody_id, wallet: "alice".to_owned(), keys }, member.peer.message_key()))
}

fn wallet(role: Role, member: &Member, chain: &Chain, keys: &PeerKeys, hot: &Attestation) -> Result<WalletDesc> {
    let keeper = match role {
        Role::Keeper => custody::identity::message_key(keys)?,
        _ => member.peer.message_key().verifying_key(),
    };
    let hot = hot_keys(hot, &[keeper])?;
    let key = hot.keys.iter().find(|key| key.namespace == "eip155").context("no key for eip155")?;
    Ok(chain.rules.wallet(&member.manifest().owners(chain.rules.id(), &key.public_key)?, [0; 32])?)
}
