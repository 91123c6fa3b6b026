//! Different payments at one nonce, a crash, and the same and others again.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use chain::{ChainRules, Payload};
use custody::Role;
use protocol::ops::{Freeze, Operation, Outcome, Request, Signed};

use super::{
    harm::Harm,
    scene::{Scene, Seen},
};
use crate::{
    files::{copy, open},
    killable::{
        PAYEE, THIEF,
        evidence::Given,
        requests::{Paid, countersign, reason, request, settlement, sign, signature},
    },
    refusals::{By, KEEPER},
};

/// A request with the wallet and the payment that it is for.
struct Try {
    wallet: usize,
    rival: usize,
    request: Request,
}

impl Scene {
    /// A round of payments: at each wallet's next nonce exactly one gets signatures, whatever happens.
    pub(super) async fn payments(&mut self, victim: Role, harm: Harm, rivals: usize, seen: &mut Seen) -> Result<()> {
        let mut all = self.rivals(victim, rivals).await?;
        let tries = self.tries(victim, &all);
        let asked: Vec<_> = tries.iter().map(|it| (Role::App, it.request.clone())).collect();
        let first = self.harm(victim, harm, &asked).await?;

        let mut won = Won { victim: By::Party(victim), signed: BTreeMap::new() };
        for (it, answer) in tries.iter().zip(&first) {
            won.note(it, &all[it.wallet][it.rival], answer.as_ref(), seen)?;
        }
        let given: Vec<_> = won
            .signed
            .iter()
            .map(|(wallet, signed)| Given::of(&self.wallets[*wallet], self.wallets[*wallet].nonce, signed.1))
            .collect();
        let signer = self.custody.signer_mut(victim);
        let data_dir = signer.start.data_dir.clone();
        signer.evidence.check(&data_dir, &given)?;
        self.custody.restart(victim).await?;

        self.again(victim, &tries, &first, &all, &mut won, seen).await?;
        for (wallet, payments) in all.iter_mut().enumerate() {
            let (_, digest, signature) = won.signed.get(&wallet).context("no payment was signed")?.clone();
            self.end(victim, wallet, payments, digest, signature, seen).await?;
        }
        Ok(())
    }

    /// The same requests in another order, and the same payments under new operation ids.
    async fn again(
        &mut self,
        victim: Role,
        tries: &[Try],
        first: &[Option<Outcome>],
        all: &[Vec<Paid>],
        won: &mut Won,
        seen: &mut Seen,
    ) -> Result<()> {
        let requests: Vec<_> = tries.iter().rev().map(|it| it.request.clone()).collect();
        let mut second = self.custody.ask_all(victim, &requests).await?;
        second.reverse();
        for ((it, before), after) in tries.iter().zip(first).zip(&second) {
            let after = after.as_ref().with_context(|| format!("{victim} ended again"))?;
            won.note(it, &all[it.wallet][it.rival], Some(after), seen)?;
            if let Some(before) = before {
                same(before, after)?;
            }
        }
        for it in self.tries(victim, all) {
            let answer = self.custody.signer(victim).process()?.say(Role::App, &it.request).await;
            won.note(&it, &all[it.wallet][it.rival], answer.as_ref(), seen)?;
        }
        Ok(())
    }

    /// Payments that exclude each other. Cooler sees hot's signature under each: Keeper's where it gave one, else as
    /// whoever had taken over Keeper would make it.
    async fn rivals(&self, victim: Role, rivals: usize) -> Result<Vec<Vec<Paid>>> {
        let mut all = Vec::with_capacity(self.wallets.len());
        for (wallet, stolen) in self.wallets.iter().zip(&self.stolen) {
            let mut payments = Vec::with_capacity(rivals);
            for rival in 0..rivals {
                let (to, wei) = if rival == 0 { (PAYEE, 1000) } else { (THIEF, 2000 + rival as u128) };
                let mut paid = self.custody.pay(wallet, wallet.nonce, to, wei)?;
                if victim == Role::Cooler {
                    paid.hot = Some(match rival {
                        0 => signature(self.custody.app(Role::Keeper, sign(&paid)).await?)?,
                        _ => self.custody.chain.rules.sign(stolen, &Payload::Digest(paid.digest))?,
                    });
                }
                payments.push(paid);
            }
            all.push(payments);
        }
        Ok(all)
    }

