//! A database thief: the files of a signer and backups of them, to read and to write, without its Vault. What he may ask
//! of the signers besides, he asks with App's credentials.

mod history;
mod recover;
mod rows;

use anyhow::{Context, Result, ensure};
use custody::{Role, trust::KeyProtection};
use rusqlite::Connection;

use crate::{
    crash::shared::{ETH, Kept, PAYEE, Paid, Stage, THIEF, Wallet, copy, countersign, open, reason, sign, signature},
    report::{Row, Suite},
};

/// Each payment of the story, wei.
const PRICE: u128 = 4 * ETH;

/// Whose wallet.
type Whose = fn(&Story) -> &Wallet;

/// What is on the chain and in the files when the thief comes. Since yesterday's backups alice has signed away a
/// payment at nonce 1 that is not settled, carol was frozen, and dave has spent what he may in a day.
struct Story {
    stage: Stage,
    kept: Kept,
    alice: Wallet,
    bob: Wallet,
    carol: Wallet,
    dave: Wallet,
    /// Alice's, at nonce 1.
    outstanding: Paid,
    rows: Vec<Row>,
}

/// All attacks.
pub(crate) async fn run() -> Result<Vec<Row>> {
    let mut story = Story::new().await?;
    recover::attacks(&mut story).await?;
    rows::attacks(&mut story).await?;
    history::attacks(&mut story).await?;
    let mut rows = story.rows;
    rows.extend(recover::client_keys().await?);
    Ok(rows)
}

/// Where yesterday's backup of a signer is.
fn yesterday(stage: &Stage, role: Role) -> std::path::PathBuf {
    stage.aside(&format!("yesterday-{role}"))
}

impl Story {
    async fn new() -> Result<Self> {
        let mut stage = Stage::new(KeyProtection::Vault).await?;
        let mut alice = stage.wallet("alice", 20 * ETH).await?;
        let bob = stage.wallet("bob", 20 * ETH).await?;
        let carol = stage.wallet("carol", 20 * ETH).await?;
        let mut dave = stage.wallet("dave", 20 * ETH).await?;
        paid(&mut stage, &mut alice).await?;
        for role in [Role::Keeper, Role::Cooler] {
            stage.signer_mut(role).kill().await?;
            copy(&stage.signer(role).start.data_dir, &yesterday(&stage, role))?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            stage.start(role, None).await?;
        }
        for role in [Role::Keeper, Role::Cooler] {
            stage.unlocked(role).await?;
        }
        let mut outstanding = stage.pay(&alice, alice.nonce, PAYEE, PRICE)?;
        stage.sign(&mut outstanding).await?;
        stage.freeze(&carol).await?;
        for _ in 0..2 {
            paid(&mut stage, &mut dave).await?;
        }
        let kept = stage.keep().await?;
        Ok(Self { stage, kept, alice, bob, carol, dave, outstanding, rows: Vec::new() })
    }

    /// One attack from the same beginning: what refused it, and what the thief has on the chain afterwards.
    async fn attack(&mut self, attack: &str, act: impl AsyncFnOnce(&mut Self) -> Result<String>) -> Result<()> {
        let before = self.stage.chain.anvil.balance(THIEF).await?;
        let refused_by = act(self).await.with_context(|| format!("database: {attack}"))?;
        let moved = self.stage.chain.anvil.balance(THIEF).await?.saturating_sub(before);
        self.rows.push(Row {
            suite: Suite::Database,
            attack: attack.to_owned(),
            refused_by,
            moved: moved.to_string(),
            limit: None,
        });
        let Self { stage, kept, .. } = self;
        stage.back(kept).await
    }

    /// Stops a signer and writes into its file.
    async fn write(&mut self, role: Role, edit: impl FnOnce(&Connection) -> Result<()>) -> Result<()> {
        self.stage.signer_mut(role).kill().await?;
        let connection = open(&self.stage.signer(role).start.data_dir)?;
        connection.pragma_update(None, "foreign_keys", false)?;
        edit(&connection)
    }

    /// Stops a signer, writes into its file and starts it again; why it stays locked, if it does.
    async fn tamper(&mut self, role: Role, sql: &str) -> Result<Option<String>> {
        self.write(role, |connection| Ok(connection.execute_batch(sql)?)).await?;
        self.stage.start(role, None).await?;
        Ok(self.stage.unlock(role).await?.err())
    }

    /// As [`Self::tamper`], where nobody else can know of it.
    async fn unnoticed(&mut self, role: Role, sql: &str) -> Result<()> {
        let locked = self.tamper(role, sql).await?;
        ensure!(locked.is_none(), "{role} stays locked: {locked:?}");
        Ok(())
    }

    /// Asks both signers for a payment to the thief and puts on the chain what they give. What each of them answers.
    async fn steal(&mut self, whose: Whose, nonce: u64) -> Result<[String; 2]> {
        // Dave's limit is spent, the others' is not.
        let wei = if whose(self).id == "dave" { PRICE } else { ETH };
        let mut stolen = self.stage.pay(whose(self), nonce, THIEF, wei)?;
        let hot = self.stage.app(Role::Keeper, sign(&stolen)).await?;
        stolen.hot = signature(hot.clone()).ok();
        let cool = self.stage.app(Role::Cooler, countersign(&stolen)).await?;
        stolen.cool = signature(cool.clone()).ok();
        self.stage.chain.cash(&whose(self).desc, &[&stolen], None).await?;
        Ok([reason(&hot).to_owned(), reason(&cool).to_owned()])
    }

    /// Keeper refuses, and Cooler, which gets no signature of hot.
    async fn keeper_refuses(&mut self, whose: Whose, nonce: u64, why: &str) -> Result<String> {
        let told = self.steal(whose, nonce).await?;
        ensure!(told == [why, "HotSignatureInvalid"] || told == [why, "Frozen"], "{told:?}");
        Ok(why.to_owned())
    }

    /// Keeper believes its file, which is one of three keys; Cooler has its own.
    async fn cooler_refuses(&mut self, whose: Whose, nonce: u64, why: &str) -> Result<String> {
        let told = self.steal(whose, nonce).await?;
        ensure!(told == ["Done", why], "{told:?}");
        Ok(format!("{why} by cooler; keeper's vote is the thief's"))
    }

    /// Puts yesterday's files in the place of a signer's, with what `sql` adds; why it stays locked.
    async fn roll_back(&mut self, role: Role, sql: &str) -> Result<Option<String>> {
        self.stage.signer_mut(role).kill().await?;
        copy(&yesterday(&self.stage, role), &self.stage.signer(role).start.data_dir)?;
        self.tamper(role, sql).await
    }
}

/// A payment that nobody minds, from its request to its settlement.
async fn paid(stage: &mut Stage, wallet: &mut Wallet) -> Result<()> {
    let mut paid = stage.pay(wallet, wallet.nonce, PAYEE, PRICE)?;
    stage.sign(&mut paid).await?;
    stage.chain.cash(&wallet.desc, &[&paid], Some(&paid.digest)).await?;
    stage.settle(wallet, &paid.digest).await?;
    wallet.nonce += 1;
    Ok(())
}
