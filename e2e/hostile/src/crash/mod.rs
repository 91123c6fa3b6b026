//! The power switch. Both signers are killed between accepting and answering, at every step and at random times, with
//! requests in flight, and asked again: no nonce gets a second digest, no wallet is lost, whatever was answered is in
//! the files, and the same request gets the same signature.

mod dice;
mod harm;
mod payments;
mod scene;
mod upkeep;
mod whole;

use anyhow::{Context, Result};
use custody::Role;

use crate::report::{Row, Suite};
use harm::Harm;
use scene::{Scene, Seen};

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
        let attack = format!("{} (x{rounds})", attack.name);
        rows.push(Row::new(Suite::Crash, &attack, seen.by.to_string(), seen.moved));
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
    async fn round(&mut self, attack: &Attack, seen: &mut Seen) -> Result<()> {
        let Attack { what, victim, harm, .. } = attack;
        // A signer that is not the victim runs for longer than a lease.
        for role in [Role::Keeper, Role::Cooler] {
            self.custody.lease(role).await?;
        }
        let address = self.wallets[0].desc.address.clone();
        let before = self.custody.chain.anvil.balance(&address).await?;
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
        seen.moved += before.saturating_sub(self.custody.chain.anvil.balance(&address).await?);
        Ok(())
    }
}