    /// Each payment once, the first one twice under one id, beginning anywhere.
    fn tries(&mut self, victim: Role, all: &[Vec<Paid>]) -> Vec<Try> {
        let mut tries = Vec::new();
        for (wallet, payments) in all.iter().enumerate() {
            for (rival, paid) in payments.iter().enumerate() {
                let operation = if victim == Role::Keeper { sign(paid) } else { countersign(paid) };
                let request = request(operation);
                if rival == 0 {
                    tries.push(Try { wallet, rival, request: request.clone() });
                }
                tries.push(Try { wallet, rival, request });
            }
        }
        let beginning = self.dice.roll(tries.len() as u64) as usize;
        tries.rotate_left(beginning);
        tries
    }

    /// The other signer, the chain and the sentinel.
    async fn end(
        &mut self,
        victim: Role,
        wallet: usize,
        payments: &mut [Paid],
        digest: [u8; 32],
        signed: Vec<u8>,
        seen: &mut Seen,
    ) -> Result<()> {
        let winner = payments.iter_mut().find(|paid| paid.digest == digest).context("it was not asked for")?;
        if victim == Role::Keeper {
            winner.hot = Some(signed);
            winner.cool = Some(signature(self.custody.app(Role::Cooler, countersign(winner)).await?)?);
            if let Some(loser) = payments.iter_mut().find(|paid| paid.digest != digest) {
                loser.hot = Some(self.custody.chain.rules.sign(&self.stolen[wallet], &Payload::Digest(loser.digest))?);
                let outcome = self.custody.app(Role::Cooler, countersign(loser)).await?;
                ensure!(reason(&outcome) == "NonceUsed", "cooler signs a second digest: {outcome:?}");
            }
        } else {
            winner.cool = Some(signed);
        }
        if wallet == 0 {
            let all: Vec<_> = payments.iter().collect();
            seen.moved += self.custody.chain.cash(&self.wallets[0].desc, &all, Some(&digest)).await?;
        }
        self.custody.settle(&self.wallets[wallet], &digest).await?;
        self.wallets[wallet].nonce += 1;
        Ok(())
    }

    /// The volume comes back older than what the signer has answered: it stays locked, however often it asks and
    /// whatever it is told meanwhile, until the newest one is back.
    pub(super) async fn lost(&mut self, victim: Role, all: bool, seen: &mut Seen) -> Result<()> {
        let mut payments = self.rivals(victim, 2).await?;
        let sent = |paid: &Paid| if victim == Role::Keeper { sign(paid) } else { countersign(paid) };
        for paid in &payments {
            signature(self.custody.app(victim, sent(&paid[0])).await?)?;
        }
        self.custody.show(victim).await?;
        self.custody.signer_mut(victim).kill().await?;
        let (data_dir, aside) = (self.custody.signer(victim).start.data_dir.clone(), self.custody.aside("newest"));
        copy(&data_dir, &aside)?;
        let newest = last_record(&data_dir)?;
        let log = std::fs::File::options().write(true).open(self.custody.signer(victim).log_file())?;
        let mut left = if all { 0 } else { log.metadata()?.len() };
        // The end of the file may be older than its beginning: it is cut until something is missing.
        while left > 0 && last_record(&data_dir)? == newest {
            left = self.dice.roll(left);
            log.set_len(left)?;
        }
        log.set_len(left)?;

        self.custody.start(victim, None).await?;
        match self.custody.unlock(victim).await? {
            Ok(()) => {
                // What was lost was of no commit; then nothing is.
                seen.by.note(By::Party(victim), "nothing was lost");
                let outcome = self.custody.app(victim, sent(&payments[0][1])).await?;
                ensure!(reason(&outcome) == "NonceUsed", "{outcome:?}");
            }
            Err(why) => self.stays_locked(victim, &why, &sent(&payments[0][1]), seen).await?,
        }
        self.custody.signer_mut(victim).kill().await?;
        copy(&aside, &data_dir)?;
        self.custody.restart(victim).await?;
        for (wallet, payments) in payments.iter_mut().enumerate() {
            let outcome = self.custody.app(victim, sent(&payments[1])).await?;
            ensure!(reason(&outcome) == "NonceUsed", "{outcome:?}");
            let signed = signature(self.custody.app(victim, sent(&payments[0])).await?)?;
            let digest = payments[0].digest;
            self.end(victim, wallet, payments, digest, signed, seen).await?;
        }
        Ok(())
    }

