//! The story that the thief comes into, and what each attack does with it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use custody::{Role, trust::KeyProtection};
use rusqlite::Connection;

use crate::{
    files::{copy, open},
    killable::{
        PAYEE, THIEF,
        custody::{Custody, ETH, Kept},
        requests::{Paid, Wallet, countersign, reason, sign, signature},
    },
    refusals::{COOLER, KEEPER, Refusals},
    report::{Row, Suite},
};

/// Each payment of the story, wei.
pub(super) const PRICE: u128 = 4 * ETH;

/// Whose wallet.
pub(super) type Whose = fn(&Story) -> &Wallet;

/// What is on the chain and in the files when the thief comes. Since yesterday's backups alice has signed away a
/// payment at nonce 1 that is not settled, carol was frozen, and dave has spent what he may in a day.
pub(super) struct Story {
    pub(super) custody: Custody,
    pub(super) kept: Kept,
    pub(super) alice: Wallet,
    pub(super) bob: Wallet,
    pub(super) carol: Wallet,
    pub(super) dave: Wallet,
    /// Alice's, at nonce 1.
    pub(super) outstanding: Paid,
    pub(super) rows: Vec<Row>,
}

/// Where yesterday's backup of a signer is.
pub(super) fn yesterday(custody: &Custody, role: Role) -> PathBuf {
    custody.aside(&format!("yesterday-{role}"))
}

impl Story {
    pub(super) async fn new() -> Result<Self> {
        let mut custody = Custody::new(KeyProtection::Vault).await?;
        let mut alice = custody.wallet("alice", 20 * ETH).await?;
        let bob = custody.wallet("bob", 20 * ETH).await?;
        let carol = custody.wallet("carol", 20 * ETH).await?;
        let mut dave = custody.wallet("dave", 20 * ETH).await?;
        paid(&mut custody, &mut alice).await?;
        for role in [Role::Keeper, Role::Cooler] {
            custody.signer_mut(role).kill().await?;
            copy(&custody.signer(role).start.data_dir, &yesterday(&custody, role))?;
        }
        custody.start_both().await?;
        let mut outstanding = custody.pay(&alice, alice.nonce, PAYEE, PRICE)?;
        custody.sign(&mut outstanding).await?;
        custody.freeze(&carol).await?;
        for _ in 0..2 {
            paid(&mut custody, &mut dave).await?;
        }
        let kept = custody.keep().await?;
        Ok(Self { custody, kept, alice, bob, carol, dave, outstanding, rows: Vec::new() })
    }

    /// One attack from the same beginning: what refused it, and what the thief has on the chain afterwards.
    pub(super) async fn attack(
        &mut self,
        attack: &str,
        act: impl AsyncFnOnce(&mut Self) -> Result<String>,
    ) -> Result<()> {
        let before = self.custody.chain.anvil.balance(THIEF).await?;
        let refused_by = act(self).await.with_context(|| format!("database: {attack}"))?;
        let moved = self.custody.chain.anvil.balance(THIEF).await?.saturating_sub(before);
        self.rows.push(Row::new(Suite::Database, attack, refused_by, moved));
        let Self { custody, kept, .. } = self;
        custody.back(kept).await
    }

    /// Stops a signer and writes into its file.
    pub(super) async fn write(&mut self, role: Role, edit: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        self.custody.signer_mut(role).kill().await?;
        let connection = open(&self.custody.signer(role).start.data_dir)?;
        connection.pragma_update(None, "foreign_keys", false)?;
        edit(&connection)
    }

    /// That a signer does not start, and says why in these words.
    pub(super) async fn does_not_start(&mut self, role: Role, why: &str) -> Result<()> {
        match self.custody.start(role, None).await {
            Ok(()) => bail!("{role} starts"),
            Err(error) => {
                // Its log has the newest line first.
                let words = format!("{error:#}");
                let newest = words.split(" | ").next().unwrap_or_default();
                ensure!(newest.contains(why), "{role} does not start for another reason: {words}")
            }
        }
        Ok(())
    }

