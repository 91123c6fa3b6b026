//! Wallets, freezes and the Vault's key, and a crash.

use anyhow::{Context, Result, bail, ensure};
use custody::Role;
use protocol::ops::{Attestation, CreateWallet, Freeze, Operation, Outcome, Request};

use super::{
    harm::Harm,
    scene::{Scene, Seen},
};
use crate::{
    killable::{
        PAYEE,
        requests::{countersign, reason, registration, request, sign, signature},
        wire::{Ask, Told},
    },
    refusals::{By, KEEPER},
};

/// Wallets made at once.
const MADE: u64 = 3;
/// Steps that a rotation takes at most.
const STEPS: usize = 20;

impl Scene {
    fn new_id(&mut self) -> String {
        self.made += 1;
        format!("new-{}", self.made)
    }

    async fn after(&mut self, victim: Role) -> Result<()> {
        let signer = self.custody.signer_mut(victim);
        let data_dir = signer.start.data_dir.clone();
        signer.evidence.check(&data_dir, &[])?;
        self.custody.restart(victim).await
    }

    /// Every wallet that was asked for has one phrase, whoever heard of it, and pays.
    pub(super) async fn creation(&mut self, harm: Harm, seen: &mut Seen) -> Result<()> {
        let ids: Vec<_> = (0..MADE).map(|_| self.new_id()).collect();
        let create = |id: &String| CreateWallet { wallet: id.clone(), client_key: Vec::new() };
        let asked: Vec<_> =
            ids.iter().chain(&ids).map(|id| (Role::App, request(Operation::CreateWallet(create(id))))).collect();
        let first = self.harm(Role::Keeper, harm, &asked).await?;
        self.after(Role::Keeper).await?;
        let requests: Vec<Request> = asked.iter().map(|(_, request)| request.clone()).collect();
        let second = self.custody.ask_all(Role::Keeper, &requests).await?;
        let mut made: Vec<Option<Attestation>> = vec![None; ids.len()];
        for (number, answer) in first.iter().chain(&second).enumerate() {
            let made = &mut made[number % ids.len()];
            match answer {
                Some(Outcome::Created(hot)) => ensure!(
                    made.get_or_insert_with(|| hot.clone()) == hot,
                    "wallet {} has two phrases",
                    ids[number % ids.len()]
                ),
                Some(other) => bail!("no wallet: {other:?}"),
                None => ensure!(number < first.len(), "keeper ended again"),
            }
        }
        for hot in made {
            self.pays(&hot.context("a wallet is lost")?).await?;
        }
        seen.by.note(KEEPER, "the same hot keys");
        Ok(())
    }

    /// Both signers have the wallet and sign for it: nothing is lost.
    async fn pays(&mut self, hot: &Attestation) -> Result<()> {
        let wallet = self.custody.register(hot, &[]).await?;
        let mut paid = self.custody.pay(&wallet, 0, PAYEE, 1)?;
        self.custody.sign(&mut paid).await?;
        self.custody.settle(&wallet, &paid.digest).await
    }

    /// A wallet's record is there or it is asked for again; it is the same one.
    pub(super) async fn registration(&mut self, victim: Role, harm: Harm, seen: &mut Seen) -> Result<()> {
        let id = self.new_id();
        let hot = self.custody.create(&id, &[]).await?;
        let asked: Vec<_> = (0..3).map(|_| (Role::App, request(registration(&hot)))).collect();
        let first = self.harm(victim, harm, &asked).await?;
        self.after(victim).await?;
        let requests: Vec<Request> = asked.iter().map(|(_, request)| request.clone()).collect();
        let second = self.custody.ask_all(victim, &requests).await?;
        let records: Vec<_> = first.into_iter().chain(second.clone()).flatten().collect();
        let same = records.iter().all(|record| matches!(record, Outcome::Registered(_)) && *record == records[0]);
        ensure!(same && second.iter().all(Option::is_some), "{records:?}");
        seen.by.note(By::Party(victim), "the same record");
        self.pays(&hot).await
    }

    /// A freeze that was confirmed holds, and one that was not is asked for again.
    pub(super) async fn freeze(&mut self, victim: Role, harm: Harm, seen: &mut Seen) -> Result<()> {
        let id = self.new_id();
        let hot = self.custody.create(&id, &[]).await?;
        let wallet = self.custody.register(&hot, &[]).await?;
        let mut paid = self.custody.pay(&wallet, 0, PAYEE, 1)?;
        if victim == Role::Cooler {
            let outcome = self.custody.app(Role::Keeper, sign(&paid)).await?;
            paid.hot = Some(signature(outcome)?);
        }
        let payment = if victim == Role::Keeper { sign(&paid) } else { countersign(&paid) };
        let freeze = request(Operation::Freeze(Freeze { wallet: id, reason: "seen something".to_owned() }));
        let asked = [(Role::Cooler, &freeze), (Role::App, &freeze), (Role::Sentinel, &freeze)];
        let asked: Vec<_> = asked.into_iter().map(|(role, request)| (role, request.clone())).collect();
        let first = self.harm(victim, harm, &asked).await?;
        self.after(victim).await?;
        if first.iter().flatten().any(|outcome| matches!(outcome, Outcome::Done(_))) {
            let outcome = self.custody.app(victim, payment.clone()).await?;
            ensure!(reason(&outcome) == "Frozen", "a confirmed freeze is lost: {outcome:?}");
        }
        let outcome = self.custody.signer(victim).process()?.say(Role::App, &freeze).await;
        ensure!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
        let outcome = self.custody.app(victim, payment).await?;
        ensure!(reason(&outcome) == "Frozen", "{outcome:?}");
        seen.by.note(By::Party(victim), "Frozen");
        Ok(())
    }

    /// A rotation goes on where it was; every key still opens, during and after it.
    pub(super) async fn rotation(&mut self, victim: Role, harm: Harm, seen: &mut Seen) -> Result<()> {
        let generation = &mut self.generations[usize::from(victim == Role::Cooler)];
        *generation += 1;
        let generation = *generation;
        let Harm::Point(point) = harm else {
            bail!("a rotation is ended at a point");
        };
        let process = self.custody.signer_mut(victim).process.take().context("it does not run")?;
        process.done(Ask::Arm(point.to_owned())).await?;
        let mut ended = false;
        for _ in 0..STEPS {
            match process.ask(Ask::Rotate(generation)).await {
                None => {
                    ended = true;
                    break;
                }
                Some(Told::Done(_)) => {}
                other => bail!("the rotation fails: {other:?}"),
            }
        }
        ensure!(ended, "nothing passed the point {point}");
        process.ended().await?;
        self.after(victim).await?;
        // Half of the values are of the older version, and all of them open.
        self.payments(victim, Harm::AnyTime, 2, seen).await?;
        let mut left = u64::MAX;
        for _ in 0..STEPS {
            left = self.custody.signer(victim).process()?.done(Ask::Rotate(generation)).await?;
            if left == 0 {
                break;
            }
        }
        ensure!(left == 0, "{left} secrets are left below generation {generation}");
        self.payments(victim, Harm::AnyTime, 2, seen).await
    }
}