    async fn stays_locked(&mut self, victim: Role, why: &str, rival: &Operation, seen: &mut Seen) -> Result<()> {
        ensure!(why.contains("rolled back"), "locked for another reason: {why}");
        // Its chain grows past the one that the others know.
        for number in 0..40 {
            let freeze = Freeze { wallet: format!("nobody-{number}"), reason: String::new() };
            let outcome = self.custody.app(victim, Operation::Freeze(freeze)).await?;
            ensure!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        }
        for _ in 0..3 {
            let unlocked = self.custody.unlock(victim).await?;
            ensure!(unlocked.is_err(), "a chain that was rolled back is vouched for");
            let outcome = self.custody.app(victim, rival.clone()).await?;
            ensure!(reason(&outcome) == "Locked", "{outcome:?}");
        }
        seen.by.note(By::Party(victim), "Locked");
        Ok(())
    }

    /// The sentinel's word is lost on the way to the disk.
    pub(super) async fn settlement(&mut self, victim: Role, harm: Harm, seen: &mut Seen) -> Result<()> {
        let mut payments = self.rivals(Role::Keeper, 2).await?.swap_remove(0);
        self.custody.sign(&mut payments[0]).await?;
        let (digest, rival) = (payments[0].digest, payments[1].digest);
        let settle = request(settlement(&self.wallets[0], &digest));
        let asked: Vec<_> = (0..3).map(|_| (Role::Sentinel, settle.clone())).collect();
        self.harm(victim, harm, &asked).await?;
        let given = [Given::of(&self.wallets[0], self.wallets[0].nonce, digest)];
        let signer = self.custody.signer_mut(victim);
        let data_dir = signer.start.data_dir.clone();
        signer.evidence.check(&data_dir, &given)?;
        self.custody.restart(victim).await?;
        let process = self.custody.signer(victim).process()?;
        let outcome = process.say(Role::Sentinel, &settle).await.context("it ended")?;
        ensure!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        let otherwise = request(settlement(&self.wallets[0], &rival));
        let outcome = process.say(Role::Sentinel, &otherwise).await.context("it ended")?;
        ensure!(reason(&outcome) == "SettledOtherwise", "{outcome:?}");
        seen.by.note(By::Party(victim), "SettledOtherwise");
        let outcome = self.custody.app(Role::Keeper, sign(&payments[1])).await?;
        ensure!(matches!(reason(&outcome), "NonceUsed" | "NonceSettled"), "{outcome:?}");
        seen.by.note(KEEPER, reason(&outcome));
        seen.moved +=
            self.custody.chain.cash(&self.wallets[0].desc, &payments.iter().collect::<Vec<_>>(), Some(&digest)).await?;
        self.custody.settle(&self.wallets[0], &digest).await?;
        self.wallets[0].nonce += 1;
        Ok(())
    }
}

fn last_record(data_dir: &Path) -> Result<i64> {
    Ok(open(data_dir)?.query_row("SELECT max(seq) FROM audit", [], |row| row.get(0))?)
}

/// The one payment of each wallet that got a signature of the victim: which, its digest, the signature.
struct Won {
    victim: By,
    signed: BTreeMap<usize, (usize, [u8; 32], Vec<u8>)>,
}

impl Won {
    fn note(&mut self, it: &Try, paid: &Paid, answer: Option<&Outcome>, seen: &mut Seen) -> Result<()> {
        match answer {
            Some(Outcome::Signed(Signed { digest, signatures, .. })) => {
                ensure!(digest[..] == paid.digest[..], "another digest was signed than asked for");
                let won = (it.rival, paid.digest, signatures.concat());
                let first = self.signed.entry(it.wallet).or_insert_with(|| won.clone());
                ensure!(*first == won, "wallet {} has two digests or signatures at one nonce", it.wallet);
                seen.by.note(self.victim, "the same signature");
            }
            Some(Outcome::Refused(refused)) => {
                ensure!(refused.reason == "NonceUsed", "refused for another reason than its rival: {refused:?}");
                seen.by.note(self.victim, &refused.reason);
            }
            Some(Outcome::Unavailable(later)) => seen.by.note(self.victim, &later.reason),
            Some(other) => bail!("a payment is answered with {other:?}"),
            None => {}
        }
        Ok(())
    }
}

/// What was answered before the crash is answered after it; what was refused for now may be done.
fn same(before: &Outcome, after: &Outcome) -> Result<()> {
    let fits = match (before, after) {
        (Outcome::Signed(before), Outcome::Signed(after)) => {
            (&before.digest, &before.signatures) == (&after.digest, &after.signatures)
        }
        (Outcome::Unavailable(_), _) => true,
        (before, after) => before == after,
    };
    ensure!(fits, "answered {before:?} before the crash and {after:?} after it");
    Ok(())
}