    /// Stops a signer and writes into its file: it does not start again, and says what it has found. Whatever the other
    /// signer believes, this one signs nothing.
    pub(super) async fn tampered(&mut self, role: Role, sql: &str, found: &str) -> Result<String> {
        self.write(role, |connection| Ok(connection.execute_batch(sql)?)).await?;
        self.finds(role, found).await
    }

    /// That a signer does not start on a file that somebody else wrote to.
    pub(super) async fn finds(&mut self, role: Role, found: &str) -> Result<String> {
        self.does_not_start(role, "StoreTampered").await?;
        self.does_not_start(role, found).await?;
        ensure!(self.custody.signer(role).process.is_none(), "{role} runs");
        Ok(format!("{role}: StoreTampered ({found})"))
    }

    /// Stops a signer, writes into its file and starts it again, where nobody needs to notice.
    pub(super) async fn unnoticed(&mut self, role: Role, sql: &str) -> Result<()> {
        self.write(role, |connection| Ok(connection.execute_batch(sql)?)).await?;
        self.custody.restart(role).await
    }

    /// Asks both signers for a payment to the thief and puts on the chain what they give. What each of them answers.
    pub(super) async fn steal(&mut self, whose: Whose, nonce: u64) -> Result<[String; 2]> {
        // Dave's limit is spent, the others' is not.
        let wei = if whose(self).id == "dave" { PRICE } else { ETH };
        let mut stolen = self.custody.pay(whose(self), nonce, THIEF, wei)?;
        let hot = self.custody.app(Role::Keeper, sign(&stolen)).await?;
        stolen.hot = signature(hot.clone()).ok();
        let cool = self.custody.app(Role::Cooler, countersign(&stolen)).await?;
        stolen.cool = signature(cool.clone()).ok();
        self.custody.chain.cash(&whose(self).desc, &[&stolen], None).await?;
        Ok([reason(&hot).to_owned(), reason(&cool).to_owned()])
    }

    /// Keeper refuses by its own file. Cooler, whose own says nothing against it, gets no signature of hot; carol's
    /// wallet it has frozen itself.
    pub(super) async fn keeper_refuses(&mut self, whose: Whose, nonce: u64, why: &str) -> Result<String> {
        let cooler = if whose(self).id == "carol" { "Frozen" } else { "HotSignatureInvalid" };
        let told = self.steal(whose, nonce).await?;
        ensure!(told == [why, cooler], "keeper and cooler answer {told:?}, expected {why} and {cooler}");
        Ok(Refusals::one(KEEPER, why).to_string())
    }

    /// Keeper goes by what its admin accepted, which is one of three keys; Cooler has its own file.
    pub(super) async fn cooler_refuses(&mut self, whose: Whose, nonce: u64, why: &str) -> Result<String> {
        let told = self.steal(whose, nonce).await?;
        ensure!(told == ["Done", why], "keeper and cooler answer {told:?}, expected a signature and {why}");
        Ok(format!("{}; keeper's vote is the thief's", Refusals::one(COOLER, why)))
    }

    /// Puts yesterday's files in the place of a signer's.
    pub(super) async fn put_back(&mut self, role: Role) -> Result<()> {
        self.custody.signer_mut(role).kill().await?;
        copy(&yesterday(&self.custody, role), &self.custody.signer(role).start.data_dir)?;
        Ok(())
    }

    /// The same, and starts it; why it stays locked.
    pub(super) async fn roll_back(&mut self, role: Role) -> Result<Option<String>> {
        self.put_back(role).await?;
        self.custody.start(role, None).await?;
        Ok(self.custody.unlock(role).await?.err())
    }
}

/// A payment that nobody minds, from its request to its settlement.
async fn paid(custody: &mut Custody, wallet: &mut Wallet) -> Result<()> {
    let mut paid = custody.pay(wallet, wallet.nonce, PAYEE, PRICE)?;
    custody.sign(&mut paid).await?;
    custody.chain.cash(&wallet.desc, &[&paid], Some(&paid.digest)).await?;
    custody.settle(wallet, &paid.digest).await?;
    wallet.nonce += 1;
    Ok(())
}
