//! The power switch. Both signers are killed between accepting and answering, at every step and at random times, with
//! requests in flight, and asked again: no nonce gets a second digest, no wallet is lost, whatever was answered is in
//! the files, and the same request gets the same signature.

mod books;
mod chain;
mod harm;
mod payments;
mod process;
mod stage;
mod upkeep;
mod whole;
mod wire;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use custody::{Role, trust::KeyProtection};
use zeroize::Zeroizing;

use crate::report::{Row, Suite};
use harm::{Harm, LOAD};
pub(crate) use stage::Stage;
use stage::{Dice, ETH, Wallet};

pub(crate) mod shared {
    //! What the suite `database` uses too.
    pub(crate) use super::{
        books::{export, open},
        chain::Paid,
        stage::*,
        upkeep::copy,
        wire::{Ask, Nothing},
    };
}

/// Wallets that pay at once; the first one is on the chain.
const WALLETS: usize = 3;

/// One kind of crash.
struct Attack {
    name: String,
    what: What,
    victim: Role,
    harm: Harm,
}

/// What is going on meanwhile.
#[derive(Clone, Copy)]
enum What {
    /// So many different payments at each wallet's next nonce.
    Payments(usize),
    /// New wallets.
    Create,
    /// A wallet is registered.
    Register,
    /// A wallet is frozen.
    Freeze,
    /// A nonce is attested as used up.
    Settle,
    /// The Vault's key is rotated.
    Rotate,
    /// The volume comes back without what was written last.
    Lost { all: bool },
}

/// What a round has shown.
#[derive(Default)]
struct Seen {
    moved: u128,
    by: BTreeSet<String>,
}

/// Everything that a round needs.
struct Scene {
    stage: Stage,
    dice: Dice,
    wallets: Vec<Wallet>,
    /// Hot keys of the wallets, as a Keeper that was taken over would use them.
    stolen: Vec<Zeroizing<[u8; 32]>>,
    generations: [u64; 2],
    made: u64,
}

/// `points` crashes, at least one of each kind; `seed` decides when and in which order.
pub(crate) async fn run(points: usize, seed: u64) -> Result<Vec<Row>> {
    println!("crash: {points} points, seed {seed}");
    let mut scene = Scene::new(seed).await?;
    let attacks = attacks();
    let mut rows = Vec::with_capacity(attacks.len());
    for (number, attack) in attacks.iter().enumerate() {
        let rounds = (points / attacks.len() + usize::from(number < points % attacks.len())).max(1);
        let mut seen = Seen::default();
        for round in 0..rounds {
            let told = || format!("{}, round {round} of {rounds}, seed {seed}", attack.name);
            scene.round(attack, &mut seen).await.with_context(told)?;
        }
        let refused_by = seen.by.into_iter().collect::<Vec<_>>().join(", ");
        let row = Row {
            suite: Suite::Crash,
            attack: format!("{} (x{rounds})", attack.name),
            refused_by,
            moved: seen.moved.to_string(),
            limit: None,
        };
        rows.push(row);
    }
    scene.close().await?;
    for role in [Role::Keeper, Role::Cooler] {
        rows.push(whole::killed(role, &mut scene.dice).await.with_context(|| format!("all of {role}, seed {seed}"))?);
    }
    Ok(rows)
}

