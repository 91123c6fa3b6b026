//! Where rounds of crashes take place, and what a round has shown.

use anyhow::Result;
use custody::{Role, trust::KeyProtection};
use zeroize::Zeroizing;

use super::dice::Dice;
use crate::{
    killable::{
        custody::{Custody, ETH},
        requests::Wallet,
    },
    refusals::Refusals,
};

/// Wallets that pay at once; the first one is on the chain.
const WALLETS: usize = 3;

/// What a round has shown.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) moved: u128,
    pub(super) by: Refusals,
}

/// Everything that a round needs.
pub(super) struct Scene {
    pub(super) custody: Custody,
    pub(super) dice: Dice,
    pub(super) wallets: Vec<Wallet>,
    /// Hot keys of the wallets, as a Keeper that was taken over would use them.
    pub(super) stolen: Vec<Zeroizing<[u8; 32]>>,
    pub(super) generations: [u64; 2],
    pub(super) made: u64,
}

impl Scene {
    pub(super) async fn new(seed: u64) -> Result<Self> {
        let mut custody = Custody::new(KeyProtection::Vault).await?;
        let (mut wallets, mut stolen) = (Vec::new(), Vec::new());
        for number in 0..WALLETS {
            let id = format!("payer-{number}");
            wallets.push(custody.wallet(&id, if number == 0 { ETH } else { 0 }).await?);
            stolen.push(custody.stolen(Role::Keeper)?.hot(&id).await?);
        }
        Ok(Self { custody, dice: Dice::new(seed), wallets, stolen, generations: [1, 1], made: 0 })
    }

    /// Both chains once more from their beginning.
    pub(super) async fn close(&mut self) -> Result<()> {
        for role in [Role::Keeper, Role::Cooler] {
            self.custody.signer_mut(role).kill().await?;
            let signer = self.custody.signer_mut(role);
            let data_dir = signer.start.data_dir.clone();
            signer.evidence.check(&data_dir, &[])?;
            println!("crash: {role}'s audit chain of {} records is whole", signer.evidence.audit(&data_dir)?);
        }
        Ok(())
    }
}
