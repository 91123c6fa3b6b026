//! One call in a transaction of the relayer: simulated, signed, recorded, sent, followed. The same transaction again
//! after a crash, never a second one beside it.

use std::time::Duration;

use alloy_primitives::B256;
use chain_evm_client::{Call, ClientError, Outcome};

use super::{Step, Trouble};
use crate::{app::App, store::Purpose};

/// How long one step follows a transaction before it says that it waits.
const FOLLOW: Duration = Duration::from_secs(20);

/// How a call ended.
pub(super) enum Carried {
    /// It is in a block; without success it changed nothing but the relayer's float.
    Mined {
        /// Transaction hash.
        tx: B256,
        /// Whether it took effect.
        success: bool,
    },
    /// Simulated, it reverts or does not return what it should: nothing was sent.
    Refused(String),
}

impl Step<'_> {
    /// Carries `call`; `right` judges what its simulation returns.
    pub(super) async fn carry(
        &self,
        purpose: Purpose,
        call: &Call,
        right: impl Fn(&[u8]) -> bool,
    ) -> Result<Carried, Trouble> {
        let App { store, relayer, .. } = self.app;
        let id = &self.payment.id;
        let relayed = match store.relayed(id.clone(), purpose).await? {
            Some(relayed) => relayed,
            None => {
                match relayer.simulate(call).await {
                    Ok(answer) if right(&answer) => {}
                    Ok(_) => return Ok(Carried::Refused("it would have no effect".to_owned())),
                    Err(ClientError::Reverted { revert, .. }) => return Ok(Carried::Refused(revert.to_string())),
                    Err(other) => return Err(other.into()),
                }
                let turn = relayer.turn().await;
                let relayed = turn.sign(call).await?;
                store.relay(id.clone(), purpose, relayed.clone()).await?;
                turn.broadcast(&relayed).await?;
                tracing::info!(payment = id, purpose = purpose.as_str(), tx = %relayed.hash, "sent");
                relayed
            }
        };
        match relayer.follow(&relayed, FOLLOW).await? {
            Outcome::Mined(receipt) => {
                store.relay_ended(relayed.hash).await?;
                Ok(Carried::Mined { tx: receipt.tx, success: receipt.success })
            }
            Outcome::Replaced => {
                store.relay_ended(relayed.hash).await?;
                Err(Trouble::Wait(format!("transaction {} lost its place and is made anew", relayed.hash)))
            }
            Outcome::Rejected(message) => {
                store.relay_ended(relayed.hash).await?;
                Err(Trouble::Wait(format!(
                    "the node rejects transaction {}, a new one is made: {message}",
                    relayed.hash
                )))
            }
        }
    }
}