fn attacks() -> Vec<Attack> {
    use What::*;
    let mut attacks = Vec::new();
    let mut add = |name: String, what: What, victim: Role, harm: Harm| {
        attacks.push(Attack { name, what, victim, harm });
    };
    for victim in [Role::Keeper, Role::Cooler] {
        for point in ["accepted", "decoded", "written", "committed", "recorded", "unsealed", "signed", "stored"] {
            add(format!("{victim} killed when a payment is {point}"), Payments(3), victim, Harm::Point(point));
        }
        for point in ["written", "committed"] {
            add(format!("{victim} killed when a group of 51 is {point}"), Payments(17), victim, Harm::Point(point));
        }
        let payments: [(&str, Harm); 5] = [
            ("killed at any time under load", Harm::AnyTime),
            ("killed, and again while it starts", Harm::Twice),
            ("stopped and continued", Harm::Stopped),
            ("running twice on one volume", Harm::TwoProcesses),
            ("with a full disk", Harm::FullDisk),
        ];
        for (name, harm) in payments {
            add(format!("{victim} {name}"), Payments(3), victim, harm);
        }
        for point in ["recomputed", "written", "committed"] {
            add(format!("{victim} killed when a registration is {point}"), Register, victim, Harm::Point(point));
        }
        for point in ["written", "committed"] {
            add(format!("{victim} killed when a freeze is {point}"), Freeze, victim, Harm::Point(point));
            add(format!("{victim} killed when a settlement is {point}"), Settle, victim, Harm::Point(point));
        }
        for point in ["rotated", "rewrapped"] {
            add(format!("{victim} killed when the Vault's key is {point}"), Rotate, victim, Harm::Point(point));
        }
        for (name, all) in [("a part of its log", false), ("its log", true)] {
            add(format!("{victim} killed, and the disk loses {name}"), Lost { all }, victim, Harm::AnyTime);
        }
    }
    for point in ["created", "written", "committed"] {
        add(format!("keeper killed when a new wallet is {point}"), Create, Role::Keeper, Harm::Point(point));
    }
    add("keeper killed at any time while wallets are made".to_owned(), Create, Role::Keeper, Harm::AnyTime);
    attacks
}

impl Scene {
    async fn new(seed: u64) -> Result<Self> {
        let mut stage = Stage::new(KeyProtection::Vault).await?;
        let (mut wallets, mut stolen) = (Vec::new(), Vec::new());
        for number in 0..WALLETS {
            let id = format!("payer-{number}");
            wallets.push(stage.wallet(&id, if number == 0 { ETH } else { 0 }).await?);
            stolen.push(stage.stolen_hot(&id).await?);
        }
        Ok(Self { stage, dice: Dice::new(seed), wallets, stolen, generations: [1, 1], made: 0 })
    }

    async fn round(&mut self, attack: &Attack, seen: &mut Seen) -> Result<()> {
        let Attack { what, victim, harm, .. } = attack;
        // A signer that is not the victim runs for longer than a lease.
        for role in [Role::Keeper, Role::Cooler] {
            self.stage.lease(role).await?;
        }
        let address = self.wallets[0].desc.address.clone();
        let before = self.stage.chain.anvil.balance(&address).await?;
        match what {
            What::Payments(rivals) => return self.payments(*victim, *harm, *rivals, seen).await,
            What::Settle => return self.settlement(*victim, *harm, seen).await,
            What::Rotate => return self.rotation(*victim, *harm, seen).await,
            What::Lost { all } => return self.lost(*victim, *all, seen).await,
            What::Create => self.creation(*harm, seen).await?,
            What::Register => self.registration(*victim, *harm, seen).await?,
            What::Freeze => self.freeze(*victim, *harm, seen).await?,
        }
        // Nobody asked for a payment.
        seen.moved += before.saturating_sub(self.stage.chain.anvil.balance(&address).await?);
        Ok(())
    }

    /// Both chains once more from their beginning.
    async fn close(&mut self) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.stage.signer_mut(role).kill().await?;
            let signer = self.stage.signer_mut(role);
            let data_dir = signer.start.data_dir.clone();
            signer.books.check(&data_dir, &[])?;
            println!("crash: {role}'s audit chain of {} records is whole", signer.books.audit(&data_dir)?);
        }
        Ok(())
    }

    /// Microseconds within which something happens under load.
    fn moment(&mut self) -> std::time::Duration {
        std::time::Duration::from_micros(self.dice.roll(LOAD))
    }
}
